"""What plug-ins read: the library's own logits, both polarities, windows over time, and what is not scored."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tiny_checkpoints import (
    ARCHITECTURES,
    FRAMES,
    MODALITIES,
    REVISION,
    row_of,
    save_catalogue,
    save_checkpoint,
    spoof_logit_of_the_library,
)

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.catalogue.clips import frame_windows
from deepscreen.detectors.catalogue.rows import load_catalogue
from deepscreen.detectors.catalogue.sounds import MAX_WINDOWS, SoundWindow, evenly_spread, sound_windows
from deepscreen.detectors.contract import (
    ClipSample,
    Detector,
    FrameSample,
    ImageSample,
    Sample,
    Scored,
    SoundSample,
)
from deepscreen.detectors.device import ComputePlan
from deepscreen.detectors.registry import build_plugins
from deepscreen.errors import InferenceFailed
from deepscreen.media.samples import Frame, Still, Waveform

RATE_HZ = 16_000
PLAN = ComputePlan("cpu", "fp32", 1)
RNG = np.random.default_rng(3)
PICTURE: NDArray[np.uint8] = RNG.integers(0, 256, (70, 100, 3), dtype=np.uint8)
CLIP = tuple(RNG.integers(0, 256, (50, 60, 3), dtype=np.uint8) for _ in range(2 * FRAMES))
SOUND: NDArray[np.float32] = RNG.uniform(-0.5, 0.5, 2 * RATE_HZ).astype(np.float32)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One checkpoint of each architecture; tests that change one copy it first."""
    root = tmp_path_factory.mktemp("checkpoints")
    return {name: save_checkpoint(root / name, name) for name in ARCHITECTURES}


@pytest.fixture
def copied(checkpoints: dict[str, Path], tmp_path: Path) -> Path:
    """A ViT checkpoint that may be spoilt."""
    return Path(shutil.copytree(checkpoints["vit"], tmp_path / "vit"))


def build(tmp_path: Path, *rows: dict[str, Any]) -> tuple[Detector, ...]:
    return build_plugins(load_catalogue(save_catalogue(tmp_path / "catalogue.toml", *rows)), PLAN)


def clip(frames: tuple[NDArray[np.uint8], ...] = CLIP) -> ClipSample:
    """Two frames a second."""
    samples = (FrameSample(Frame(pixels, 0.25 + k / 2, k), (), ()) for k, pixels in enumerate(frames))
    return ClipSample(iter(list(samples)), len(frames) / 2)


def sound(samples: NDArray[np.float32] = SOUND, block_samples: int = 7000) -> SoundSample:
    starts = range(0, len(samples), block_samples)
    return SoundSample(iter([Waveform(samples[s : s + block_samples], RATE_HZ, s / RATE_HZ) for s in starts]), RATE_HZ)


def sample_of(architecture: str) -> Sample:
    modality = MODALITIES[architecture]
    return ImageSample(Still(PICTURE), ()) if modality == "image" else clip() if modality == "video" else sound()


def windows_of(architecture: str, detector_windows: int) -> list[Any]:
    """The same item as the library takes it: a picture, lists of frames, stretches of sound."""
    if MODALITIES[architecture] == "image":
        return [PICTURE]
    if architecture == "videomae":
        return [list(CLIP[:FRAMES]), list(CLIP[FRAMES:])]
    size = {"wav2vec2": RATE_HZ, "ast": 10_240}[architecture]
    starts = [k * size for k in range(len(SOUND) // size)]
    starts += [len(SOUND) - size] if len(SOUND) % size else []
    assert len(starts) == detector_windows
    return [SOUND[s : s + size] for s in starts]


def scored(detector: Detector, sample: Sample) -> Scored:
    outcome = detector.score(sample)
    assert isinstance(outcome, Scored), outcome
    return outcome


def absence(detector: Detector, sample: Sample) -> Absence:
    outcome = detector.score(sample)
    assert isinstance(outcome, NotScored), outcome
    assert outcome.detail
    assert outcome.detector == detector.card.name
    return outcome.absence


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logit_is_what_the_library_itself_gives(
    checkpoints: dict[str, Path], tmp_path: Path, architecture: str
) -> None:
    folder = checkpoints[architecture]
    outcome = scored(build(tmp_path, row_of(folder, architecture))[0], sample_of(architecture))
    windows = windows_of(architecture, outcome.reading.n_samples)
    logits = [spoof_logit_of_the_library(folder, architecture, item) for item in windows]
    assert outcome.reading.spoof_logit == pytest.approx(float(np.mean(logits)), abs=2e-3)
    assert abs(outcome.reading.spoof_logit) > 0.05, "a logit near zero would not tell the polarity"
    if MODALITIES[architecture] != "image":
        assert [point.spoof_logit for point in outcome.timeline] == pytest.approx(logits, abs=2e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("other", ["Real", 1])
def test_other_label_as_spoof_turns_the_polarity(
    checkpoints: dict[str, Path], tmp_path: Path, architecture: str, other: str | int
) -> None:
    row = row_of(checkpoints[architecture], architecture)
    one, two = build(tmp_path, row, {**row, "name": "turned", "spoof_label": other})
    logit = scored(one, sample_of(architecture)).reading.spoof_logit
    assert scored(two, sample_of(architecture)).reading.spoof_logit == pytest.approx(-logit, abs=1e-3)


def test_spoof_stands_against_all_other_labels_together(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "three", "vit", ("drawing", "generated", "photo"))
    (detector,) = build(tmp_path, row_of(folder, "vit", spoof_label="generated"))
    expected = spoof_logit_of_the_library(folder, "vit", PICTURE, spoof_index=1)
    assert scored(detector, sample_of("vit")).reading.spoof_logit == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_plugin_is_known_by_its_row(checkpoints: dict[str, Path], tmp_path: Path, architecture: str) -> None:
    card = build(tmp_path, row_of(checkpoints[architecture], architecture))[0].card
    assert (card.name, card.modality) == (f"tiny_{architecture}", MODALITIES[architecture])
    assert card.version == REVISION[:12]
    assert f"tiny_{architecture}/model.safetensors" in card.weights
    assert card.is_plugin


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_same_item_gives_the_same_bits_whatever_came_before(
    checkpoints: dict[str, Path], tmp_path: Path, architecture: str
) -> None:
    row = row_of(checkpoints[architecture], architecture)
    (first,), (second,) = build(tmp_path, row), build(tmp_path, row)
    first.score(ImageSample(Still(PICTURE[::-1].copy()), ()))
    assert first.score(sample_of(architecture)) == second.score(sample_of(architecture))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_other_modalities_are_not_applicable(checkpoints: dict[str, Path], tmp_path: Path, architecture: str) -> None:
    (detector,) = build(tmp_path, row_of(checkpoints[architecture], architecture))
    for other in {"vit", "videomae", "ast"} - {architecture}:
        if MODALITIES[other] != MODALITIES[architecture]:
            assert absence(detector, sample_of(other)) is Absence.NOT_APPLICABLE


def test_weight_norm_under_its_older_names_is_understood(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    """Most Wav2Vec2 checkpoints were saved before the parametrisation was renamed."""
    folder = Path(shutil.copytree(checkpoints["wav2vec2"], tmp_path / "older"))
    names = {".parametrizations.weight.original0": ".weight_g", ".parametrizations.weight.original1": ".weight_v"}
    tensors = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        for new, old in names.items():
            name = name.replace(new, old)
        tensors[name] = tensor
    save_file(tensors, folder / "model.safetensors")
    assert any(name.endswith(".weight_g") for name in tensors)
    plain, older = build(
        tmp_path, row_of(checkpoints["wav2vec2"], "wav2vec2"), row_of(folder, "wav2vec2", name="older")
    )
    assert scored(older, sound()).reading.spoof_logit == scored(plain, sound()).reading.spoof_logit


def test_network_that_gives_no_number_fails_and_says_so(copied: Path, tmp_path: Path) -> None:
    tensors = load_file(copied / "model.safetensors")
    tensors["classifier.bias"][:] = torch.nan
    save_file(tensors, copied / "model.safetensors")
    (detector,) = build(tmp_path, row_of(copied, "vit"))
    with pytest.raises(InferenceFailed, match="nan"):
        detector.score(sample_of("vit"))


@pytest.mark.parametrize("size", [(47, 500), (500, 47)])
@pytest.mark.parametrize("architecture", ["vit", "videomae"])
def test_small_pictures_and_frames_are_too_small(
    checkpoints: dict[str, Path], tmp_path: Path, architecture: str, size: tuple[int, int]
) -> None:
    (detector,) = build(tmp_path, row_of(checkpoints[architecture], architecture))
    pixels = np.zeros((*size, 3), np.uint8)
    sample = ImageSample(Still(pixels), ()) if architecture == "vit" else clip((pixels,))
    assert absence(detector, sample) is Absence.TOO_SMALL


def test_long_frame_whose_middle_shows_little_is_not_read(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    """Enlarged to the short side, it would also take up memory without bound."""
    (detector,) = build(tmp_path, row_of(checkpoints["videomae"], "videomae"))
    assert absence(detector, clip((np.zeros((48, 8 * 48 + 1, 3), np.uint8),))) is Absence.NOT_APPLICABLE
    assert scored(detector, clip((np.zeros((48, 8 * 48, 3), np.uint8),)))


def test_clip_without_frames_is_no_video_frames(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    (detector,) = build(tmp_path, row_of(checkpoints["videomae"], "videomae"))
    assert absence(detector, clip(())) is Absence.NO_VIDEO_FRAMES


def test_timeline_of_a_clip_covers_it_without_gaps(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    (detector,) = build(tmp_path, row_of(checkpoints["videomae"], "videomae"))
    spans = [(p.start_seconds, p.end_seconds) for p in scored(detector, clip()).timeline]
    assert spans == [(0.0, 2.0), (2.0, 4.0)]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (SOUND[:0], Absence.TOO_SHORT),
        (SOUND[: RATE_HZ // 2], Absence.TOO_SHORT),
        (np.zeros(RATE_HZ, np.float32), Absence.SILENT),
        (np.full(RATE_HZ, np.nan, np.float32), Absence.SILENT),
        (SOUND * np.float32(1e-4), Absence.SILENT),
    ],
)
@pytest.mark.parametrize("architecture", ["wav2vec2", "ast"])
def test_sound_that_holds_nothing_is_not_scored(
    checkpoints: dict[str, Path], tmp_path: Path, architecture: str, samples: NDArray[np.float32], expected: Absence
) -> None:
    (detector,) = build(tmp_path, row_of(checkpoints[architecture], architecture))
    assert absence(detector, sound(samples)) is expected


def test_silent_stretch_is_left_out_of_the_timeline(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    (detector,) = build(tmp_path, row_of(checkpoints["wav2vec2"], "wav2vec2"))
    track = np.concatenate([SOUND[:RATE_HZ], np.zeros(RATE_HZ, np.float32), SOUND[RATE_HZ:]])
    assert [p.start_seconds for p in scored(detector, sound(track)).timeline] == [0.0, 2.0]


@pytest.mark.parametrize("block_samples", [1, 7, 10, 1000])
def test_windows_of_sound_do_not_depend_on_its_blocks(block_samples: int) -> None:
    found = list(sound_windows(sound(SOUND[:25], block_samples).blocks, 10))
    assert [(w.start, w.start + len(w.samples)) for w in found] == [(0, 10), (10, 20), (15, 25)]
    assert all(np.array_equal(w.samples, SOUND[w.start : w.start + 10]) for w in found)


@pytest.mark.parametrize(("n_samples", "spans"), [(0, []), (4, [(0, 4)]), (10, [(0, 10)]), (11, [(0, 10), (1, 11)])])
def test_short_sound_is_one_window_and_the_last_one_reaches_back(n_samples: int, spans: list[tuple[int, int]]) -> None:
    found = sound_windows(sound(SOUND[:n_samples]).blocks, 10)
    assert [(w.start, w.start + len(w.samples)) for w in found] == spans


@pytest.mark.parametrize("count", [1, MAX_WINDOWS, MAX_WINDOWS + 1, 1000])
def test_long_sound_is_thinned_evenly(count: int) -> None:
    kept = [w.start for w in evenly_spread((SoundWindow(SOUND[:1], k) for k in range(count)), MAX_WINDOWS)]
    assert min(count, MAX_WINDOWS // 2) <= len(kept) <= MAX_WINDOWS
    assert len(set(np.diff(kept))) <= 1
    assert kept[0] == 0


@pytest.mark.parametrize(
    ("count", "windows"),
    [
        (0, []),
        (1, [(0, 0, [0, 0, 0, 0])]),
        (3, [(0, 2, [0, 1, 1, 2])]),
        (4, [(0, 3, [0, 1, 2, 3])]),
        (6, [(0, 3, [0, 1, 2, 3]), (2, 5, [2, 3, 4, 5])]),
        (8, [(0, 3, [0, 1, 2, 3]), (4, 7, [4, 5, 6, 7])]),
    ],
)
def test_windows_of_frames(count: int, windows: list[tuple[int, int, list[int]]]) -> None:
    pictures = (torch.full((3, 2, 2), float(k)) for k in range(count))
    found = [(w.first, w.last, w.pictures[:, 0, 0, 0].int().tolist()) for w in frame_windows(pictures, 4)]
    assert found == windows
