"""Where in time and frequency: saliency of one window of sound on its log-mel spectrogram."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.contract import SpectrogramSaliency
from deepscreen.evidence.axes import clock, time_ticks
from deepscreen.evidence.legend import draw_legend, faithfulness_note
from deepscreen.evidence.lettering import MUTED, Sheet, shortened
from deepscreen.evidence.png import encode_png
from deepscreen.evidence.scale import blend, to_levels
from deepscreen.media.samples import Pixels

WIDTH_PX, PLOT_HEIGHT_PX = 1200, 300
LEFT_PX, RIGHT_PX, TOP_PX = 76, 1164, 38
PLOT_WIDTH_PX = RIGHT_PX - LEFT_PX
BELOW_PX = 44
# Range of grey below the loudest cell: what is quieter is black.
RANGE_DB = 80.0
# Black and white carry no tint well; the grey keeps away from both ends.
GREY_LOW, GREY_HIGH = 36, 220
FREQUENCIES_HZ = (60, 125, 250, 500, 1000, 2000, 3000, 4000, 6000, 8000, 12000, 16000, 20000)
MIN_TICK_DISTANCE_PX = 17
MAX_TIME_TICKS = 10
MASKING_NOTE = "Change of the log-odds when those cells are masked:"
LEVEL_NOTE = f"Grey: sound level, {RANGE_DB:.0f} dB down from the loudest cell of this window"


def render_spectrogram(saliency: SpectrogramSaliency, *, title: str) -> bytes:
    """PNG, 1200 px wide: the log-mel spectrogram in grey under the saliency on its fixed scale, axes in Hz and mm:ss.

    Low frequencies are at the bottom. Raises ValueError for a map that is withheld (see ``is_shown``), for arrays that
    do not belong together, and for values that are not finite.
    """
    _check(saliency)
    sheet = Sheet(WIDTH_PX, TOP_PX + PLOT_HEIGHT_PX + BELOW_PX)
    sheet.text(LEFT_PX, 9, shortened(title, 17, PLOT_WIDTH_PX), size_px=17)
    sheet.paste(_plot(saliency), LEFT_PX, TOP_PX)
    _frequency_axis(sheet, saliency.mel_frequencies_hz)
    _time_axis(sheet, saliency.start_seconds, saliency.end_seconds)
    stretch = f"sound {clock(saliency.start_seconds, decimals=2)} to {clock(saliency.end_seconds, decimals=2)}"
    notes = [LEVEL_NOTE, MASKING_NOTE, faithfulness_note(stretch, saliency.faithfulness)]
    legend = draw_legend(WIDTH_PX, title="Where the log-odds come from", notes=notes)
    return encode_png(np.concatenate([sheet.pixels(), legend], axis=0))


def _check(saliency: SpectrogramSaliency) -> None:
    values, power, mels = saliency.values, saliency.log_power_db, saliency.mel_frequencies_hz
    if not saliency.faithfulness.beats_random:
        raise ValueError("spectrogram: a map that does not beat random is withheld; ask is_shown() before rendering")
    if values.shape != power.shape or values.ndim != 2 or 0 in values.shape or mels.shape != values.shape[:1]:
        got = f"{values.shape}, {power.shape}, {mels.shape}"
        raise ValueError(f"spectrogram: want values and log_power_db (mels, frames) and mels (mels,), got {got}")
    if not all(np.isfinite(part).all() for part in (values, power, mels)):
        raise ValueError("spectrogram: values, levels and frequencies must be finite numbers")
    if not np.isfinite(saliency.end_seconds) or saliency.end_seconds <= saliency.start_seconds:
        raise ValueError(f"spectrogram: want start < end, got {saliency.start_seconds} and {saliency.end_seconds}")


def _plot(saliency: SpectrogramSaliency) -> Pixels:
    """Both arrays drawn to the plot's size, lowest frequency at the bottom, the saliency over the grey."""
    size = (PLOT_WIDTH_PX, PLOT_HEIGHT_PX)
    level = np.clip(1.0 + (saliency.log_power_db - saliency.log_power_db.max()) / RANGE_DB, 0.0, 1.0)
    grey = np.asarray(np.rint(GREY_LOW + level * (GREY_HIGH - GREY_LOW)), dtype=np.uint8)
    ground = cv2.resize(_rising(grey), size, interpolation=cv2.INTER_LINEAR)
    values = np.asarray(saliency.values, dtype=np.float32)
    smooth = cv2.resize(_rising(values), size, interpolation=cv2.INTER_CUBIC)
    levels = to_levels(np.clip(smooth, values.min(), values.max()))
    return blend(np.asarray(cv2.cvtColor(ground, cv2.COLOR_GRAY2RGB), dtype=np.uint8), levels)


def _rising(rows: NDArray[Any]) -> NDArray[Any]:
    """Row 0, the lowest frequency, goes to the bottom of the picture."""
    return np.ascontiguousarray(rows[::-1])


def _frequency_axis(sheet: Sheet, mel_frequencies_hz: NDArray[np.float64]) -> None:
    """Ticks where the rows' own centre frequencies put them, as many as have room."""
    rows = len(mel_frequencies_hz)
    last_y = np.inf
    for hz in FREQUENCIES_HZ:
        if not mel_frequencies_hz[0] <= hz <= mel_frequencies_hz[-1]:
            continue
        row = float(np.interp(hz, mel_frequencies_hz, np.arange(rows)))
        y = TOP_PX + PLOT_HEIGHT_PX * (1.0 - (row + 0.5) / rows)
        if last_y - y < MIN_TICK_DISTANCE_PX:
            continue
        last_y = y
        sheet.line((LEFT_PX - 5, y), (LEFT_PX - 1, y), ink=MUTED)
        sheet.text(LEFT_PX - 8, y, f"{hz}", size_px=13, anchor="rm")
    sheet.upright(14, TOP_PX + PLOT_HEIGHT_PX / 2, "frequency, Hz (mel scale)", size_px=12)


def _time_axis(sheet: Sheet, start_seconds: float, end_seconds: float) -> None:
    bottom = TOP_PX + PLOT_HEIGHT_PX
    for seconds, label in time_ticks(start_seconds, end_seconds, max_ticks=MAX_TIME_TICKS):
        x = LEFT_PX + (seconds - start_seconds) / (end_seconds - start_seconds) * PLOT_WIDTH_PX
        sheet.line((x, bottom), (x, bottom + 5), ink=MUTED)
        sheet.text(x, bottom + 8, label, size_px=13, anchor="ma")
    sheet.text(LEFT_PX, bottom + 38, "time in the recording, mm:ss", size_px=12, ink=MUTED, anchor="ls")
