"""JPEG quantisation tables: whose they are, and whether a camera's file still looks as a camera wrote it.

*Sources:* ITU-T T.81 annex K and libjpeg ``jcparam.c`` (standard tables and their scaling by quality); Photoshop's
tables as collected in Pillow's ``JpegPresets``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image, JpegPresets

from deepscreen.findings.finding import Finding, finding
from deepscreen.findings.specimen import Specimen

# Luminance and chrominance, row by row (T.81, tables K.1 and K.2).
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99), (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99), *((99,) * 8 for _ in range(4)),
)  # fmt: skip
STANDARD = (tuple(sum(LUMINANCE, ())), tuple(sum(CHROMINANCE, ())))
SIGNS_FOR_NOTICE = 2


def scaled(table: Sequence[int], quality: int) -> list[int]:
    """A standard table at libjpeg's *quality*, 1 to 100."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return [min(255, max(1, (value * scale + 50) // 100)) for value in table]


def standard_quality(tables: dict[int, list[int]]) -> int | None:
    """The quality at which libjpeg writes exactly these tables, or None."""
    for quality in range(100, 0, -1):
        if all(list(table) == scaled(STANDARD[min(number, 1)], quality) for number, table in tables.items()):
            return quality
    return None


def nearest_quality(table: Sequence[int]) -> int:
    """The quality whose standard luminance table lies nearest."""
    return min(range(1, 101), key=lambda q: sum(abs(a - b) for a, b in zip(scaled(STANDARD[0], q), table, strict=True)))


def jpeg_tables(specimen: Specimen) -> Iterator[Finding]:
    """Whose tables the file has; and signs that a file which names a camera was saved again."""
    if specimen.format != "JPEG":
        return
    specimen.file.seek(0)
    image = Image.open(specimen.file, formats=["JPEG", "MPO"])
    tables: dict[int, list[int]] = {n: list(t) for n, t in getattr(image, "quantization", {}).items()}
    if not tables:
        return
    quality, preset = standard_quality(tables), _photoshop_preset(tables)
    frame = next((block.name for block in specimen.metadata.blocks if block.name.startswith("SOF")), "")
    facts = {
        "tables": len(tables),
        "is_progressive": frame in ("SOF2", "SOF10"),
        "nearest_quality": nearest_quality(next(iter(tables.values()))),
        "libjpeg_quality": quality,
        "photoshop_preset": preset,
    }
    yield finding("jpeg_tables", _whose(quality, preset), source="JPEG tables", facts=facts)
    yield from _saved_again(specimen, quality, preset, is_progressive=frame in ("SOF2", "SOF10"))


def _whose(quality: int | None, preset: str | None) -> str:
    if preset is not None:
        return f"The JPEG tables are Photoshop's, preset {preset}."
    if quality is not None:
        return f"The JPEG tables are those that libjpeg writes at quality {quality}, as very many programs do."
    return "The JPEG tables are neither libjpeg's nor Photoshop's presets; many cameras and phones have their own."


def _photoshop_preset(tables: dict[int, list[int]]) -> str | None:
    mine = [tables[number] for number in sorted(tables)]
    presets: dict[str, Any] = JpegPresets.presets
    for name, preset in presets.items():
        if [list(table) for table in preset["quantization"]] == mine:
            return name
    return None


def _saved_again(
    specimen: Specimen, quality: int | None, preset: str | None, *, is_progressive: bool
) -> Iterator[Finding]:
    """Signs that do not fit a file straight from the camera that it names."""
    exif, blocks = specimen.metadata.exif, specimen.metadata.blocks
    if not exif.get("Make") or not exif.get("Model"):
        return
    signs = {
        "libjpeg's tables": quality is not None,
        "Photoshop's tables": preset is not None,
        "a JFIF header": any(b.name == "APP0" and b.data.startswith(b"JFIF") for b in blocks),
        "progressive coding": is_progressive,
        "no maker note": "MakerNote" not in exif,
        "no embedded thumbnail": not specimen.metadata.thumbnail,
        "a comment": any(b.name == "COM" for b in blocks),
    }
    found = [sign for sign, there in signs.items() if there]
    if len(found) >= SIGNS_FOR_NOTICE:
        yield finding(
            "camera_file_saved_again",
            f"The file names a camera, but shows {', '.join(found)}: as after saving again. Some phones write such "
            "files.",
            source="JPEG tables",
            severity="notice",
            facts={"make": exif["Make"], "model": exif["Model"], "signs": len(found), "libjpeg_quality": quality},
        )
