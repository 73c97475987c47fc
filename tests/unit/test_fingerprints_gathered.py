"""Fingerprints taken while detectors read are near those of copies, and nearness is what groups are joined by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from deepscreen.fingerprints.gathering import (
    ClipFingerprint,
    SoundFingerprint,
    halved_rate,
    picture_fingerprint,
    sound_fingerprint,
)
from deepscreen.fingerprints.grouping import group_clips, group_pictures, group_sounds
from deepscreen.fingerprints.kinds import CLIP, FRAMES, HASH_BYTES, PICTURE, SOUND
from deepscreen.fingerprints.nearness import near
from deepscreen.fingerprints.sound import SAMPLE_RATE_HZ
from deepscreen.media.intake import take_in
from deepscreen.media.samples import Frame, Waveform
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings

SAMPLES = Path(__file__).resolve().parents[2] / "sample_media"
PORTRAIT, STREET = SAMPLES / "bona_fide/portrait_hopper.jpg", SAMPLES / "bona_fide/street.mp4"


def picture(seed: int) -> np.ndarray:
    """Blotches: something that has features, and that no other seed gives."""
    coarse = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC))


def frames(count: int, seconds: float, *, first: int = 0) -> list[Frame]:
    return [Frame(picture(first + k), k * seconds / count, k) for k in range(count)]


def sound(seed: int, seconds: float = 4.0) -> np.ndarray:
    """Noise at 16 kHz that swells and fades."""
    rng, length = np.random.default_rng(seed), int(seconds * 2 * SAMPLE_RATE_HZ)
    loudness = np.interp(np.arange(length), np.linspace(0, length, 12), rng.uniform(0.02, 0.2, 12))
    return np.asarray(rng.normal(0, 1, length) * loudness, np.float32)


def blocks(samples: np.ndarray, seconds: float = 1.5) -> list[Waveform]:
    rate = 2 * SAMPLE_RATE_HZ
    each = int(seconds * rate)
    return [Waveform(samples[at : at + each], rate, at / rate) for at in range(0, len(samples), each)]


def test_clip_keeps_the_frames_shown_at_eight_times() -> None:
    clip, found = frames(32, 16.0), ClipFingerprint(16.0)
    assert list(found.watched(iter(clip))) == clip
    shown = [clip[2 + 4 * k] for k in range(FRAMES)]  # at 1, 3, 5 ... seconds, two frames a second
    assert found.content == b"".join(picture_fingerprint(frame.pixels) for frame in shown)


def test_frame_that_stands_for_several_times_counts_once() -> None:
    found = ClipFingerprint(16.0)
    list(found.watched(iter(frames(4, 16.0))))
    assert len(found.content) == 4 * HASH_BYTES


def test_reading_that_is_broken_off_leaves_nothing_and_the_next_one_counts() -> None:
    clip, found = frames(16, 8.0), ClipFingerprint(8.0)
    broken = found.watched(iter(clip))
    for _ in range(12):
        next(broken)
    broken.close()  # type: ignore[attr-defined]
    assert found.content == b""
    list(found.watched(iter(clip)))
    first = found.content
    assert len(first) == FRAMES * HASH_BYTES
    list(found.watched(iter(frames(16, 8.0, first=100))))
    assert found.content == first


def test_clip_of_no_length_has_the_frame_that_it_shows() -> None:
    found = ClipFingerprint(0.0)
    list(found.watched(iter(frames(1, 1.0))))
    assert len(found.content) == HASH_BYTES


def test_sound_is_that_of_its_first_minute_whatever_the_blocks() -> None:
    samples = sound(1, 70.0)
    contents = []
    for seconds in (1.5, 30.0):
        found = SoundFingerprint()
        assert sum(len(block.samples) for block in found.watched(iter(blocks(samples, seconds)))) == len(samples)
        contents.append(found.content)
    assert contents[0] == contents[1] != b""
    assert len(contents[0]) < 60 / 0.023 * 8


def test_sound_at_half_the_rate_is_near_what_the_decoder_gives_at_that_rate() -> None:
    samples = sound(7)
    spectrum = np.fft.rfft(samples)
    at_8_khz = np.asarray(np.fft.irfft(spectrum[: len(spectrum) // 2 + 1]) / 2, np.float32)
    one, other = sound_fingerprint(halved_rate(samples)), sound_fingerprint(at_8_khz)
    assert near(SOUND, one, [other, sound_fingerprint(halved_rate(sound(8)))]) == [0]


def test_low_pass_lets_voices_through_and_no_alias() -> None:
    rate = 2 * SAMPLE_RATE_HZ
    times = np.arange(rate) / rate

    def level(tone_hz: float) -> float:
        tone = np.asarray(np.sin(2 * np.pi * tone_hz * times), np.float32)
        return float(np.sqrt(2 * np.mean(halved_rate(tone)[100:-100] ** 2)))

    assert level(1_900) == pytest.approx(1, abs=0.01)
    assert level(6_500) < 0.01


def test_near_finds_what_groups_are_joined_by() -> None:
    image = Image.open(PORTRAIT).convert("RGB")
    small = image.resize((image.width // 2, image.height // 2))
    pictures = [picture_fingerprint(np.asarray(one)) for one in (image, small)]
    pictures[1:1] = [picture_fingerprint(picture(seed)) for seed in range(5)]
    assert near(PICTURE, pictures[0], pictures[1:]) == [5]
    assert group_pictures(pictures) == [[0, 6]]

    hashes = [bytes([k]) * HASH_BYTES for k in range(12)]
    clips = [hashes[:8], [*hashes[:6], hashes[9], hashes[10]], [*hashes[:3], *hashes[8:12]], hashes[:1], hashes[2:5]]
    assert near(CLIP, b"".join(clips[0]), [b"".join(clip) for clip in clips[1:]]) == [0, 3]
    assert group_clips(clips) == [[0, 1, 4]]

    sounds = [sound_fingerprint(halved_rate(sound(seed))) for seed in range(6)]
    quieter = sound_fingerprint(halved_rate(sound(3) * np.float32(0.4)))
    assert near(SOUND, quieter, sounds) == [3]
    words = [np.frombuffer(content, np.uint32).reshape(-1, 2) for content in [*sounds, quieter]]
    assert group_sounds(words) == [[3, 6]]


def test_what_has_no_fingerprint_is_near_nothing() -> None:
    plain = picture_fingerprint(np.full((100, 80, 3), 90, np.uint8))
    assert plain == b""
    assert near(PICTURE, plain, [plain, plain]) == []
    assert near(PICTURE, picture_fingerprint(picture(1)), [plain]) == []


@pytest.fixture(scope="module")
def desk() -> Iterator[ScreeningDesk]:
    with closing(ScreeningDesk.with_fake_detectors(Settings(device="cpu"))) as desk:
        yield desk


def recoded(source: Path, target: Path) -> Path:
    """The clip at half its size, as H.264, and its sound as AAC."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        picture_in, sound_in = given.streams.video[0], given.streams.audio[0]
        picture_out = made.add_stream("libx264", rate=25, options={"crf": "32"})
        picture_out.width, picture_out.height = picture_in.width // 4 * 2, picture_in.height // 4 * 2
        picture_out.pix_fmt, picture_out.time_base = "yuv420p", picture_in.time_base
        sound_out = made.add_stream("aac", rate=44_100)
        for frame in given.decode(picture_in, sound_in):
            out = picture_out if isinstance(frame, av.VideoFrame) else sound_out
            small = frame.reformat(out.width, out.height, "yuv420p") if isinstance(frame, av.VideoFrame) else frame
            made.mux(out.encode(small))
        made.mux(picture_out.encode())
        made.mux(sound_out.encode())
    return target


def test_desk_gives_fingerprints_that_a_copy_in_another_coding_is_near(desk: ScreeningDesk, tmp_path: Path) -> None:
    original = SAMPLES / "spoof/face_swap_synthetic_voice.mp4"

    def found(path: Path) -> Mapping[str, bytes]:
        return desk.screen(take_in(path, limits=desk.settings.limits)).fingerprints

    one, copy, other = found(original), found(recoded(original, tmp_path / "copy.mp4")), found(STREET)
    assert one.keys() == copy.keys() == {CLIP, SOUND}
    for kind in (CLIP, SOUND):
        assert near(kind, one[kind], [copy[kind], other.get(kind, b"")]) == [0]


def test_desk_gives_none_of_silence(desk: ScreeningDesk) -> None:
    intake = take_in(SAMPLES / "edge_cases/silence.wav", limits=desk.settings.limits)
    assert desk.screen(intake).fingerprints == {}
