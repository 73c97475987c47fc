"""The audio detector with its shipped weights: polarity, saliency, and company that does not matter."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.audio_whisper import NARROW_BAND, AudioWhisper, build
from deepscreen.detectors.contract import Scored, SoundSample
from deepscreen.detectors.device import plan_compute
from deepscreen.detectors.registry import Workshop
from deepscreen.media.samples import Waveform
from deepscreen.settings import Settings
from deepscreen.weights.store import WeightsStore

pytestmark = pytest.mark.weights
MEDIA = Path(__file__).parents[2] / "sample_media"
RATE_HZ = 16_000


@cache
def detector() -> AudioWhisper:
    return build(Workshop(WeightsStore.from_settings(Settings()), plan_compute("cpu", "auto")))


@cache
def reading() -> NDArray[np.float32]:
    samples, rate_hz = soundfile.read(MEDIA / "bona_fide/reading.flac", dtype="float32")
    assert rate_hz == RATE_HZ
    return np.asarray(samples, np.float32)


def outcome(samples: NDArray[np.float32], block_samples: int = 30 * RATE_HZ) -> Scored | NotScored:
    starts = range(0, len(samples), block_samples)
    blocks = [Waveform(samples[s : s + block_samples], RATE_HZ, s / RATE_HZ) for s in starts]
    return detector().score(SoundSample(iter(blocks), RATE_HZ))


def scored(samples: NDArray[np.float32], block_samples: int = 30 * RATE_HZ) -> Scored:
    result = outcome(samples, block_samples)
    assert isinstance(result, Scored), result
    return result


def test_a_synthetic_voice_scores_above_a_human_one() -> None:
    telephone, rate_hz = soundfile.read(MEDIA / "spoof/telephone_espeak.wav", dtype="float32")
    from librosa import resample

    synthetic = scored(resample(telephone, orig_sr=rate_hz, target_sr=RATE_HZ))
    assert synthetic.reading.stratum == NARROW_BAND
    assert synthetic.reading.spoof_logit > scored(reading()).reading.spoof_logit + 1


def test_block_lengths_and_earlier_tracks_do_not_change_a_bit() -> None:
    first = scored(reading())
    scored(reading()[::-1].copy())
    again = scored(reading(), 7_777)
    assert first.reading == again.reading
    assert first.timeline == again.timeline
    assert np.array_equal(first.spectrograms[0].values, again.spectrograms[0].values)


def test_level_does_not_move_the_logit() -> None:
    loud, quiet = scored(reading()[:48_000]), scored(reading()[:48_000] / 8)
    assert loud.reading.spoof_logit == pytest.approx(quiet.reading.spoof_logit, abs=0.3)


def test_saliency_lies_on_speech_and_beats_a_random_tenth() -> None:
    speech = reading()[: 2 * RATE_HZ]
    (saliency,) = scored(np.concatenate([speech, np.zeros(RATE_HZ, np.float32)])).spectrograms
    assert saliency.values.shape == saliency.log_power_db.shape == (80, 300)
    assert np.isfinite(saliency.values).all()
    assert not saliency.values[:, 230:].any()
    assert saliency.faithfulness.drop_hottest > saliency.faithfulness.drop_random + 0.2


def test_a_short_recording_has_a_short_spectrogram() -> None:
    result = scored(reading()[: round(1.2 * RATE_HZ)])
    assert result.spectrograms[0].values.shape == (80, 120)
    assert (result.timeline[0].start_seconds, result.timeline[0].end_seconds) == (0.0, 1.2)


@pytest.mark.parametrize(
    ("samples", "absence"),
    [
        (np.zeros(0, np.float32), Absence.TOO_SHORT),
        (np.full(3_200, 0.1, np.float32), Absence.TOO_SHORT),
        (np.zeros(48_000, np.float32), Absence.SILENT),
        ((np.random.default_rng(0).standard_normal(48_000) * 0.1).astype(np.float32), Absence.NO_SPEECH),
        ((np.sin(np.arange(48_000) * 0.17) * 0.3).astype(np.float32), Absence.NO_SPEECH),
    ],
    ids=["nothing", "0.2 s", "silence", "noise", "tone"],
)
def test_what_is_no_speech_is_not_scored(samples: NDArray[np.float32], absence: Absence) -> None:
    result = outcome(samples)
    assert isinstance(result, NotScored)
    assert result.absence is absence
