"""What every detector promises, asked of every row of ``DETECTORS``: on small random networks, and on the real ones."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image
from small_networks import small_detector

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.contract import (
    ClipSample,
    Detector,
    FrameSample,
    ImageSample,
    Modality,
    Sample,
    Scored,
    SoundSample,
)
from deepscreen.detectors.device import plan_compute
from deepscreen.detectors.registry import DETECTORS, Workshop, build_detector
from deepscreen.detectors.speech import MAX_WINDOWS
from deepscreen.errors import UndecodableMedia
from deepscreen.faces import Face
from deepscreen.media.samples import Frame, Still, Waveform
from deepscreen.settings import Settings
from deepscreen.weights.store import WeightsStore

MEDIA = Path(__file__).parents[2] / "sample_media"
RATE_HZ = 16_000
FRAME_TIMES = (0.25, 0.75)
CLIP_SECONDS = 1.0
# The face of the portrait, and one too small to be read.
FACE = Face(
    (176.0, 66.0, 272.0, 190.0), ((199.0, 114.0), (242.0, 112.0), (222.0, 143.0), (205.0, 158.0), (240.0, 157.0)), 0.9
)
TINY_FACE = Face((10.0, 10.0, 40.0, 40.0), FACE.landmarks_px, 0.9)
NETWORKS = ["small", pytest.param("real", marks=pytest.mark.weights)]


@dataclass(frozen=True, eq=False)
class Case:
    """A detector, and the samples of its modality."""

    build: Callable[[], Detector]
    detector: Detector

    @property
    def modality(self) -> Modality:
        return self.detector.card.modality

    def good(self) -> Sample:
        """A sample that must be scored; made anew, since streams are consumed once."""
        return MAKE_GOOD[self.modality](portrait(), reading())

    def other(self) -> Sample:
        """Another sample of the same modality."""
        return MAKE_GOOD[self.modality](portrait()[::-1].copy(), reading()[::-1].copy())

    @cached_property
    def scored(self) -> Scored:
        """What the good sample gave; asked once, looked at by many tests."""
        outcome = self.detector.score(self.good())
        assert isinstance(outcome, Scored), outcome
        return outcome


@cache
def portrait() -> NDArray[np.uint8]:
    return np.asarray(Image.open(MEDIA / "bona_fide/portrait_collins.png").convert("RGB")).copy()


@cache
def reading() -> NDArray[np.float32]:
    samples, rate_hz = soundfile.read(MEDIA / "bona_fide/reading.flac", dtype="float32")
    assert rate_hz == RATE_HZ
    return samples[: 4 * RATE_HZ]


def picture(pixels: NDArray[np.uint8], faces: tuple[Face, ...] = (FACE,)) -> ImageSample:
    return ImageSample(Still(pixels), faces)


def clip(
    pixels: NDArray[np.uint8], faces: tuple[Face, ...] = (FACE,), times: tuple[float, ...] = FRAME_TIMES
) -> ClipSample:
    """A clip that gets darker from frame to frame."""
    frames = [Frame(pixels // (k + 1), time, k) for k, time in enumerate(times)]
    return ClipSample(iter([FrameSample(f, faces, tuple(range(len(faces)))) for f in frames]), CLIP_SECONDS)


def sound(samples: NDArray[np.float32], block_samples: int = RATE_HZ) -> SoundSample:
    starts = range(0, len(samples), block_samples)
    blocks = [Waveform(samples[s : s + block_samples].copy(), RATE_HZ, s / RATE_HZ) for s in starts]
    return SoundSample(iter(blocks), RATE_HZ)


MAKE_GOOD: dict[Modality, Callable[[NDArray[np.uint8], NDArray[np.float32]], Sample]] = {
    "image": lambda pixels, _: picture(pixels),
    "video": lambda pixels, _: clip(pixels),
    "audio": lambda _, samples: sound(samples),
}


@cache
def real_workshop() -> Workshop:
    """The shipped weights: every detector of this suite shares its backbones, as on a desk."""
    return Workshop(WeightsStore.from_settings(Settings()), plan_compute("cpu", "auto"))


@cache
def built(name: str, networks: str) -> Case:
    def build() -> Detector:
        return small_detector(name) if networks == "small" else build_detector(name, real_workshop())

    return Case(build, build())


@pytest.fixture(params=NETWORKS)
def networks(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=DETECTORS)
def case(request: pytest.FixtureRequest, networks: str) -> Case:
    return built(request.param, networks)


@pytest.fixture(params=DETECTORS)
def small_case(request: pytest.FixtureRequest) -> Case:
    """For promises that the code around a network keeps or breaks, whatever the network."""
    return built(request.param, "small")


def numbers(outcome: Scored | NotScored) -> list[object]:
    """All that a detector gave, in a form that compares bit for bit."""
    if isinstance(outcome, NotScored):
        return [outcome]
    maps = [(m.values.tobytes(), m.to_source.tobytes(), m.subject, m.faithfulness, m.pts_seconds) for m in outcome.maps]
    spectrograms = [(s.values.tobytes(), s.log_power_db.tobytes(), s.faithfulness) for s in outcome.spectrograms]
    return [
        outcome.reading,
        outcome.timeline,
        outcome.moments,
        maps,
        spectrograms,
        [f.pts_seconds for f in outcome.telling_frames],
    ]


def test_good_sample_gives_a_finite_rounded_logit(case: Case) -> None:
    reading = case.scored.reading
    assert reading.detector == case.detector.card.name
    assert math.isfinite(reading.spoof_logit)
    assert reading.spoof_logit == round(reading.spoof_logit, 3)
    assert reading.n_samples >= 1


def test_same_sample_gives_the_same_bits(case: Case) -> None:
    assert numbers(case.detector.score(case.good())) == numbers(case.scored)


def test_item_is_not_changed_by_those_before_it(case: Case) -> None:
    fresh = case.build()
    other = numbers(fresh.score(case.other()))
    assert numbers(fresh.score(case.good())) == numbers(case.scored)
    assert other != numbers(case.scored)


def test_input_is_left_as_it_was(small_case: Case) -> None:
    pixels, samples = portrait().copy(), reading().copy()
    frames = clip(pixels)
    blocks = list(sound(samples).blocks)
    before = [block.samples.copy() for block in blocks]
    samples_by_modality: dict[Modality, Sample] = {
        "image": picture(pixels),
        "video": frames,
        "audio": SoundSample(iter(blocks), RATE_HZ),
    }
    assert isinstance(small_case.detector.score(samples_by_modality[small_case.modality]), Scored)
    assert np.array_equal(pixels, portrait())
    assert all(np.array_equal(block.samples, was) for block, was in zip(blocks, before, strict=True))


def test_nothing_of_the_sample_is_kept(small_case: Case) -> None:
    pixels, samples = portrait().copy(), reading().copy()
    kept = weakref.ref(pixels if small_case.modality != "audio" else samples)
    small_case.detector.score(MAKE_GOOD[small_case.modality](pixels, samples))
    del pixels, samples
    gc.collect()
    assert kept() is None


def test_other_modalities_are_not_applicable(small_case: Case) -> None:
    for modality, make in MAKE_GOOD.items():
        if modality == small_case.modality:
            continue
        outcome = small_case.detector.score(make(portrait(), reading()))
        assert isinstance(outcome, NotScored)
        assert (outcome.detector, outcome.absence) == (small_case.detector.card.name, Absence.NOT_APPLICABLE)


def test_maps_lie_on_the_picture_and_are_finite(case: Case) -> None:
    height, width = portrait().shape[:2]
    for saliency in case.scored.maps:
        corners = saliency.to_source @ np.array([[0, 1, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1]])
        reach = 0.0 if saliency.subject == "whole" else FACE.size_px
        assert saliency.values.dtype == np.float32
        assert np.isfinite(saliency.values).all()
        assert (corners >= -reach).all()
        assert (corners <= np.array([[width + reach], [height + reach]])).all()
        assert saliency.faithfulness.masked_fraction == 0.1
        assert math.isfinite(saliency.faithfulness.drop_hottest)


def test_pictures_and_clips_come_with_a_map(case: Case) -> None:
    assert bool(case.scored.maps) == (case.modality != "audio")
    assert bool(case.scored.spectrograms) == (case.detector.card.name == "audio_whisper")


def test_timeline_is_in_order_and_within_the_item(case: Case) -> None:
    scored = case.scored
    length = {"image": 0.0, "video": CLIP_SECONDS, "audio": len(reading()) / RATE_HZ}[case.modality]
    for track in {point.track_id for point in scored.timeline}:
        points = [point for point in scored.timeline if point.track_id == track]
        assert [p.start_seconds for p in points] == sorted(p.start_seconds for p in points)
    assert all(0 <= p.start_seconds < p.end_seconds <= length + 1e-6 for p in scored.timeline)
    assert all(math.isfinite(p.spoof_logit) for p in scored.timeline)
    assert bool(scored.timeline) == (case.modality != "image")


def test_maps_of_clips_name_a_frame_that_is_there(case: Case) -> None:
    scored = case.scored
    assert {m.pts_seconds for m in scored.maps} - {None} == {f.pts_seconds for f in scored.telling_frames}


def test_spectrograms_have_one_shape_throughout(case: Case) -> None:
    for spectrogram in case.scored.spectrograms:
        assert spectrogram.values.shape == spectrogram.log_power_db.shape
        assert len(spectrogram.mel_frequencies_hz) == len(spectrogram.values)
        assert np.isfinite(spectrogram.values).all()
        assert 0 <= spectrogram.start_seconds < spectrogram.end_seconds <= len(reading()) / RATE_HZ


def absence_of(name: str, networks: str, sample: Sample) -> Absence:
    outcome = built(name, networks).detector.score(sample)
    assert isinstance(outcome, NotScored), outcome
    assert outcome.detector == name
    assert outcome.detail
    return outcome.absence


@pytest.mark.parametrize("size", [(1, 1), (47, 500), (500, 47)])
@pytest.mark.parametrize("name", ["image_clip", "video_clip"])
def test_small_pictures_and_frames_are_too_small(name: str, networks: str, size: tuple[int, int]) -> None:
    pixels = portrait()[: size[0], : size[1]].copy()
    make = picture if name == "image_clip" else clip
    assert absence_of(name, networks, make(pixels, ())) is Absence.TOO_SMALL


def test_picture_without_a_face_is_no_face(networks: str) -> None:
    assert absence_of("face_clip", networks, picture(portrait(), ())) is Absence.NO_FACE


def test_face_below_the_least_size_is_too_small(networks: str) -> None:
    assert absence_of("face_clip", networks, picture(portrait(), (TINY_FACE,))) is Absence.TOO_SMALL


def test_clip_without_frames_is_no_video_frames(networks: str) -> None:
    assert absence_of("video_clip", networks, ClipSample(iter(()), 1.0)) is Absence.NO_VIDEO_FRAMES


def test_clip_without_faces_is_scored_on_its_own_stratum() -> None:
    detector = built("video_clip", "small").detector
    without, with_face = detector.score(clip(portrait(), ())), detector.score(clip(portrait()))
    assert isinstance(without, Scored)
    assert isinstance(with_face, Scored)
    assert (without.reading.stratum, with_face.reading.stratum) == ("no_face", "with_face")
    assert {p.track_id for p in without.timeline} == {None}
    assert {p.track_id for p in with_face.timeline} == {None, 0}


def test_closer_look_adds_moments_and_leaves_the_clip_as_it_is() -> None:
    detector, pixels = built("video_clip", "small").detector, portrait()
    times = tuple(float(k) for k in range(8))
    asked: list[tuple[float, ...]] = []

    def closer(wanted: Sequence[float]) -> Iterator[FrameSample]:
        asked.append(tuple(wanted))
        return iter([FrameSample(Frame(pixels, time, 0), (FACE,), (0,)) for time in wanted])

    without = detector.score(replace(clip(pixels, times=times), duration_seconds=8.0))
    looked = detector.score(replace(clip(pixels, times=times), duration_seconds=8.0, closer=closer))
    bare = replace(clip(pixels, times=times), duration_seconds=8.0, closer=closer, wants_evidence=False)
    assert detector.score(bare) == Scored(looked.reading)  # type: ignore[union-attr]
    assert isinstance(without, Scored)
    assert isinstance(looked, Scored)
    assert (looked.reading, looked.timeline) == (without.reading, without.timeline)
    assert len(without.moments) == len(times)
    assert len(asked) == 1
    assert list(asked[0]) == sorted(set(asked[0]))
    assert len(looked.moments) == len(times) + len(set(asked[0]) - set(times))


def test_frames_that_lie_dense_are_not_looked_at_again() -> None:
    def closer(wanted: Sequence[float]) -> Iterator[FrameSample]:
        raise AssertionError(f"asked for {wanted}")

    outcome = built("video_clip", "small").detector.score(replace(clip(portrait()), closer=closer))
    assert isinstance(outcome, Scored)
    assert len(outcome.moments) == len(FRAME_TIMES)


@pytest.mark.parametrize("name", ["audio_whisper", "audio_aasist"])
@pytest.mark.parametrize(
    ("samples", "absence"),
    [
        (np.zeros(0, np.float32), Absence.TOO_SHORT),
        (reading()[: RATE_HZ // 5], Absence.TOO_SHORT),
        (np.zeros(3 * RATE_HZ, np.float32), Absence.SILENT),
        (np.full(3 * RATE_HZ, np.nan, np.float32), Absence.SILENT),
        (reading() * 1e-4, Absence.SILENT),
        (np.sin(np.arange(3 * RATE_HZ) / 5).astype(np.float32) * 0.005, Absence.NO_SPEECH),
    ],
    ids=["nothing", "0.2 s", "silence", "not a number", "-80 dB", "tone"],
)
def test_sound_without_speech_is_not_scored(
    name: str, networks: str, samples: NDArray[np.float32], absence: Absence
) -> None:
    assert absence_of(name, networks, sound(samples)) is absence


def test_aasist_is_not_asked_of_telephone_sound(networks: str) -> None:
    narrow = librosa.resample(
        librosa.resample(reading(), orig_sr=RATE_HZ, target_sr=8000), orig_sr=8000, target_sr=RATE_HZ
    )
    assert absence_of("audio_aasist", networks, sound(narrow)) is Absence.NARROW_BAND


@pytest.mark.parametrize("name", ["audio_whisper", "audio_aasist"])
def test_cutting_sound_into_other_blocks_changes_nothing(name: str, networks: str) -> None:
    detector = built(name, networks).detector
    first, second = (numbers(detector.score(sound(reading(), size))) for size in (RATE_HZ, 1999))
    assert first == second


def test_all_of_a_long_recording_is_scored() -> None:
    minutes = 4
    minute = np.tile(reading(), 60 * RATE_HZ // len(reading()) + 1)[: 60 * RATE_HZ]

    def blocks() -> Iterator[Waveform]:
        for k in range(minutes):
            yield Waveform(minute, RATE_HZ, 60.0 * k)

    outcome = built("audio_whisper", "small").detector.score(SoundSample(blocks(), RATE_HZ))
    assert isinstance(outcome, Scored)
    starts = [point.start_seconds for point in outcome.timeline]
    assert len(starts) == outcome.reading.n_samples > MAX_WINDOWS
    assert np.diff(starts).max() <= 3  # of one reading, pauses and all
    assert starts[-1] > 60 * minutes - 5


def test_level_of_the_recording_says_nothing(networks: str) -> None:
    detector = built("audio_whisper", networks).detector
    loud, quiet = (detector.score(sound(reading() * np.float32(gain))) for gain in (1.0, 0.5))
    assert isinstance(loud, Scored)
    assert isinstance(quiet, Scored)
    assert quiet.reading.spoof_logit == pytest.approx(loud.reading.spoof_logit, abs=0.15)


@pytest.mark.parametrize("name", ["video_clip", "audio_whisper"])
def test_stream_that_breaks_half_way_is_an_error_not_a_score(name: str) -> None:
    def breaking(items: Iterator[object]) -> Iterator[object]:
        yield next(items)
        raise UndecodableMedia("broken here")

    whole = MAKE_GOOD["video" if name == "video_clip" else "audio"](portrait(), reading())
    broken = (
        ClipSample(breaking(whole.frames), CLIP_SECONDS)  # type: ignore[arg-type]
        if isinstance(whole, ClipSample)
        else SoundSample(breaking(whole.blocks), RATE_HZ)  # type: ignore[arg-type, union-attr]
    )
    with pytest.raises(UndecodableMedia, match="broken here"):
        built(name, "small").detector.score(broken)
