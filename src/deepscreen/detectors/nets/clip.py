"""CLIP ViT-B/16 image tower, frozen: the hidden states of its blocks.

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021;
openai/clip-vit-base-patch16 @57c2164 (MIT). Differs from the source in: linear weights went through int8 and back
(see docs/weights.md), so heads fitted on other CLIP weights do not fit these; queries, keys and values come from one
product, and the quick GELU's factor is folded into the weights beside it. A fifth faster on a CPU (docs/weights.md).
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.transforms import v2

from deepscreen.detectors.nets.fixed_batches import Forward, run_fixed_batches
from deepscreen.detectors.nets.frozen_linear import FrozenLinear
from deepscreen.detectors.nets.shared_batches import SharedBatches
from deepscreen.weights.store import VerifiedWeights, load_tensors

logger = logging.getLogger(__name__)
WEIGHTS_NAME = "clip-vit-b16"
SIZE_PX = 224
PATCH_PX = 16
GRID = SIZE_PX // PATCH_PX
TOKENS = 1 + GRID * GRID
WIDTH = 768
HEADS = 12
BLOCKS = 12
TRIED_BLOCKS = 2  # all have the same shapes, and so the same kernels
NORM_EPSILON = 1e-5
QUICK_GELU = 1.702  # x * sigmoid(1.702 x) is silu(1.702 x) / 1.702
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)

Precision = Literal["bf16", "fp32"]
DTYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp32": torch.float32}
Weights = Mapping[str, Tensor]


class ClipBackbone:
    """The image tower on one device in one precision, run in batches of one fixed size. For inference only.

    ``batch_size`` belongs to the method: another size may give other last bits. On a CPU larger ones gain a tenth, and
    lose it again on views of zeros (docs/weights.md): there, only views that always come in pairs run in pairs. Where
    batches are larger, as on a GPU, and a trial shows that it changes no bit, threads share them (docs/adr/0022).
    """

    def __init__(
        self,
        weights: VerifiedWeights,
        *,
        device: str | torch.device = "cpu",
        precision: Precision = "fp32",
        batch_size: int = 1,
    ) -> None:
        self.device = torch.device(device)
        self.precision = precision
        self.batch_size = batch_size
        tensors = {name.removeprefix("vision_model."): tensor for name, tensor in load_tensors(weights).items()}
        with torch.inference_mode():
            self._embeddings = ClipEmbeddings(tensors).to(self.device, DTYPES[precision])
            self._blocks = [
                ClipBlock(_under(tensors, f"encoder.layers.{number}."))
                .to(self.device, DTYPES[precision])
                .packed(batch_size * TOKENS)
                for number in range(BLOCKS)
            ]
        self._shared = SharedBatches(batch_size, self._forward_of) if batch_size > 1 and self._may_share() else None

    @property
    def shares_batches(self) -> bool:
        """Whether views that several threads ask for go through the network together."""
        return self._shared is not None

    @torch.inference_mode()
    def hidden_states(
        self, views: Tensor, *, blocks: Sequence[int] = range(1, BLOCKS + 1), at_least: int = 1
    ) -> tuple[Tensor, ...]:
        """The outputs of *blocks* (numbered 1 to 12, ascending), each (n, 197, 768) float32 on the backbone's device.

        ``views``: (n, 3, 224, 224), n >= 1, RGB; uint8, or float in [0, 1]. Row 0 is the class token, row
        1 + 14 * y + x the patch (y, x). A residual stream: not layer-normalised. Later blocks do not run.
        ``at_least``: the smallest batch to run, for views that never come in smaller numbers.
        """
        _check_views(views)
        _check_blocks(blocks)
        size = max(self.batch_size, at_least)
        if self._shared is not None and size == self.batch_size:
            return self._shared.run(views.to(self.device), (tuple(blocks), views.dtype))
        return run_fixed_batches(lambda batch: self._forward(batch, blocks), views.to(self.device), size)

    @torch.inference_mode()
    def _may_share(self) -> bool:
        """Whether a view's numbers are the same to the last bit wherever in a batch it stands and in what company.

        Tried and not assumed: it depends on the kernels that the device's libraries choose.
        """
        random = torch.Generator().manual_seed(0)
        views = torch.randint(0, 256, (self.batch_size, 3, SIZE_PX, SIZE_PX), dtype=torch.uint8, generator=random)
        views = views.to(self.device)
        alone = torch.zeros_like(views)
        alone[-1] = views[0]
        try:
            (told,), (moved,), (kept,) = (
                self._forward(batch, [TRIED_BLOCKS]) for batch in (views, views.roll(1, 0), alone)
            )
        except torch.OutOfMemoryError:
            return False  # batches will be smaller ones, as memory allows
        is_free = torch.equal(told.roll(1, 0), moved) and torch.equal(told[0], kept[-1])
        if not is_free:
            logger.warning("a view's numbers depend on its place in a batch here: files do not share batches")
        return is_free

    def _forward_of(self, kind: Hashable) -> Forward:
        blocks, _ = cast(tuple[tuple[int, ...], torch.dtype], kind)
        return lambda batch: self._forward(batch, blocks)

    def _forward(self, views: Tensor, blocks: Sequence[int]) -> tuple[Tensor, ...]:
        state = self._embeddings(_normalised(views).to(DTYPES[self.precision]))
        outputs = []
        for number, block in enumerate(self._blocks[: max(blocks)], start=1):
            state = block(state)
            if number in blocks:
                outputs.append(state.float())
        return tuple(outputs)


class ClipEmbeddings(nn.Module):
    """Patches and the class token with their positions, layer-normalised: (n, 3, 224, 224) to (n, 197, 768)."""

    def __init__(self, tensors: Weights) -> None:
        super().__init__()
        self.patches = nn.Buffer(tensors["embeddings.patch_embedding.weight"])
        self.class_token = nn.Buffer(tensors["embeddings.class_embedding"])
        self.positions = nn.Buffer(tensors["embeddings.position_embedding.weight"])
        self.norm = _layer_norm(tensors, "pre_layrnorm")  # as the published file spells it

    def forward(self, views: Tensor) -> Tensor:
        patches = functional.conv2d(views, self.patches, stride=PATCH_PX).flatten(2).transpose(1, 2)
        first = self.class_token.expand(len(views), 1, WIDTH)
        normed: Tensor = self.norm(torch.cat([first, patches], dim=1) + self.positions)
        return normed


class ClipBlock(nn.Module):
    """One pre-norm transformer block, (n, 197, 768) to the same."""

    def __init__(self, tensors: Weights) -> None:
        super().__init__()
        joined = [
            torch.cat([tensors[f"self_attn.{name}_proj.{part}"] for name in "qkv"]) for part in ("weight", "bias")
        ]
        self.norm_attention = _layer_norm(tensors, "layer_norm1")
        self.norm_mlp = _layer_norm(tensors, "layer_norm2")
        self.qkv = FrozenLinear(*joined)
        self.out = FrozenLinear(tensors["self_attn.out_proj.weight"], tensors["self_attn.out_proj.bias"])
        self.up = FrozenLinear(tensors["mlp.fc1.weight"] * QUICK_GELU, tensors["mlp.fc1.bias"] * QUICK_GELU)
        self.down = FrozenLinear(tensors["mlp.fc2.weight"] / QUICK_GELU, tensors["mlp.fc2.bias"])

    def packed(self, rows: int) -> ClipBlock:
        """Itself, with weights laid out for products of *rows* rows."""
        for linear in (self.qkv, self.out, self.up, self.down):
            linear.pack(rows)
        return self

    def forward(self, state: Tensor) -> Tensor:
        state = state + self._attended(self.norm_attention(state))
        wide = functional.silu(self.up(self.norm_mlp(state)), inplace=True)
        after: Tensor = state + self.down(wide)
        return after

    def _attended(self, normed: Tensor) -> Tensor:
        n = len(normed)
        query, key, value = self.qkv(normed).view(n, TOKENS, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        attended: Tensor = self.out(mixed.transpose(1, 2).reshape(n, TOKENS, WIDTH))
        return attended


def _under(tensors: Weights, prefix: str) -> Weights:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _layer_norm(tensors: Weights, name: str) -> nn.LayerNorm:
    norm = nn.LayerNorm(WIDTH, eps=NORM_EPSILON)
    norm.weight = nn.Parameter(tensors[f"{name}.weight"], requires_grad=False)
    norm.bias = nn.Parameter(tensors[f"{name}.bias"], requires_grad=False)
    return norm


def _normalised(views: Tensor) -> Tensor:
    scaled = v2.functional.to_dtype(views, torch.float32, scale=True)
    normalised: Tensor = v2.functional.normalize(scaled, list(MEAN), list(STD))
    return normalised


def _check_views(views: Tensor) -> None:
    if views.ndim != 4 or views.shape[1:] != (3, SIZE_PX, SIZE_PX) or len(views) == 0:
        raise ValueError(f"views: want (n >= 1, 3, {SIZE_PX}, {SIZE_PX}), got {tuple(views.shape)}")


def _check_blocks(blocks: Sequence[int]) -> None:
    if not blocks or list(blocks) != sorted(set(blocks)) or blocks[0] < 1 or blocks[-1] > BLOCKS:
        raise ValueError(f"blocks: want ascending numbers in 1..{BLOCKS}, got {list(blocks)}")
