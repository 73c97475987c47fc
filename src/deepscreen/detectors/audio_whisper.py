"""``audio_whisper``: is the speech synthetic, converted or resynthesised?

A voice activity detector finds windows of speech; a kernel head compares each window with labelled examples in early
layers of a frozen Whisper encoder and in spectral and phase statistics, which gives its log-odds. Music and noise are
not scored, and the recording's level says nothing.
"""

from __future__ import annotations

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
    SpeechSurvey,
    SpeechWindow,
    StreamedVad,
    VoiceActivity,
    survey_speech,
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
    version="2",
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

        Gives the timeline of all scored windows (overlapping by half) and the saliency of the one that supports spoof
        most. Of a long track at most 120 windows are scored, evenly spread; the timeline shows which.
        """
        if not isinstance(sample, SoundSample):
            return NotScored(CARD.name, Absence.NOT_APPLICABLE, "reads sound only")
        survey = survey_speech(sample.blocks, self._new_voice_activity())
        return speech_absence(CARD.name, survey) or self._score_windows(
            survey.windows, wants_evidence=sample.wants_evidence
        )

    def _score_windows(self, windows: Sequence[SpeechWindow], *, wants_evidence: bool) -> Scored:
        features = list(self._features.features(windows))
        logits = [self._head.logit(f) for f in features]
        band = stratum_of(float(np.mean([upper_band_db(f.spectral) for f in features])))
        reading = Reading(CARD.name, track_logit(windows, logits), n_samples=len(windows), stratum=band)
        if not wants_evidence:
            return Scored(reading)
        most_telling = windows[max(range(len(windows)), key=lambda k: logits[k])]
        saliency = explain_window(self._features.backbone, self._head, most_telling)
        timeline = tuple(
            TimelinePoint(window.start_seconds, window.end_seconds, round(logit, LOGIT_DECIMALS))
            for window, logit in zip(windows, logits, strict=True)
        )
        return Scored(reading, timeline=timeline, spectrograms=(saliency,))


def stratum_of(upper_band_level_db: float) -> str:
    """The calibration stratum of a recording: telephone sound has its own, since it carries half of the traces."""
    return NARROW_BAND if upper_band_level_db < NARROW_BAND_DB else WIDE_BAND


def track_logit(windows: Sequence[SpeechWindow], logits: Sequence[float]) -> float:
    """The mean of window logits, weighted by the speech in each."""
    seconds = [window.speech_seconds for window in windows]
    return sum(s * logit for s, logit in zip(seconds, logits, strict=True)) / sum(seconds)


def speech_absence(detector: str, survey: SpeechSurvey) -> NotScored | None:
    """Why *detector* gives no reading of a track without speech; None for one with speech."""
    if survey.sound_seconds < MIN_SOUND_SECONDS:
        detail = f"{survey.sound_seconds:.2f} s of sound; at least {MIN_SOUND_SECONDS} s are needed"
        return NotScored(detector, Absence.TOO_SHORT, detail)
    if survey.loudest_dbfs < SILENCE_DBFS:
        detail = f"loudest 10 ms at {max(survey.loudest_dbfs, -120.0):.0f} dBFS; speech needs {SILENCE_DBFS:.0f} dBFS"
        return NotScored(detector, Absence.SILENT, detail)
    if not survey.windows:
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
