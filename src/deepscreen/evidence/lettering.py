"""Text and plain shapes on pictures, with Pillow's bundled font: no font files of the machine are used."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from deepscreen.media.samples import Pixels

Rgb = tuple[int, int, int]
PAPER: Rgb = (255, 255, 255)
INK: Rgb = (25, 28, 33)
MUTED: Rgb = (88, 94, 104)
RULE: Rgb = (205, 209, 216)

# The bundled font knows little more than ASCII; typographic signs are set by their nearest plain ones.
PLAIN_SIGNS = str.maketrans(
    {"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{MULTIPLICATION SIGN}": "x"}
)


@lru_cache(maxsize=8)
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """The bundled typeface at *size_px*; raises RuntimeError where Pillow was built without FreeType."""
    face = ImageFont.load_default(size=size_px)
    if not isinstance(face, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow has no FreeType support here; install the Pillow wheel from PyPI")
    return face


def settable(text: str) -> str:
    """*text* as it can be set in one line: plain signs, and ``?`` for what the font or the line has no place for."""
    return "".join(c if " " <= c <= "~" or c in "°±·…" else "?" for c in text.translate(PLAIN_SIGNS))


def text_width(text: str, size_px: int) -> int:
    """Advance of *text* in pixels, rounded up."""
    return int(np.ceil(font(size_px).getlength(settable(text))))


def shortened(text: str, size_px: int, max_width_px: int) -> str:
    """*text* cut with an ellipsis so that it is at most *max_width_px* wide; empty where not even that fits."""
    if len(text) <= max_width_px and text_width(text, size_px) <= max_width_px:
        return text
    keep = min(len(text), max_width_px)  # no glyph is narrower than a pixel
    while keep and text_width(text[:keep].rstrip() + "…", size_px) > max_width_px:
        keep -= 1
    return text[:keep].rstrip() + "…" if keep else ""


class Sheet:
    """A white sheet to write on; positions are pixels from its top left corner."""

    def __init__(self, width_px: int, height_px: int, *, background: Rgb = PAPER) -> None:
        self._image = Image.new("RGB", (width_px, height_px), background)
        self._draw = ImageDraw.Draw(self._image)
        self.width_px = width_px
        self.height_px = height_px

    @classmethod
    def of(cls, pixels: Pixels) -> Sheet:
        """A sheet that begins as a copy of *pixels*."""
        sheet = cls(1, 1)
        sheet._image = Image.fromarray(np.array(pixels, dtype=np.uint8))
        sheet._draw = ImageDraw.Draw(sheet._image)
        sheet.height_px, sheet.width_px = pixels.shape[:2]
        return sheet

    def text(self, x: float, y: float, text: str, *, size_px: int = 14, ink: Rgb = INK, anchor: str = "la") -> None:
        """One line of text; *anchor* is Pillow's (``la``: left, ascender; ``mm``: middle of both)."""
        self._draw.text((x, y), settable(text), fill=ink, font=font(size_px), anchor=anchor)

    def line(self, start: tuple[float, float], end: tuple[float, float], *, ink: Rgb = RULE, width_px: int = 1) -> None:
        """A straight line."""
        self._draw.line((start, end), fill=ink, width=width_px)

    def box(
        self, left: float, top: float, right: float, bottom: float, *, fill: Rgb | None = None, ink: Rgb | None = None
    ) -> None:
        """A rectangle whose *right* and *bottom* edges are included."""
        self._draw.rectangle((left, top, right, bottom), fill=fill, outline=ink)

    def paste(self, pixels: Pixels, left: int, top: int) -> None:
        """Lays *pixels* on the sheet."""
        self._image.paste(Image.fromarray(pixels), (left, top))

    def upright(self, x: float, y: float, text: str, *, size_px: int = 13, ink: Rgb = MUTED) -> None:
        """Text that reads from bottom to top, centred on (*x*, *y*): the name of a vertical axis."""
        width, height = text_width(text, size_px) + 2, size_px + 6
        strip = Image.new("RGB", (width, height), PAPER)
        ImageDraw.Draw(strip).text((1, 2), settable(text), fill=ink, font=font(size_px))
        turned = strip.transpose(Image.Transpose.ROTATE_90)
        self._image.paste(turned, (int(x - turned.width / 2), int(y - turned.height / 2)))

    def pixels(self) -> Pixels:
        """What is on the sheet, RGB."""
        return np.array(self._image, dtype=np.uint8)
