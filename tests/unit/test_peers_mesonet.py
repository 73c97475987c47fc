"""MesoNet gives what Keras would: its layers against plain arithmetic on arrays in Keras' own layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from deepscreen.errors import WeightsMismatch, WeightsMissing
from deepscreen.evaluation.peers.mesonet import CROP_PER_FEATURE, WEIGHTS, as_mesonet_crops, checked_files
from deepscreen.evaluation.peers.mesonet_nets import FACE_PX, load_keras, meso4, meso_inception4
from deepscreen.faces import Face, crop_face

SHARED = Path(__file__).parents[3] / "shared/weights/mesonet"
Arrays = dict[str, NDArray[np.float32]]
Plane = NDArray[np.float64]
# Kernel, channels in, channels out, dilation, in the order in which the source makes its layers.
MESO4 = ((3, 3, 8, 1), (5, 8, 8, 1), (5, 8, 16, 1), (5, 16, 16, 1))


def inception(channels: int, a: int, b: int, c: int, d: int) -> tuple[tuple[int, int, int, int], ...]:
    return (
        (1, channels, a, 1),
        (1, channels, b, 1),
        (3, b, b, 1),
        (1, channels, c, 1),
        (3, c, c, 2),
        (1, channels, d, 1),
        (3, d, d, 3),
    )


MESO_INCEPTION4 = (*inception(3, 1, 4, 4, 2), *inception(11, 2, 4, 4, 2), (5, 12, 16, 1), (5, 16, 16, 1))


def keras_arrays(convolutions: tuple[tuple[int, int, int, int], ...], widths: tuple[int, ...], first: int) -> Arrays:
    """Random weights by Keras' names, numbered from *first*; stored in an order that says nothing."""
    rng = np.random.default_rng(0)
    arrays: Arrays = {}

    def put(layer: str, name: str, *shape: int, low: float = -0.5) -> None:
        arrays[f"{layer}/{layer}/{name}:0"] = rng.uniform(low, 0.5, shape).astype(np.float32)

    for k, (size, channels, width, _) in enumerate(convolutions, start=first):
        put(f"conv2d_{k}", "kernel", size, size, channels, width)
        put(f"conv2d_{k}", "bias", width)
    for k, width in enumerate(widths, start=first):
        for name in ("gamma", "beta", "moving_mean"):
            put(f"batch_normalization_{k}", name, width)
        put(f"batch_normalization_{k}", "moving_variance", width, low=0.1)
    for k, shape in enumerate(((1024, 16), (16, 1)), start=first):
        put(f"dense_{k}", "kernel", *shape)
        put(f"dense_{k}", "bias", shape[1])
    return dict(sorted(arrays.items()))


def convolved(x: Plane, arrays: Arrays, number: int, dilation: int) -> Plane:
    """Zero-padded to the same size, then ReLU; (rows, columns, channels)."""
    kernel, bias = (arrays[f"conv2d_{number}/conv2d_{number}/{name}:0"] for name in ("kernel", "bias"))
    margin = dilation * (kernel.shape[0] // 2)
    padded = np.pad(x, ((margin, margin), (margin, margin), (0, 0)))
    total = np.zeros((*x.shape[:2], kernel.shape[3])) + bias
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            rows = padded[i * dilation : i * dilation + x.shape[0]]
            total += rows[:, j * dilation : j * dilation + x.shape[1]] @ kernel[i, j].astype(np.float64)
    return np.maximum(total, 0)


def normalised_and_pooled(x: Plane, arrays: Arrays, number: int, pool: int) -> Plane:
    layer = f"batch_normalization_{number}"
    gamma, beta, mean, variance = (
        arrays[f"{layer}/{layer}/{name}:0"] for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    x = (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    rows, columns, channels = x.shape
    return x.reshape(rows // pool, pool, columns // pool, pool, channels).max(axis=(1, 3))


def dense(x: Plane, arrays: Arrays, first: int) -> float:
    def layer(number: int, x: Plane) -> Plane:
        name = f"dense_{number}/dense_{number}"
        return np.asarray(x @ arrays[f"{name}/kernel:0"] + arrays[f"{name}/bias:0"], dtype=np.float64)

    hidden = layer(first, x.ravel())
    return float(layer(first + 1, np.where(hidden > 0, hidden, 0.1 * hidden))[0])


def inception_by_hand(x: Plane, arrays: Arrays, first: int) -> Plane:
    parts = [convolved(x, arrays, first, 1)]
    for dilation in (1, 2, 3):
        k = first + 2 * dilation - 1
        parts.append(convolved(convolved(x, arrays, k, 1), arrays, k + 1, dilation))
    return np.concatenate(parts, axis=2)


@pytest.fixture(scope="module")
def face() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 255, (FACE_PX, FACE_PX, 3), dtype=np.uint8)


def logit(net: torch.nn.Module, face: NDArray[np.uint8]) -> float:
    with torch.inference_mode():
        return float(net(torch.from_numpy(face).permute(2, 0, 1)[None].float() / 255)[0])


def test_meso4_is_what_arithmetic_gives(face: NDArray[np.uint8]) -> None:
    first = 5  # the published files begin so: layers count on through the session that made them
    arrays = keras_arrays(MESO4, (8, 8, 16, 16), first)
    x = face / 255
    for k, pool in enumerate((2, 2, 2, 4)):
        x = normalised_and_pooled(convolved(x, arrays, first + k, 1), arrays, first + k, pool)
    assert logit(load_keras(meso4(), arrays), face) == pytest.approx(dense(x, arrays, first), rel=1e-3)


def test_meso_inception4_is_what_arithmetic_gives(face: NDArray[np.uint8]) -> None:
    arrays = keras_arrays(MESO_INCEPTION4, (11, 12, 16, 16), 1)
    x = normalised_and_pooled(inception_by_hand(face / 255, arrays, 1), arrays, 1, 2)
    x = normalised_and_pooled(inception_by_hand(x, arrays, 8), arrays, 2, 2)
    for k, (convolution, pool) in enumerate(((15, 2), (16, 4)), start=3):
        x = normalised_and_pooled(convolved(x, arrays, convolution, 1), arrays, k, pool)
    assert logit(load_keras(meso_inception4(), arrays), face) == pytest.approx(dense(x, arrays, 1), rel=1e-3)


def test_weights_of_the_other_network_are_refused() -> None:
    with pytest.raises(WeightsMismatch, match="want 16 layers conv2d, got 4"):
        load_keras(meso_inception4(), keras_arrays(MESO4, (8, 8, 16, 16), 1))


def test_array_of_another_shape_is_refused() -> None:
    arrays = keras_arrays(MESO4, (8, 8, 16, 16), 1)
    arrays["dense_2/dense_2/kernel:0"] = np.zeros((16, 2), np.float32)
    with pytest.raises(WeightsMismatch, match=r"shape \(2, 16\); want \(1, 16\)"):
        load_keras(meso4(), arrays)


def test_missing_and_changed_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"weights_Meso4_DF\.h5: is not there"):
        checked_files(tmp_path)
    (tmp_path / WEIGHTS[0].file).write_bytes(b"other")
    with pytest.raises(WeightsMismatch, match="of commit 2144d56"):
        checked_files(tmp_path)


def test_published_files_are_those_that_are_pinned() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not there")
    assert [path.name for path in checked_files(SHARED)] == [weights.file for weights in WEIGHTS]


def test_crop_is_the_one_of_their_pipeline() -> None:
    """Eyes 40 px apart, mouth 60 px below them: the side is 2.86 x 60 px, around the middle of the nose."""
    points = ((80.0, 100.0), (120.0, 100.0), (100.0, 136.0), (88.0, 160.0), (112.0, 160.0))
    face = as_mesonet_crops(Face((0, 0, 300, 300), points, 0.9))
    crop = crop_face(np.zeros((300, 300, 3), np.uint8), face, size_px=FACE_PX)
    corners = crop.to_source @ np.array([[0, 1], [0, 1], [1, 1]])
    side = CROP_PER_FEATURE * 60
    assert corners[:, 1] - corners[:, 0] == pytest.approx([side, side])
    assert corners.mean(axis=1) == pytest.approx([100, 0.75 * 136 + 0.25 * 100])
