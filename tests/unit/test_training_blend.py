"""Forgeries made for training: their masks are true, and they follow from their seed alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deepscreen.errors import ConfigError
from deepscreen.training.labelled import item_rng, read_manifest
from deepscreen.training.launder import launder
from deepscreen.training.self_blend import Blend, self_blend, self_splice

LANDMARKS = np.array([[90.0, 100.0], [150.0, 100.0], [120.0, 130.0], [100.0, 165.0], [140.0, 165.0]])
FACE_CENTRE = (120, 125)
SEEDS = range(8)


def picture(width: int = 240, height: int = 260) -> NDArray[np.uint8]:
    """Smooth colours with some grain, as a photograph has them."""
    ys, xs = np.mgrid[0:height, 0:width]
    smooth = np.stack([xs * 200 / width + 20, ys * 200 / height + 20, 120 + 60 * np.sin(xs / 25)], axis=-1)
    return (smooth + np.random.default_rng(0).normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8)


def forge(kind: str, seed: int) -> Blend:
    rng = np.random.default_rng(seed)
    return self_blend(picture(), LANDMARKS, rng) if kind == "face" else self_splice(picture(), rng)


@pytest.mark.parametrize("kind", ["face", "splice"])
@pytest.mark.parametrize("seed", SEEDS)
def test_mask_is_a_share_of_each_pixel(kind: str, seed: int) -> None:
    blend = forge(kind, seed)
    assert blend.mask.shape == picture().shape[:2]
    assert blend.mask.dtype == np.float32
    assert blend.mask.min() >= 0
    assert 0 < blend.mask.max() <= 1
    assert blend.pixels.shape == picture().shape
    assert blend.pixels.dtype == np.uint8


@pytest.mark.parametrize("kind", ["face", "splice"])
def test_forgery_changes_the_picture_more_where_the_mask_is(kind: str) -> None:
    """Where base and copy do not change roles, nothing beyond the mask is touched, and what is under it always is."""
    inside, outside = [], []
    for seed in range(24):
        blend = forge(kind, seed)
        change = np.abs(blend.pixels.astype(float) - picture()).mean(axis=2)
        if (change[blend.mask < 0.01] == 0).all():
            inside.append(change[blend.mask > 0.5 * blend.mask.max()].mean())
            outside.append(change[blend.mask < 0.01].mean())
    assert len(inside) >= 4
    assert min(inside) > 0.5
    assert max(outside) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_face_mask_lies_on_the_face(seed: int) -> None:
    mask = forge("face", seed).mask
    rows, columns = np.nonzero(mask > 0.5 * mask.max())
    assert abs(columns.mean() - FACE_CENTRE[0]) < 25
    assert abs(rows.mean() - FACE_CENTRE[1]) < 30
    assert 0.01 < (mask > 0.5 * mask.max()).mean() < 0.5


@pytest.mark.parametrize("kind", ["face", "splice"])
def test_forgery_follows_from_its_seed(kind: str) -> None:
    first, again, other = forge(kind, 1), forge(kind, 1), forge(kind, 2)
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.mask, again.mask)
    assert not np.array_equal(first.mask, other.mask)


def test_original_is_left_alone() -> None:
    """The bona fide twin must stay what it was."""
    pixels = picture()
    self_blend(pixels, LANDMARKS, np.random.default_rng(0))
    self_splice(pixels, np.random.default_rng(0))
    launder(pixels, np.random.default_rng(0))
    assert np.array_equal(pixels, picture())


def test_twins_that_are_laundered_alike_lose_the_same() -> None:
    """Same generator state, same chain: laundering cannot tell a forgery from its original."""
    original, forged = (launder(p, np.random.default_rng(5)) for p in (picture(), forge("face", 3).pixels))
    assert original.shape == forged.shape


@pytest.mark.parametrize("seed", SEEDS)
def test_laundered_picture_still_is_one(seed: int) -> None:
    out = launder(picture(), np.random.default_rng(seed))
    assert out.dtype == np.uint8
    assert out.ndim == 3
    assert out.shape[2] == 3
    assert min(out.shape[:2]) >= 32


@pytest.mark.parametrize("size", [(33, 40), (500, 64)])
def test_small_and_narrow_pictures_can_be_spliced(size: tuple[int, int]) -> None:
    blend = self_splice(picture(*size), np.random.default_rng(0))
    assert blend.pixels.shape[:2] == (size[1], size[0])


def test_generator_of_an_item_depends_on_item_purpose_and_seed_only() -> None:
    draws = [item_rng(*arguments).random() for arguments in (("a", "blend", 0),) * 2]
    others = [
        item_rng(*arguments).random() for arguments in (("b", "blend", 0), ("a", "launder", 0), ("a", "blend", 1))
    ]
    assert draws[0] == draws[1]
    assert len({draws[0], *others}) == 4


def write_manifest(folder: Path, *rows: str) -> Path:
    header = "path,label,kind,generator,source,group,mask_path"
    path = folder / "manifest.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_manifest_rows_come_in_order_of_their_key(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, "b.png,fake,splice,g,s2,g2,b_mask.png", "a.png,real,photo,,s1,g1,")
    first, second = read_manifest(manifest)
    assert (first.key, first.label, first.mask_path) == ("a.png", 0, None)
    assert (second.path, second.label, second.mask_path) == (tmp_path / "b.png", 1, tmp_path / "b_mask.png")


@pytest.mark.parametrize("row", ["a.png,unsure,photo,,s,g,"])
def test_unknown_label_is_refused(tmp_path: Path, row: str) -> None:
    with pytest.raises(ConfigError, match="unsure"):
        read_manifest(write_manifest(tmp_path, row))


def test_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a readable manifest"):
        read_manifest(tmp_path / "gone.csv")
