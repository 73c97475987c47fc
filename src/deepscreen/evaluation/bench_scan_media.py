"""The files that the benchmark of scans goes through: many small pictures from ``sample_media/``, and tiny files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from pillow_heif import register_heif_opener

from deepscreen.media.samples import Pixels

SOURCES = (
    "bona_fide/portrait_hopper.jpg",
    "bona_fide/portrait_collins.png",
    "bona_fide/dogs.webp",
    "bona_fide/fig.heic",
    "spoof/face_swap.jpg",
    "spoof/spliced_bird.heic",
)
SIDES_PX = (320, 640)  # of the pictures, both sides, smallest and largest
SMALLEST_CROP = 0.5  # of the source's sides
NOISE_LEVELS = 4.0
QUALITIES = (75, 95)
TINY_BYTES = (1024, 4096)
TINY_CONTENTS = 20
FILES_A_FOLDER = 500
SEED = 20261130


def make_pictures(samples: Path, folder: Path, numbers: range) -> None:
    """JPEGs that all differ: crops of the sample pictures, scaled, mirrored, with noise of their own."""
    sources = [_read(samples / name) for name in SOURCES]
    for number in numbers:
        rng = np.random.default_rng((SEED, number))
        picture = _varied(sources[number % len(sources)], rng)
        quality = int(rng.integers(*QUALITIES))
        target = _place(folder, number, ".jpg")
        cv2.imwrite(str(target), picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])


def make_tiny_files(folder: Path, count: int) -> None:
    """*count* files of 1 to 4 kB that are no media, of few contents: all but some are copies."""
    rng = np.random.default_rng(SEED)
    contents = [rng.bytes(int(rng.integers(*TINY_BYTES))) for _ in range(TINY_CONTENTS)]
    for number in range(count):
        _place(folder, number, "").write_bytes(contents[number % TINY_CONTENTS])


def file_paths(folder: Path) -> Iterator[Path]:
    """The files below *folder*, in order."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _varied(source: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = source.shape[:2]
    share = rng.uniform(SMALLEST_CROP, 1.0)
    rows, columns = int(height * share), int(width * share)
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    crop = source[top : top + rows, left : left + columns]
    long_px = int(rng.integers(SIDES_PX[0], SIDES_PX[1] + 1))
    scale = long_px / max(rows, columns)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        small = small[:, ::-1]
    noise = rng.standard_normal(small.shape, dtype=np.float32) * NOISE_LEVELS
    return np.asarray(np.clip(small + noise + rng.uniform(-12, 12), 0, 255), dtype=np.uint8)


def _place(folder: Path, number: int, suffix: str) -> Path:
    own = folder / f"{number // FILES_A_FOLDER:04}"
    own.mkdir(parents=True, exist_ok=True)
    return own / f"{number:06}{suffix}"


def _read(path: Path) -> Pixels:
    register_heif_opener()
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)
