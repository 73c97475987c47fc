"""Meso4 and MesoInception4 as bare networks.

Source: Afchar, Nozick, Yamagishi and Echizen, "MesoNet: a Compact Facial Video Forgery Detection Network", 2018, and
``classifiers.py`` of github.com/DariusAf/MesoNet at 2144d56 (Apache-2.0). Written anew for PyTorch. Differs from the
source in giving log-odds instead of their sigmoid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepscreen.errors import WeightsMismatch

Arrays = Mapping[str, NDArray[np.float32]]
FACE_PX = 256
KERAS_EPSILON = 1e-3
LAYERS: Mapping[str, type[nn.Module]] = {"conv2d": nn.Conv2d, "batch_normalization": nn.BatchNorm2d, "dense": nn.Linear}


class MesoNet(nn.Module):
    """Four blocks of convolution and pooling, two dense layers. (n, 3, 256, 256) in [0, 1] to (n,) log-odds of real."""

    def __init__(self, first: nn.Module, second: nn.Module, widths: tuple[int, int]) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_pooled(first, widths[0], 2),
            *_pooled(second, widths[1], 2),
            *_pooled(_convolution(widths[1], 16, 5), 16, 2),
            *_pooled(_convolution(16, 16, 5), 16, 4),
        )
        self.head = nn.Sequential(nn.Linear(1024, 16), nn.LeakyReLU(0.1), nn.Linear(16, 1))

    def forward(self, faces: Tensor) -> Tensor:
        """Keras flattens rows, columns, channels in this order."""
        logits: Tensor = self.head(self.features(faces).permute(0, 2, 3, 1).flatten(1))
        return logits[:, 0]


class _Inception(nn.Module):
    """Four branches side by side: 1 x 1, and 3 x 3 at dilation 1, 2 and 3, each after a 1 x 1."""

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        branches = [_convolution(channels, widths[0], 1)]
        for dilation, width in enumerate(widths[1:], start=1):
            narrow, wide = _convolution(channels, width, 1), _convolution(width, width, 3, dilation)
            branches.append(nn.Sequential(narrow, wide))
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def meso4() -> MesoNet:
    """Without weights."""
    return MesoNet(_convolution(3, 8, 3), _convolution(8, 8, 5), (8, 8))


def meso_inception4() -> MesoNet:
    """Without weights."""
    return MesoNet(_Inception(3, (1, 4, 4, 2)), _Inception(11, (2, 4, 4, 2)), (11, 12))


def load_keras(net: MesoNet, arrays: Arrays) -> MesoNet:
    """*net* with the arrays of a Keras weights file, frozen.

    ``arrays``: by the names in the file, ``.../conv2d_3/kernel:0``. Layers of a kind are numbered in the order in which
    they were made, here as there. Raises WeightsMismatch where number or shape of the layers differ.
    """
    for kind, module in LAYERS.items():
        targets = [layer for layer in net.modules() if isinstance(layer, module)]
        found = _layers(arrays, kind)
        if len(found) != len(targets):
            raise WeightsMismatch(f"MesoNet: want {len(targets)} layers {kind}, got {len(found)}; use the files named")
        for target, layer in zip(targets, found, strict=True):
            _fill(target, layer)
    return net.requires_grad_(False).eval()


def _layers(arrays: Arrays, kind: str) -> list[dict[str, NDArray[np.float32]]]:
    layers: dict[int, dict[str, NDArray[np.float32]]] = {}
    for path, values in arrays.items():
        layer, name = path.split("/")[-2:]
        head, _, number = layer.rpartition("_")
        if head == kind:
            layers.setdefault(int(number), {})[name.partition(":")[0]] = values
    return [layers[number] for number in sorted(layers)]


def _fill(target: nn.Module, layer: Mapping[str, NDArray[np.float32]]) -> None:
    """Keras names and axes to those of PyTorch."""
    if isinstance(target, nn.BatchNorm2d):
        names = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
        state = {ours: layer[theirs] for ours, theirs in names.items()}
    else:
        axes = (3, 2, 0, 1) if isinstance(target, nn.Conv2d) else (1, 0)
        state = {"weight": layer["kernel"].transpose(axes), "bias": layer["bias"]}
    for name, values in state.items():
        slot = getattr(target, name)
        if slot.shape != values.shape:
            raise WeightsMismatch(f"MesoNet: {name} of a layer has shape {values.shape}; want {tuple(slot.shape)}")
        slot.data.copy_(torch.from_numpy(np.ascontiguousarray(values)))


def _convolution(channels: int, width: int, kernel: int, dilation: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, width, kernel, padding="same", dilation=dilation), nn.ReLU())


def _pooled(block: nn.Module, width: int, pool: int) -> tuple[nn.Module, ...]:
    return block, nn.BatchNorm2d(width, eps=KERAS_EPSILON), nn.MaxPool2d(pool)
