"""The strip below a saliency picture: title, colour bar with its unit, and how far the map can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepscreen.detectors.contract import Faithfulness
from deepscreen.evidence.lettering import INK, MUTED, RULE, Sheet, shortened, text_width
from deepscreen.evidence.scale import LEVELS, SCALE_HIGH, SCALE_LOW, SCALE_UNIT, blend
from deepscreen.media.samples import Pixels

MIN_WIDTH_PX = 480
PAD_PX = 14
TITLE_PX, TEXT_PX, SMALL_PX = 17, 14, 13
BAR_HEIGHT_PX = 16
BAR_MAX_WIDTH_PX = 420
BAR_BLOCK_HEIGHT_PX = 74
# Wide enough for the colour bar and the notes side by side.
TWO_COLUMNS_PX = 900
LINE_PX = 20
# A tint is matched by eye against a photograph, so the bar shows it on a mid grey as well.
BAR_GROUND = 170
TICKS = (-4, -2, 0, 2, 4)
MASKING_NOTE = "Change of the log-odds when that part of the picture is masked:"


def faithfulness_note(subject: str, faithfulness: Faithfulness) -> str:
    """The figures of one map as a sentence: how masking the hottest part moves the log-odds, beside a random part."""
    part = f"{faithfulness.masked_fraction * 100:.0f} %"
    hottest, random = -faithfulness.drop_hottest + 0.0, -faithfulness.drop_random + 0.0
    return f"{subject}: hottest {part} masked: {hottest:+.2f}, random {part}: {random:+.2f}"


def draw_legend(width_px: int, *, title: str, notes: Sequence[str]) -> Pixels:
    """A white strip *width_px* wide (at least ``MIN_WIDTH_PX``) with title, colour bar and *notes*, one a line."""
    width = max(width_px, MIN_WIDTH_PX)
    beside = width >= TWO_COLUMNS_PX
    top = PAD_PX + TITLE_PX + 12
    notes_top = top if beside else top + BAR_BLOCK_HEIGHT_PX + 6
    notes_bottom = notes_top + LINE_PX * len(notes)
    sheet = Sheet(width, max(notes_bottom, top + BAR_BLOCK_HEIGHT_PX) + PAD_PX - 4)
    sheet.line((0, 0), (width, 0))
    sheet.text(PAD_PX, PAD_PX - 3, shortened(title, TITLE_PX, width - 2 * PAD_PX), size_px=TITLE_PX)
    _draw_bar(sheet, PAD_PX, top, min(BAR_MAX_WIDTH_PX, width - 2 * PAD_PX))
    left = PAD_PX + BAR_MAX_WIDTH_PX + 2 * PAD_PX if beside else PAD_PX
    _draw_notes(sheet, left, notes_top, notes)
    return sheet.pixels()


def _draw_notes(sheet: Sheet, left: int, top: int, notes: Sequence[str]) -> None:
    for row, note in enumerate(notes):
        fitted = shortened(note, SMALL_PX, sheet.width_px - left - PAD_PX)
        sheet.text(left, top + row * LINE_PX, fitted, size_px=SMALL_PX, ink=INK)


def _draw_bar(sheet: Sheet, left: int, top: int, width: int) -> None:
    sheet.text(left, top, "supports bona fide", size_px=SMALL_PX, ink=MUTED)
    sheet.text(left + width, top, "supports synthetic or manipulated", size_px=SMALL_PX, ink=MUTED, anchor="ra")
    bar_top = top + LINE_PX
    sheet.paste(_bar(width), left, bar_top)
    sheet.box(left, bar_top, left + width - 1, bar_top + BAR_HEIGHT_PX - 1, ink=RULE)
    for tick in TICKS:
        x = left + (tick - SCALE_LOW) / (SCALE_HIGH - SCALE_LOW) * (width - 1)
        sheet.line((x, bar_top + BAR_HEIGHT_PX), (x, bar_top + BAR_HEIGHT_PX + 4), ink=MUTED)
        label = f"{tick:+d}" if tick else "0"
        half = text_width(label, SMALL_PX) / 2
        sheet.text(min(max(x, left + half), left + width - half), bar_top + 22, label, size_px=SMALL_PX, anchor="ma")
    sheet.text(left, bar_top + 38, f"{SCALE_UNIT}, fixed scale", size_px=SMALL_PX, ink=MUTED)


def _bar(width: int) -> Pixels:
    levels = np.linspace(0, LEVELS - 1, width).round().astype(np.uint8)
    ground = np.full((BAR_HEIGHT_PX, width, 3), BAR_GROUND, dtype=np.uint8)
    return blend(ground, np.ascontiguousarray(np.broadcast_to(levels, (BAR_HEIGHT_PX, width))))
