"""Everything that turns findings of the detectors into pictures: the names that the pipeline uses.

All are pure: same input, same bytes; no clock, no chance, no file.
"""

from deepscreen.evidence.heatmap import is_shown, render_heatmap
from deepscreen.evidence.spectrogram import render_spectrogram
from deepscreen.evidence.thumbnail import thumbnail_jpeg
from deepscreen.evidence.timeline import render_timeline, suspicious_spans

__all__ = [
    "is_shown",
    "render_heatmap",
    "render_spectrogram",
    "render_timeline",
    "suspicious_spans",
    "thumbnail_jpeg",
]
