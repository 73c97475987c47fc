"""Decode pictures with Pillow: upright, RGB, 8 bits, full size. Runs in the decoder process.

Pixels are not colour-managed: detectors learn from values as stored, and so see them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import (  # the plugins of the formats in sniff.py; Pillow would import them one by one, on first use
    AvifImagePlugin,  # noqa: F401
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from deepscreen.errors import MediaError, MediaTooLarge, UndecodableMedia, UnsupportedMedia
from deepscreen.findings.finding import Finding, finding
from deepscreen.media.samples import Pixels
from deepscreen.media.sniff import Sniffed

ANIMATED_FORMATS = frozenset({"GIF", "PNG", "WEBP", "AVIF"})
BACKGROUND = (255, 255, 255)
ROWS_AT_ONCE = 64
ORIENTATION_TAG = 274
NEW_SUBFILE_TYPE_TAG = 254
DNG_VERSION_TAG = 50706
# How a picture with each EXIF orientation is turned upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

pillow_heif.register_heif_opener()


@contextmanager
def pillow_errors(format_name: str) -> Iterator[None]:
    """Turn whatever Pillow raises on broken content into UndecodableMedia. Its plugins raise almost anything."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (MediaError, MemoryError, BrokenPipeError, ConnectionError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MediaTooLarge(f"{format_name} picture is too large: {error}") from error
    except UnidentifiedImageError as error:  # its text holds a memory address
        raise UndecodableMedia(f"{format_name} picture cannot be decoded: its header is broken") from error
    except Exception as error:
        raise UndecodableMedia(f"{format_name} picture cannot be decoded: {error}") from error


def open_picture(file: BinaryIO, sniffed: Sniffed, *, max_pixels: int) -> Image.Image:
    """The opened, not yet decoded picture. Its size is checked from the header: raises MediaTooLarge."""
    Image.MAX_IMAGE_PIXELS = max_pixels
    formats = ["JPEG", "MPO"] if sniffed.format == "JPEG" else [sniffed.format]
    try:
        image = Image.open(file, formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MediaTooLarge(f"{sniffed.format} picture has more than {max_pixels} pixels") from error
    if image.width * image.height > max_pixels:
        raise MediaTooLarge(
            f"{image.width} x {image.height} pixels; at most {max_pixels} are decoded (setting limits.max_pixels)"
        )
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _refuse_camera_raw(image)
    return image


def _refuse_camera_raw(image: TiffImagePlugin.TiffImageFile) -> None:
    """Raw files (DNG, NEF, ARW) are TIFFs whose first picture is a small preview, not the photograph."""
    if DNG_VERSION_TAG in image.tag_v2 or int(image.tag_v2.get(NEW_SUBFILE_TYPE_TAG, 0)) & 1:
        raise UnsupportedMedia("a camera raw file: only a preview could be read; export it as TIFF or JPEG")


def is_animated(image: Image.Image) -> bool:
    """More than one frame, in a format whose frames are moments and not pages."""
    return image.format in ANIMATED_FORMATS and getattr(image, "n_frames", 1) > 1


def upright_rgb(image: Image.Image) -> tuple[Image.Image, tuple[Finding, ...]]:
    """The picture decoded, RGB and upright, and what was done to make it so."""
    pages = getattr(image, "n_frames", 1)
    is_deep = _has_16_bit_tiles(image)  # before anything else: reading EXIF decodes a PNG
    # The HEIF plugin has the picture turned by libheif, and keeps what it was under this key.
    orientation = image.info.get("original_orientation") or _orientation(image)
    image.load()
    rgb, facts = to_rgb(image)
    if is_deep:
        facts += (finding("high_bit_depth_scaled", "16 bits per channel were scaled to 8", source="decoding"),)
    if pages > 1 and not is_animated(image):
        facts += (finding("multi_page", f"the file holds {pages} pictures; the first was screened", source="decoding"),)
    turn = UPRIGHT.get(_orientation(image))  # none where the plugin has turned it (TIFF, HEIF)
    if orientation != 1:
        facts += (finding("orientation_applied", f"EXIF orientation {orientation} was applied", source="decoding"),)
    return (rgb.transpose(turn) if turn is not None else rgb), facts


def _orientation(image: Image.Image) -> int:
    """EXIF orientation that still has to be applied; broken EXIF counts as 1, for the picture itself may be sound."""
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:
        return 1
    return int(value) if value in UPRIGHT else 1


def _has_16_bit_tiles(image: Image.Image) -> bool:
    """Whether Pillow reads 16-bit RGB, which it can only keep as 8 bits (greyscale keeps its 16: see ``to_rgb``)."""
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())) and not image.mode.startswith("I")


def to_rgb(image: Image.Image) -> tuple[Image.Image, tuple[Finding, ...]]:
    """*image* (loaded, any mode) as RGB, and the facts of the conversion."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image, ()
    if image.mode.startswith("I") or image.mode == "F":
        grey = Image.fromarray(scaled_to_8_bits(np.asarray(image)))
        return grey.convert("RGB"), (
            finding("high_bit_depth_scaled", f"mode {image.mode} was scaled to 8 bits", source="decoding"),
        )
    if image.has_transparency_data:
        return _on_background(image.convert("RGBA"))
    if image.mode == "CMYK":
        return image.convert("RGB"), (
            finding("cmyk_converted", "CMYK was converted to RGB without a colour profile", source="decoding"),
        )
    return image.convert("RGB"), ()


def _on_background(image: Image.Image) -> tuple[Image.Image, tuple[Finding, ...]]:
    lowest_alpha = image.getchannel("A").getextrema()[0]
    if lowest_alpha == 255:
        return image.convert("RGB"), ()
    flat = Image.new("RGB", image.size, BACKGROUND)
    flat.paste(image, mask=image.getchannel("A"))
    return flat, (finding("alpha_composited", "transparent pixels were laid over white", source="decoding"),)


def scaled_to_8_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Greyscale of any depth as 8 bits, scaled by the range of the number format, never clipped.

    16-bit: the high byte. 32-bit integers and floats have no agreed white: the smallest of 1 (floats), 255, 65,535
    or the largest value that holds all values is taken as white. NaN and negative values are black.
    """
    if values.dtype.itemsize == 2:
        return (values.astype(np.uint16) >> 8).astype(np.uint8)
    grey = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(grey.max(initial=0.0))
    steps = (1.0, 255.0, 65535.0) if np.issubdtype(values.dtype, np.floating) else (255.0, 65535.0)
    white = next((step for step in steps if top <= step), top)
    scaled: NDArray[np.uint8] = np.clip(grey * (255.0 / white), 0, 255).astype(np.uint8)
    return scaled


def copy_pixels(image: Image.Image, target: Pixels) -> None:
    """Write an RGB picture into *target* (height, width, 3).

    In bands, since a whole copy more costs time and memory. Pillow keeps four bytes a pixel and needs 90 ms to give 12
    megapixels as three; four as they are, and OpenCV to drop the fourth, take 10.
    """
    for top in range(0, image.height, ROWS_AT_ONCE):
        bottom = min(top + ROWS_AT_ONCE, image.height)
        four = np.frombuffer(image.crop((0, top, image.width, bottom)).tobytes("raw", "RGBX"), np.uint8)
        cv2.cvtColor(four.reshape(bottom - top, image.width, 4), cv2.COLOR_RGBA2RGB, dst=target[top:bottom])
