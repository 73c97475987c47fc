"""``audio_whisper``: is the speech synthetic, converted or resynthesised?

A voice activity detector finds windows of speech; a kernel head compares each window with labelled examples in early
layers of a frozen Whisper encoder and in spectral and phase statistics, which gives its log-odds. Music and noise are
not scored, and the recording's level says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.audio_head import AudioHead
from deepscreen.detectors.contract import (
    LOGIT_DECIMALS,
    DetectorCard,
    Reading,
    Sample,
    Scored,
    SoundSample,
    TimelinePoint,
)
from deepscreen.detectors.nets.silero import WEIGHTS_NAME as VAD_NAME
from deepscreen.detectors.nets.silero import load_silero_vad
from deepscreen.detectors.nets.whisper import WEIGHTS_NAME, WhisperBackbone
from deepscreen.detectors.spectral import NARROW_BAND_DB, upper_band_db
from deepscreen.detectors.speech import (
    MIN_SPEECH_SECONDS,
    SILENCE_DBFS,
    Heard,
    SpeechPass,
    SpeechWindow,
    StreamedVad,
    VoiceActivity,
)
from deepscreen.detectors.speech_features import SpeechFeatures
from deepscreen.detectors.speech_saliency import explain_window

if TYPE_CHECKING:
    from deepscreen.detectors.registry import Workshop

WIDE_BAND, NARROW_BAND = "wide_band", "narrow_band"
MIN_SOUND_SECONDS = 0.6
HEAD_NAME = "head-audio"
CARD = DetectorCard(
    name="audio_whisper",
    modality="audio",
    version="3",
    weights=(WEIGHTS_NAME, VAD_NAME, HEAD_NAME),
    summary="Speech: synthetic or converted, from early Whisper layers, spectral and phase statistics.",
)


class AudioWhisper:
    """The speech detector."""

    def __init__(
        self, features: SpeechFeatures, head: AudioHead, new_voice_activity: Callable[[], VoiceActivity]
    ) -> None:
        self._features, self._head, self._new_voice_activity = features, head, new_voice_activity

    @property
    def card(self) -> DetectorCard:
        return CARD

    def score(self, sample: Sample) -> Scored | NotScored:
        """One logit for the track: the mean over its windows, each weighted by the speech in it.

        Every window with speech is scored while the track passes by, however long it is; one batch is held at a time.
        Gives the timeline of the windows (overlapping by half) and the saliency of the one that supports spoof most.
        """
        if not isinstance(sample, SoundSample):
            return NotScored(CARD.name, Absence.NOT_APPLICABLE, "reads sound only")
        heard, track = SpeechPass(sample.blocks, self._new_voice_activity()), _Track()
        for read in self._features.read(heard):
            features = read.features(read.window.speech)
            track.add(read.window, self._head.logit(features), upper_band_db(features.spectral))
        if absence := speech_absence(CARD.name, heard):
            return absence
        reading = track.reading()
        if not sample.wants_evidence:
            return Scored(reading)
        saliency = explain_window(self._features.backbone, self._head, track.most_telling)
        return Scored(reading, timeline=track.timeline(), spectrograms=(saliency,))


class _Track:
    """What the windows of a track said; of their sound only the window that supports spoof most is kept."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        self._logits: list[float] = []
        self._speech_seconds: list[float] = []
        self._upper_bands_db: list[float] = []
        self._highest = -math.inf
        self.most_telling: SpeechWindow

    def add(self, window: SpeechWindow, logit: float, upper_level_db: float) -> None:
        """The next window."""
        self._spans.append((window.start_seconds, window.end_seconds))
        self._logits.append(logit)
        self._speech_seconds.append(window.speech_seconds)
        self._upper_bands_db.append(upper_level_db)
        if logit > self._highest:
            self._highest, self.most_telling = logit, window

    def reading(self) -> Reading:
        """Of the whole track."""
        logit = track_logit(self._speech_seconds, self._logits)
        band = stratum_of(float(np.mean(self._upper_bands_db)))
        return Reading(CARD.name, logit, n_samples=len(self._logits), stratum=band)

    def timeline(self) -> tuple[TimelinePoint, ...]:
        """A point for each window."""
        return tuple(
            TimelinePoint(start, end, round(logit, LOGIT_DECIMALS))
            for (start, end), logit in zip(self._spans, self._logits, strict=True)
        )


def stratum_of(upper_band_level_db: float) -> str:
    """The calibration stratum of a recording: telephone sound has its own, since it carries half of the traces."""
    return NARROW_BAND if upper_band_level_db < NARROW_BAND_DB else WIDE_BAND


def track_logit(speech_seconds: Sequence[float], logits: Sequence[float]) -> float:
    """The mean of window logits, weighted by the speech in each."""
    return sum(s * logit for s, logit in zip(speech_seconds, logits, strict=True)) / sum(speech_seconds)


def speech_absence(detector: str, heard: Heard) -> NotScored | None:
    """Why *detector* gives no reading of a track without speech; None for one with speech."""
    if heard.sound_seconds < MIN_SOUND_SECONDS:
        detail = f"{heard.sound_seconds:.2f} s of sound; at least {MIN_SOUND_SECONDS} s are needed"
        return NotScored(detector, Absence.TOO_SHORT, detail)
    if heard.loudest_dbfs < SILENCE_DBFS:
        detail = f"loudest 10 ms at {max(heard.loudest_dbfs, -120.0):.0f} dBFS; speech needs {SILENCE_DBFS:.0f} dBFS"
        return NotScored(detector, Absence.SILENT, detail)
    if not heard.n_found:
        detail = f"no 3 s of the sound hold {MIN_SPEECH_SECONDS} s of speech; music and noise are not scored"
        return NotScored(detector, Absence.NO_SPEECH, detail)
    return None


def build(workshop: Workshop) -> AudioWhisper:
    """The detector with its shipped head."""
    head = AudioHead.from_arrays(workshop.head_arrays(HEAD_NAME))
    return AudioWhisper(speech_features(workshop, head.last_layer), head, voice_activity(workshop))


def speech_features(workshop: Workshop, last_layer: int) -> SpeechFeatures:
    """The frozen Whisper encoder on the workshop's device, up to *last_layer*."""
    weights, plan = workshop.store.locate(WEIGHTS_NAME), workshop.plan
    backbone = WhisperBackbone(weights, device=plan.device, precision=plan.precision, batch_size=plan.batch_size)
    return SpeechFeatures(backbone, last_layer=last_layer)


def voice_activity(workshop: Workshop) -> Callable[[], VoiceActivity]:
    """A fresh voice activity detector for each sound track; it runs on the CPU everywhere."""
    network = load_silero_vad(workshop.store.locate(VAD_NAME))
    return lambda: StreamedVad(network)
