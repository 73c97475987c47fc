"""``audio_aasist``: AASIST with its official weights, as a second opinion on wide-band speech; off by default.

It was trained on one corpus (ASVspoof 2019 LA) and takes telephone sound for synthetic, so it is not asked there. It
has no calibration: its log-odds stand in the record, say so, and count for nothing in the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.audio_whisper import NARROW_BAND, speech_absence, stratum_of, track_logit, voice_activity
from deepscreen.detectors.contract import (
    LOGIT_DECIMALS,
    DetectorCard,
    Reading,
    Sample,
    Scored,
    SoundSample,
    TimelinePoint,
)
from deepscreen.detectors.nets.aasist import SIZES, Aasist, load_aasist, spoof_logits
from deepscreen.detectors.nets.silero import WEIGHTS_NAME as VAD_NAME
from deepscreen.detectors.spectral import lfcc_statistics, upper_band_db
from deepscreen.detectors.speech import SpeechWindow, VoiceActivity, survey_speech

if TYPE_CHECKING:
    from deepscreen.detectors.registry import Workshop

WEIGHTS_NAME = "aasist"
CARD = DetectorCard(
    name="audio_aasist",
    modality="audio",
    version="1",
    weights=(WEIGHTS_NAME, VAD_NAME),
    summary="Speech: synthetic or converted, by AASIST as published; wide band only, off by default, never decides.",
)


class AudioAasist:
    """The AASIST network on windows of speech that do not overlap."""

    def __init__(self, network: Aasist, new_voice_activity: Callable[[], VoiceActivity]) -> None:
        self._network, self._new_voice_activity = network, new_voice_activity

    @property
    def card(self) -> DetectorCard:
        return CARD

    def score(self, sample: Sample) -> Scored | NotScored:
        """One logit for the track: the mean over every second window of speech, weighted by the speech in each.

        Telephone sound is NotScored (NARROW_BAND). About 0.9 s of one CPU core for each 3 s of speech.
        """
        if not isinstance(sample, SoundSample):
            return NotScored(CARD.name, Absence.NOT_APPLICABLE, "reads sound only")
        survey = survey_speech(sample.blocks, self._new_voice_activity())
        absence = speech_absence(CARD.name, survey)
        if absence is not None:
            return absence
        windows = survey.windows[::2]  # they overlap by half, and the network is slow
        level_db = mean_upper_band_db(windows)
        if stratum_of(level_db) == NARROW_BAND:
            detail = (
                f"nothing above the telephone band ({level_db:.0f} dB); the network takes such speech for synthetic"
            )
            return NotScored(CARD.name, Absence.NARROW_BAND, detail)
        logits = spoof_logits(self._network, [window.recorded for window in windows])
        reading = Reading(
            CARD.name, track_logit([w.speech_seconds for w in windows], logits.tolist()), n_samples=len(windows)
        )
        timeline = tuple(
            TimelinePoint(window.start_seconds, window.end_seconds, round(float(logit), LOGIT_DECIMALS))
            for window, logit in zip(windows, logits, strict=True)
        )
        return Scored(reading, timeline=timeline)


def mean_upper_band_db(windows: Sequence[SpeechWindow]) -> float:
    """Level above the telephone band, see ``upper_band_db``, as a mean over *windows*."""
    levels = [upper_band_db(lfcc_statistics(window.levelled(), window.speech)) for window in windows]
    return float(np.mean(levels))


def build(workshop: Workshop) -> AudioAasist:
    """The detector with the official weights; it runs on the CPU everywhere."""
    network = load_aasist(workshop.store.locate(WEIGHTS_NAME), SIZES[WEIGHTS_NAME])
    return AudioAasist(network, voice_activity(workshop))
