"""CLIP ViT-B/16 image tower, frozen: the hidden states of its blocks.

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021;
openai/clip-vit-base-patch16 @57c2164 (MIT). Differs from the source in: linear weights went through int8 and back
(see docs/weights.md), so heads fitted on other CLIP weights do not fit these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torchvision.transforms import v2
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

from deepscreen.detectors.nets.fixed_batches import run_fixed_batches
from deepscreen.weights.store import VerifiedWeights, load_tensors

WEIGHTS_NAME = "clip-vit-b16"
SIZE_PX = 224
PATCH_PX = 16
GRID = SIZE_PX // PATCH_PX
WIDTH = 768
BLOCKS = 12
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)

Precision = Literal["bf16", "fp32"]
DTYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp32": torch.float32}


class ClipBackbone:
    """The image tower on one device in one precision, run in batches of one fixed size.

    ``batch_size`` belongs to the method: another size may give other last bits. On a CPU larger ones gain a tenth, and
    lose it again on views of zeros (docs/weights.md).
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
        self._model = _build(weights).to(self.device, DTYPES[precision])

    @torch.inference_mode()
    def hidden_states(self, views: Tensor, *, blocks: Sequence[int] = range(1, BLOCKS + 1)) -> tuple[Tensor, ...]:
        """The outputs of *blocks* (numbered 1 to 12, ascending), each (n, 197, 768) float32 on the backbone's device.

        ``views``: (n, 3, 224, 224), n >= 1, RGB; uint8, or float in [0, 1]. Row 0 is the class token, row
        1 + 14 * y + x the patch (y, x). A residual stream: not layer-normalised. Later blocks do not run.
        """
        _check_views(views)
        _check_blocks(blocks)
        return run_fixed_batches(lambda batch: self._forward(batch, blocks), views.to(self.device), self.batch_size)

    def differentiable_hidden_states(
        self, views: Tensor, *, blocks: Sequence[int] = range(1, BLOCKS + 1)
    ) -> tuple[Tensor, ...]:
        """As ``hidden_states``, in one batch as given, with gradients to *views* (float in [0, 1])."""
        _check_views(views)
        _check_blocks(blocks)
        with torch.enable_grad():
            return self._forward(views.to(self.device), blocks)

    @torch.inference_mode()
    def image_embeddings(self, last_block: Tensor) -> Tensor:
        """CLIP's own 512-dimensional embedding (n, 512) float32 from the output of block 12."""
        model = self._model.vision_model
        pooled = model.post_layernorm(last_block[:, 0].to(self._model.dtype))
        embeddings: Tensor = self._model.visual_projection(pooled).float()
        return embeddings

    def _forward(self, views: Tensor, blocks: Sequence[int]) -> tuple[Tensor, ...]:
        tower = self._model.vision_model
        state = tower.pre_layrnorm(tower.embeddings(_normalised(views).to(self._model.dtype)))
        outputs = []
        for number, layer in enumerate(tower.encoder.layers[: max(blocks)], start=1):
            state = layer(state, None)
            if number in blocks:
                outputs.append(state.float())
        return tuple(outputs)


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


def _build(weights: VerifiedWeights) -> CLIPVisionModelWithProjection:
    config = CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=3072, num_hidden_layers=BLOCKS, num_attention_heads=12,
        patch_size=PATCH_PX, image_size=SIZE_PX, projection_dim=512, hidden_act="quick_gelu", layer_norm_eps=1e-5,
    )  # fmt: skip
    # On "meta" nothing is initialised only to be overwritten: half a second and 345 MB saved.
    with torch.device("meta"):
        model = CLIPVisionModelWithProjection(config)
    model.load_state_dict(load_tensors(weights), strict=True, assign=True)
    embeddings = model.vision_model.embeddings
    embeddings.position_ids = torch.arange(embeddings.num_positions).unsqueeze(0)  # a buffer that no file stores
    return model.eval().requires_grad_(False)
