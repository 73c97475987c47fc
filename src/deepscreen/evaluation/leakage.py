"""Leakage tests: does a figure come from what a data set's two classes do not share beside being true or not?

Where bona fide files are JPEG and spoofs are PNG, a method that reads the format alone looks perfect. Each test takes
such a difference away, or turns it round, before anything is scored. Pixels come from the sandboxed decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from deepscreen.errors import ConfigError, MediaError
from deepscreen.evaluation.datasets.item import Item
from deepscreen.media.intake import Intake, take_in
from deepscreen.media.samples import Pixels
from deepscreen.media.sandbox import Decoder
from deepscreen.settings import Limits

LeakageTest = Literal["none", "format-swapped", "recoded", "resized", "label-shuffled"]
SWAPPED_JPEG_QUALITY = 92
RECODED_JPEG_QUALITY = 75
RESIZED_SIDE_PX = 512
LOSSLESS = frozenset({"png", "bmp", "gif", "tiff"})
WHAT_WAS_DONE: Mapping[LeakageTest, str] = {
    "none": "Files were scored as they are.",
    "format-swapped": (
        "Every picture was stored in the other format before it was scored: those stored without loss "
        f"({', '.join(sorted(LOSSLESS))}) as JPEG at quality {SWAPPED_JPEG_QUALITY}, all others as PNG. Where the "
        "classes differ in format, the difference is turned round; a figure that falls below 0.5 read the format."
    ),
    "recoded": (
        f"Every picture of both classes was stored as JPEG at quality {RECODED_JPEG_QUALITY} before it was scored, so "
        "that neither format nor the last compression tells the classes apart."
    ),
    "resized": (
        f"Of every picture of both classes the central square was brought to {RESIZED_SIDE_PX} x {RESIZED_SIDE_PX} px "
        "and stored as PNG before it was scored, so that neither size nor shape tells the classes apart."
    ),
    "label-shuffled": (
        "Labels were permuted among the files by a seeded generator. Nothing can be learnt from such labels: the AUC "
        "must be 0.5, and an interval that does not hold 0.5 means that the evaluation itself is wrong."
    ),
}


@dataclass(frozen=True, slots=True)
class _Stored:
    """How a copy is stored."""

    suffix: str
    jpeg_quality: int = 0

    def encode(self, pixels: Pixels) -> bytes:
        """The bytes of a file."""
        options = [cv2.IMWRITE_JPEG_QUALITY, self.jpeg_quality] if self.suffix == ".jpg" else []
        _, data = cv2.imencode(self.suffix, np.ascontiguousarray(pixels[:, :, ::-1]), options)
        return data.tobytes()


Transform = Callable[[Pixels, str], tuple[Pixels, _Stored]]


def shuffled(items: Sequence[Item], *, seed: int) -> list[Item]:
    """The same files, their labels permuted; within a modality, so that each keeps its share of spoofs."""
    rng = np.random.default_rng(seed)
    result = list(items)
    for modality in sorted({item.modality for item in items}):
        members = [k for k, item in enumerate(items) if item.modality == modality]
        for k, other in zip(members, rng.permutation(members), strict=True):
            given = items[int(other)]
            file = replace(items[k].file, label=given.file.label)
            result[k] = replace(items[k], file=file, audio_label=given.audio_label)
    return result


def transformed(
    items: Sequence[Item], test: LeakageTest, folder: Path, limits: Limits, on_item: Callable[[], None]
) -> list[Item]:
    """The same pictures, changed as *test* says, below *folder*; what cannot be decoded stays as it is, to be counted.

    Copies that are there already, by the sha256 of the original, are not made again. Raises ConfigError for a data set
    that is not of pictures.
    """
    other = [item for item in items if item.modality != "image"]
    if other:
        raise ConfigError(
            f"--leakage {test}: is there for pictures only, but {len(other)} of {len(items)} files are "
            f"{' and '.join(sorted({item.modality for item in other}))}; label-shuffled is there for all"
        )
    folder.mkdir(parents=True, exist_ok=True)
    result = []
    with Decoder(limits) as decoder:
        for item in items:
            result.append(_changed(item, _TRANSFORMS[test], folder, decoder, limits))
            on_item()
    return result


def _changed(item: Item, transform: Transform, folder: Path, decoder: Decoder, limits: Limits) -> Item:
    try:
        intake = take_in(item.file.path, limits=limits)
        known = next((p for p in (folder / f"{intake.sha256}{s}" for s in (".jpg", ".png")) if p.exists()), None)
        path = known or _write_copy(intake, transform, folder, decoder)
    except MediaError:
        return item
    return replace(item, file=replace(item.file, path=path)) if path is not None else item


def _write_copy(intake: Intake, transform: Transform, folder: Path, decoder: Decoder) -> Path | None:
    """The copy; None for a file that turns out to be no still picture."""
    examined = decoder.examine(intake)
    if examined.still is None:
        return None
    pixels, stored = transform(examined.still.pixels, examined.facts.container)
    path = folder / f"{intake.sha256}{stored.suffix}"
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(stored.encode(pixels))
    unfinished.replace(path)
    return path


def _swap_format(pixels: Pixels, container: str) -> tuple[Pixels, _Stored]:
    is_lossless = container.lower() in LOSSLESS
    return pixels, _Stored(".jpg", SWAPPED_JPEG_QUALITY) if is_lossless else _Stored(".png")


def _recode(pixels: Pixels, container: str) -> tuple[Pixels, _Stored]:
    del container  # all alike
    return pixels, _Stored(".jpg", RECODED_JPEG_QUALITY)


def _resize(pixels: Pixels, container: str) -> tuple[Pixels, _Stored]:
    del container
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[top : top + side, left : left + side]
    method = cv2.INTER_AREA if side > RESIZED_SIDE_PX else cv2.INTER_CUBIC
    size = (RESIZED_SIDE_PX, RESIZED_SIDE_PX)
    return np.asarray(cv2.resize(square, size, interpolation=method), dtype=np.uint8), _Stored(".png")


_TRANSFORMS: Mapping[LeakageTest, Transform] = {
    "format-swapped": _swap_format,
    "recoded": _recode,
    "resized": _resize,
}
