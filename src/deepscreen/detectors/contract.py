"""The detector seam: what a detector is given, and what it gives back.

A detector reads samples and returns a ``Scored`` or a ``NotScored``. It knows no threshold, no calibration, no file.
Polarity is one: ``spoof_logit`` > 0 supports "synthetic or manipulated".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from deepscreen.absence import NotScored
from deepscreen.faces import Face
from deepscreen.media.samples import Frame, Still, Waveform

Modality = Literal["image", "video", "audio"]
MOMENT_STRATUM = "moment"  # of a calibration: what it means that a moment of a clip stands out
LOGIT_DECIMALS = 3  # kernels differ in the last bits by batch size; a record must not


@dataclass(frozen=True, slots=True)
class DetectorCard:
    """Identity of a detector: what goes into the method digest and the record."""

    name: str
    modality: Modality
    version: str
    weights: tuple[str, ...]  # rows of weights/manifest.toml that it loads; of a plug-in: name/file
    summary: str
    is_plugin: bool = False  # from the user's catalogue: its reading is reported and never decides


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ImageSample:
    """A picture and the faces found in it, largest first. One object a picture: what detectors share hangs on it."""

    still: Still
    faces: tuple[Face, ...]
    wants_evidence: bool = True  # False: the logit alone; maps and their checks may be left out


@dataclass(frozen=True, slots=True)
class FrameSample:
    """One sampled frame of a clip with its faces; ``track_ids[i]`` is the track of ``faces[i]``."""

    frame: Frame
    faces: tuple[Face, ...]
    track_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClipSample:
    """A clip as a stream of frames, consumed once, in order of time; never held as a whole."""

    frames: Iterator[FrameSample]
    duration_seconds: float
    wants_evidence: bool = True  # see ImageSample
    # More frames of the same clip, at ascending times in seconds; their tracks are others than those of ``frames``.
    closer: Callable[[Sequence[float]], Iterator[FrameSample]] | None = None


@dataclass(frozen=True, slots=True)
class SoundSample:
    """A sound track as a stream of consecutive mono 16 kHz blocks, consumed once; never held as a whole."""

    blocks: Iterator[Waveform]
    source_sample_rate_hz: int
    wants_evidence: bool = True  # see ImageSample


Sample = ImageSample | ClipSample | SoundSample


@dataclass(frozen=True, slots=True)
class Reading:
    """One detector's uncalibrated log-odds for one item."""

    detector: str
    spoof_logit: float
    n_samples: int  # views, frames or windows that went into it
    stratum: str = "all"  # which stratum of the detector's calibration applies

    def __post_init__(self) -> None:
        if not math.isfinite(self.spoof_logit):
            raise ValueError(f"{self.detector}: spoof_logit is not finite")
        object.__setattr__(self, "spoof_logit", round(float(self.spoof_logit), LOGIT_DECIMALS))


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Drop in ``spoof_logit`` when the hottest tenth of a map is masked, beside the drop for a random tenth."""

    drop_hottest: float
    drop_random: float
    masked_fraction: float = 0.1

    @property
    def beats_random(self) -> bool:
        """False means that the map is withheld: it does not show what moved the score."""
        return self.drop_hottest > self.drop_random


@dataclass(frozen=True, slots=True, repr=False)
class SaliencyMap:
    """Patch log-odds over a box of source pixels. ``values``: (rows, cols) float32, > 0 supports spoof."""

    values: NDArray[np.float32]
    # Where the map lies: maps (col, row) of `values`' unit square to source pixels, as a 2x3 affine matrix, so that
    # a rotated face crop keeps its place. source_xy = to_source @ (u, v, 1) with u, v in [0, 1].
    to_source: NDArray[np.float64]
    subject: Literal["whole", "face"]
    faithfulness: Faithfulness
    pts_seconds: float | None = None  # of the frame, for video


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """``spoof_logit`` of the stretch [start_seconds, end_seconds) of a clip or sound track."""

    start_seconds: float
    end_seconds: float
    spoof_logit: float
    track_id: int | None = None  # face track, for video; None for the whole frame


@dataclass(frozen=True, slots=True, repr=False)
class SpectrogramSaliency:
    """Time-frequency saliency of one window of sound, on its log-mel spectrogram.

    ``log_power_db``, ``values``: (mels, frames) float32; values > 0 support spoof.
    """

    log_power_db: NDArray[np.float32]
    values: NDArray[np.float32]
    start_seconds: float
    end_seconds: float
    mel_frequencies_hz: NDArray[np.float64]  # centre of each row
    faithfulness: Faithfulness


@dataclass(frozen=True, slots=True)
class Scored:
    """A reading and what supports it: maps, a timeline, spectrograms, and the frames that maps are drawn on."""

    reading: Reading
    maps: tuple[SaliencyMap, ...] = ()
    timeline: tuple[TimelinePoint, ...] = ()
    spectrograms: tuple[SpectrogramSaliency, ...] = ()
    telling_frames: tuple[Frame, ...] = ()  # video: the frames that `maps` belong to, by pts_seconds
    moments: tuple[TimelinePoint, ...] = ()  # video: by how much each moment stands out from those around it


class Detector(Protocol):
    """One file, one card, one registry row; nothing else knows a network."""

    @property
    def card(self) -> DetectorCard: ...

    def score(self, sample: Sample) -> Scored | NotScored:
        """The reading of one item, or why there is none. Deterministic, and never changed by other items."""
        ...
