"""Why something was not looked at. Absence is a value, never 0.5 and never NaN."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Absence(StrEnum):
    """The reasons for which a detector gives no reading."""

    NO_FACE = "no_face"
    TOO_SMALL = "too_small"
    TOO_SHORT = "too_short"
    NARROW_BAND = "narrow_band"
    SILENT = "silent"
    NO_SPEECH = "no_speech"
    NO_AUDIO_TRACK = "no_audio_track"
    NO_VIDEO_FRAMES = "no_video_frames"
    OUT_OF_DOMAIN = "out_of_domain"
    UNDECODABLE = "undecodable"
    NOT_APPLICABLE = "not_applicable"
    NOT_CALIBRATED = "not_calibrated"
    DETECTOR_FAILED = "detector_failed"


@dataclass(frozen=True, slots=True)
class NotScored:
    """One detector's statement that it gives no reading, and why."""

    detector: str
    absence: Absence
    detail: str
