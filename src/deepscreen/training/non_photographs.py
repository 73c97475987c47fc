"""Pictures that are no photographs, drawn here: charts, pages, windows, diagrams, cartoons, maps.

Labelled ones are few (a score of them), and each is from another source; these widen what the applicability gate knows.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np

from deepscreen.media.samples import Pixels

Colour = tuple[int, int, int]
Draw = Callable[[Pixels, np.random.Generator], None]
SIDES_PX = (320, 900)
WORDS = (
    "the",
    "record",
    "was",
    "found",
    "with",
    "no",
    "other",
    "sign",
    "two",
    "in",
    "a",
    "row",
    "sent",
    "to",
    "them",
    "by",
)
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)


def draw_non_photograph(rng: np.random.Generator) -> Pixels:
    """One made picture, uint8 RGB, of random kind and size."""
    height, width = (int(v) for v in rng.integers(*SIDES_PX, 2))
    canvas = np.full((height, width, 3), _paper(rng), np.uint8)
    KINDS[int(rng.integers(len(KINDS)))](canvas, rng)
    return canvas


def _paper(rng: np.random.Generator) -> Colour:
    """White mostly, else a tint or a dark theme."""
    chance = rng.random()
    if chance < 0.5:
        return (255, 255, 255)
    low, high = (225, 255) if chance < 0.8 else (15, 60)
    return _rgb(rng.integers(low, high, 3))


def _rgb(values: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Colour:
    return int(values[0]), int(values[1]), int(values[2])


def _colour(rng: np.random.Generator) -> Colour:
    return _rgb(rng.integers(0, 256, 3))


def _ink(canvas: Pixels, rng: np.random.Generator) -> Colour:
    is_dark = int(canvas[0, 0].mean()) < 128
    return _rgb(rng.integers(200, 256, 3) if is_dark else rng.integers(0, 80, 3))


def _spot(canvas: Pixels, rng: np.random.Generator) -> tuple[int, int]:
    return int(rng.integers(0, canvas.shape[1])), int(rng.integers(0, canvas.shape[0]))


def _write(canvas: Pixels, rng: np.random.Generator, at: tuple[int, int], scale: float, ink: Colour) -> None:
    words = " ".join(rng.choice(WORDS, int(rng.integers(1, 12))))
    font = FONTS[int(rng.integers(len(FONTS)))]
    cv2.putText(canvas, words, at, font, scale, ink, 1 + int(scale > 0.9), cv2.LINE_AA)


def _page(canvas: Pixels, rng: np.random.Generator) -> None:
    """Lines of text, some of them headings."""
    ink, y, scale = _ink(canvas, rng), 30, float(rng.uniform(0.35, 0.8))
    while y < canvas.shape[0]:
        heading = rng.random() < 0.12
        _write(canvas, rng, (20, y), scale * (1.6 if heading else 1.0), ink)
        y += int(scale * (60 if heading else 34))


def _chart(canvas: Pixels, rng: np.random.Generator) -> None:
    """Axes with bars or curves and a title."""
    height, width = canvas.shape[:2]
    ink = _ink(canvas, rng)
    left, bottom = width // 8, height * 7 // 8
    cv2.line(canvas, (left, height // 8), (left, bottom), ink, 1, cv2.LINE_AA)
    cv2.line(canvas, (left, bottom), (width * 15 // 16, bottom), ink, 1, cv2.LINE_AA)
    count = int(rng.integers(4, 24))
    steps = np.linspace(left + 8, width * 15 // 16, count + 1).astype(int)
    for _ in range(int(rng.integers(1, 4))):
        colour = _colour(rng)
        tops = (bottom - rng.uniform(0.05, 0.85, count + 1) * (bottom - height // 8)).astype(int)
        if rng.random() < 0.5:
            for x, after, top in zip(steps[:-1], steps[1:], tops[:-1], strict=True):
                cv2.rectangle(canvas, (int(x), int(top)), (int(after) - 3, bottom), colour, -1)
        else:
            cv2.polylines(canvas, [np.stack([steps, tops], axis=1).astype(np.int32)], False, colour, 2, cv2.LINE_AA)
    _write(canvas, rng, (left, height // 10), 0.6, ink)


def _window(canvas: Pixels, rng: np.random.Generator) -> None:
    """A program's window: bars, panels, buttons, lists."""
    height, width = canvas.shape[:2]
    cv2.rectangle(canvas, (0, 0), (width, 36), _colour(rng), -1)
    cv2.rectangle(canvas, (0, 36), (width // 5, height), _rgb(rng.integers(180, 250, 3)), -1)
    for _ in range(int(rng.integers(6, 20))):
        x, y = _spot(canvas, rng)
        size = int(rng.integers(50, 220)), int(rng.integers(18, 60))
        cv2.rectangle(canvas, (x, y), (x + size[0], y + size[1]), _colour(rng), -1 if rng.random() < 0.6 else 1)
        _write(canvas, rng, (x + 6, y + 16), 0.4, _ink(canvas, rng))


def _diagram(canvas: Pixels, rng: np.random.Generator) -> None:
    """Boxes and circles joined by arrows."""
    ink = _ink(canvas, rng)
    spots = [_spot(canvas, rng) for _ in range(int(rng.integers(4, 12)))]
    for before, after in pairwise(spots):
        cv2.arrowedLine(canvas, before, after, ink, 1, cv2.LINE_AA, tipLength=0.05)
    for x, y in spots:
        w, h = int(rng.integers(30, 90)), int(rng.integers(16, 40))
        if rng.random() < 0.5:
            cv2.rectangle(canvas, (x - w, y - h), (x + w, y + h), _colour(rng), -1)
        else:
            cv2.ellipse(canvas, (x, y), (w, h), 0, 0, 360, _colour(rng), -1, cv2.LINE_AA)
        _write(canvas, rng, (x - w + 4, y), 0.4, ink)


def _cartoon(canvas: Pixels, rng: np.random.Generator) -> None:
    """Flat shapes with outlines, some with a gradient behind them."""
    height, width = canvas.shape[:2]
    if rng.random() < 0.5:
        ramp = np.linspace(0, 1, height)[:, None, None]
        canvas[:] = (ramp * np.array(_colour(rng)) + (1 - ramp) * np.array(_colour(rng))).astype(np.uint8)
    for _ in range(int(rng.integers(4, 20))):
        centre = np.array(_spot(canvas, rng))
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 14))))
        reach = rng.uniform(0.05, 0.35) * min(height, width) * rng.uniform(0.6, 1.0, len(angles))
        shape = (centre + np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach[:, None]).astype(np.int32)
        cv2.fillPoly(canvas, [shape], _colour(rng), cv2.LINE_AA)
        if rng.random() < 0.6:
            cv2.polylines(canvas, [shape], True, (20, 20, 20), int(rng.integers(1, 4)), cv2.LINE_AA)


def _map(canvas: Pixels, rng: np.random.Generator) -> None:
    """Roads and blocks with names."""
    for _ in range(int(rng.integers(5, 12))):
        x, y = _spot(canvas, rng)
        size = int(rng.integers(40, 200)), int(rng.integers(40, 200))
        cv2.rectangle(canvas, (x, y), (x + size[0], y + size[1]), _rgb(rng.integers(190, 245, 3)), -1)
    for _ in range(int(rng.integers(6, 16))):
        points = np.array([_spot(canvas, rng) for _ in range(int(rng.integers(2, 6)))], np.int32)
        cv2.polylines(canvas, [points], False, _colour(rng), int(rng.integers(1, 8)), cv2.LINE_AA)
        _write(canvas, rng, _spot(canvas, rng), 0.4, _ink(canvas, rng))


KINDS: tuple[Draw, ...] = (_page, _chart, _window, _diagram, _cartoon, _map)
