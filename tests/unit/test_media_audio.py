"""Sound: any format, channel count and rate comes out mono, float32, at the asked rate, in exact consecutive blocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import media_factory
from deepscreen.errors import MediaTooLarge, UndecodableMedia, UnsupportedMedia
from deepscreen.media.audio import regrouped
from deepscreen.media.intake import take_in
from deepscreen.media.samples import MediaFacts, Waveform
from deepscreen.media.sandbox import Decoder
from deepscreen.settings import Limits

LIMITS = Limits()


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(LIMITS) as decoder:
        yield decoder


def _facts(decoder: Decoder, path: Path) -> MediaFacts:
    return decoder.examine(take_in(path, limits=LIMITS)).facts


def _blocks(decoder: Decoder, path: Path, sample_rate_hz: int = 16_000, block_seconds: float = 30.0) -> list[Waveform]:
    intake = take_in(path, limits=LIMITS)
    return list(decoder.sound(intake, sample_rate_hz=sample_rate_hz, block_seconds=block_seconds))


def _assert_is_tone(samples: np.ndarray, sample_rate_hz: int, tolerance: float = 0.1) -> None:
    """The middle half is a sine of the right frequency and size."""
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * sample_rate_hz / len(middle) == pytest.approx(440, abs=5)
    assert np.sqrt(2) * middle.std() == pytest.approx(0.5, rel=tolerance)


@pytest.mark.parametrize("muxer", list(media_factory.SOUND_FORMATS))
def test_every_coded_format_gives_its_tone(decoder: Decoder, tmp_path: Path, muxer: str) -> None:
    path = media_factory.save_encoded_sound(tmp_path / "lies.jpg", muxer)
    facts = _facts(decoder, path)
    assert (facts.kind, facts.mime.split("/")[0]) == ("audio", "audio")
    assert facts.streams[0].sample_rate_hz == media_factory.SOUND_FORMATS[muxer][2]
    assert facts.streams[0].duration_seconds_measured == pytest.approx(1.0, abs=0.06)
    (block,) = _blocks(decoder, path)
    assert block.duration_seconds == pytest.approx(1.0, abs=0.06)
    _assert_is_tone(block.samples, 16_000, tolerance=0.2 if muxer == "amr" else 0.1)


@pytest.mark.parametrize(("container", "codec"), [("RAW", "gsm"), ("WAV", "gsm_ms")])
def test_gsm_gives_its_tone(decoder: Decoder, tmp_path: Path, container: str, codec: str) -> None:
    tone = media_factory.tone(1.0, 8_000)
    path = media_factory.save_sound(tmp_path / "x", tone, 8_000, subtype="GSM610", container=container)
    assert _facts(decoder, path).streams[0].codec == codec
    _assert_is_tone(_blocks(decoder, path)[0].samples, 16_000)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_channels_are_mixed_by_their_mean(decoder: Decoder, tmp_path: Path, channels: int) -> None:
    tone = media_factory.tone(0.5, 16_000, channels)
    tone *= np.linspace(0.2, 1.0, channels)
    path = media_factory.save_sound(tmp_path / "x", tone, 16_000, subtype="FLOAT")
    assert _facts(decoder, path).streams[0].channels == channels
    (block,) = _blocks(decoder, path)
    np.testing.assert_allclose(block.samples, tone.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("rate_hz", [4_000, 8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_every_rate_is_resampled(decoder: Decoder, tmp_path: Path, rate_hz: int) -> None:
    path = media_factory.save_sound(tmp_path / "x", media_factory.tone(1.0, rate_hz), rate_hz)
    assert _facts(decoder, path).streams[0].sample_rate_hz == rate_hz
    (block,) = _blocks(decoder, path)
    assert abs(len(block.samples) - 16_000) <= 16
    _assert_is_tone(block.samples, 16_000)


def test_sound_above_the_new_rate_does_not_fold_back(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_sound(tmp_path / "x", media_factory.tone(1.0, 48_000, hz=11_000), 48_000)
    assert np.abs(_blocks(decoder, path)[0].samples[2_000:-2_000]).max() < 0.01


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_every_sample_format_has_full_scale_one(decoder: Decoder, tmp_path: Path, subtype: str) -> None:
    tone = media_factory.tone(0.5, 16_000)
    path = media_factory.save_sound(tmp_path / "x", tone, 16_000, subtype=subtype)
    samples = _blocks(decoder, path)[0].samples
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, tone[:, 0], atol=0.03 if subtype in ("ULAW", "ALAW", "PCM_U8") else 1e-4)


def test_blocks_are_consecutive_and_count_samples(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_sound(tmp_path / "x", media_factory.tone(2.3, 44_100), 44_100)
    (whole,) = _blocks(decoder, path)
    blocks = _blocks(decoder, path, block_seconds=0.5)
    assert [b.start_seconds for b in blocks] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert [len(b.samples) for b in blocks[:-1]] == [8_000] * 4
    assert np.array_equal(np.concatenate([b.samples for b in blocks]), whole.samples)


def test_another_rate_can_be_asked_for(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_sound(tmp_path / "x", media_factory.tone(0.5, 16_000), 16_000)
    (block,) = _blocks(decoder, path, sample_rate_hz=8_000)
    assert (block.sample_rate_hz, len(block.samples)) == (8_000, pytest.approx(4_000, abs=8))


def test_nan_and_infinity_are_silence_and_loudness_is_clipped(decoder: Decoder, tmp_path: Path) -> None:
    samples = np.zeros((16_000, 1), np.float32)
    samples[100], samples[200], samples[300:400], samples[400:500] = np.nan, np.inf, 7.0, -7.0
    path = media_factory.save_sound(tmp_path / "x", samples, 16_000, subtype="FLOAT")
    found = _blocks(decoder, path)[0].samples
    assert (found[100], found[200], found[350], found[450]) == (0.0, 0.0, 1.0, -1.0)


def test_no_samples_give_no_blocks(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_sound(tmp_path / "x", np.empty((0, 1), np.float32), 16_000)
    assert _facts(decoder, path).kind == "audio"
    assert _blocks(decoder, path) == []


def test_files_without_a_sound_track_give_no_blocks(decoder: Decoder, tmp_path: Path) -> None:
    assert _blocks(decoder, media_factory.save_clip(tmp_path / "clip")) == []
    assert _blocks(decoder, media_factory.save_picture(tmp_path / "picture", "PNG")) == []
    assert _blocks(decoder, media_factory.save_animation(tmp_path / "animation", "GIF", [100, 100])) == []


def test_a_wav_cut_at_ten_places_gives_a_typed_error_or_the_rest(decoder: Decoder, tmp_path: Path) -> None:
    data = media_factory.save_sound(tmp_path / "whole", media_factory.tone(2.0, 16_000), 16_000).read_bytes()
    for tenth in range(10):
        cut = tmp_path / f"cut{tenth}"
        cut.write_bytes(data[: max(1, len(data) * tenth // 10)])
        try:
            facts, blocks = _facts(decoder, cut), _blocks(decoder, cut)
        except (UndecodableMedia, UnsupportedMedia):
            assert tenth == 0
            continue
        assert sum(b.duration_seconds for b in blocks) == pytest.approx(2.0 * tenth / 10, abs=0.01)
        assert ("duration_mismatch" in {f.code for f in facts.facts}) == (tenth <= 7)


def test_sound_longer_than_the_limit_is_refused(tmp_path: Path) -> None:
    path = media_factory.save_sound(tmp_path / "x", media_factory.tone(1.0, 16_000), 16_000)
    with Decoder(Limits(max_duration_seconds=0.9)) as decoder, pytest.raises(MediaTooLarge):
        decoder.examine(take_in(path, limits=LIMITS))


def test_two_runs_give_the_same_samples(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_encoded_sound(tmp_path / "x", "mp3")
    assert np.array_equal(_blocks(decoder, path)[0].samples, _blocks(decoder, path)[0].samples)


def test_regrouped_cuts_anywhere() -> None:
    pieces = [np.arange(start, stop, dtype=np.float32) for start, stop in ((0, 3), (3, 3), (3, 10), (10, 11))]
    blocks = [block.copy() for block in regrouped(iter(pieces), 4)]
    assert [len(b) for b in blocks] == [4, 4, 3]
    assert np.concatenate(blocks).tolist() == list(range(11))
