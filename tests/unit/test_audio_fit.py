"""Fitting of the audio head: no leak between folds, honest choices, and the same bytes each time."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepscreen.detectors.device import plan_compute
from deepscreen.detectors.registry import Workshop
from deepscreen.detectors.speech_features import VIEWS
from deepscreen.errors import ConfigError
from deepscreen.evaluation.metrics import auc
from deepscreen.settings import Settings
from deepscreen.training.artefacts import Artefacts
from deepscreen.training.audio_calibration import calibrate, held_out_log10_lrs, stated_log10_lrs
from deepscreen.training.audio_features import ClipFeatures
from deepscreen.training.audio_hold_out import hold_out
from deepscreen.training.audio_kernel import Examples, KernelSetting, fit_kernel, kernel_logits
from deepscreen.training.audio_rows import AudioRows, audio_rows
from deepscreen.training.fit_audio import feature_cache, fit_audio
from deepscreen.training.labelled import LabelledFile
from deepscreen.weights.store import WeightsStore

READING = Path(__file__).parents[2] / "sample_media/bona_fide/reading.flac"
SETTING = KernelSetting(factor=1.0, l2=0.3)
N_ALL = max(view.stop for view in VIEWS.values())


def file(source: str, label: int, n: int, group: str = "") -> LabelledFile:
    key = f"{source}/{label}/{n}.flac"
    return LabelledFile(Path(key), key, label, "kind", "system", source, group or key, None)


def rows(n_sources: int = 12, *, signal: float = 0.0, shared_groups: bool = False) -> AudioRows:
    """Four clips a source and class: each source has a strong mark of its own, and spoofs a weak common one."""
    rng = np.random.default_rng(0)
    pairs = []
    for s in range(n_sources):
        mark = rng.standard_normal((8, 1024)).astype(np.float32)
        label = s % 2
        for n in range(4):
            whisper = 3 * mark + rng.standard_normal((8, 1024)).astype(np.float32)
            whisper[1, :50] += signal * label
            spectral = rng.standard_normal(N_ALL) + np.where(np.arange(N_ALL) < 20, signal * label, 0)
            group = f"speaker {s // 2}" if shared_groups else ""
            pairs.append(
                (
                    file(f"source {s}", label, n, group),
                    ClipFeatures("", 0, whisper, whisper[7], spectral.astype(np.float32)),
                )
            )
    return audio_rows(pairs)


def cross_fitted(data: AudioRows, n_folds: int = 6) -> np.ndarray:
    examples = Examples.of(data)
    return examples.cross_fitted(examples.kernel(SETTING.factor), SETTING.l2, data.folds(n_folds))


def test_a_mark_of_the_source_does_not_help_on_held_out_sources() -> None:
    data = rows(24)
    within = fit_kernel(data, 4, (SETTING,)).logits(data)
    assert abs(float(np.corrcoef(cross_fitted(data), data.labels)[0, 1])) < 0.4
    assert float(np.corrcoef(within, data.labels)[0, 1]) > 0.9  # fitted on the same sources it looks perfect


def test_the_kernel_finds_what_spoofs_have_in_common() -> None:
    data = rows(24, signal=4.0)
    assert auc(data.labels, cross_fitted(data)) > 0.9


def test_held_out_scores_are_those_of_a_fit_on_the_other_folds() -> None:
    data = rows(12, signal=4.0)
    held = hold_out(data)
    fold = data.folds(6)[2]
    kept = np.setdiff1d(np.arange(len(data.files)), fold)
    fitted = fit_kernel(data.take(kept), 4)
    assert np.array_equal(held.result.spoof_logits[fold], fitted.logits(data.take(fold)))
    assert held.fits[2].setting == fitted.setting
    assert set(held.folds[fold]) == {2}


def test_a_view_alone_reads_nothing_else() -> None:
    data = rows(12, signal=4.0)
    alone = fit_kernel(data, 4, (SETTING,)).alone[0]
    changed = AudioRows(data.files, data.copies, data.whisper, data.last, -data.spectral, data.labels)
    assert np.array_equal(kernel_logits(alone, data), kernel_logits(alone, changed))


def test_sources_that_share_a_group_are_held_out_together() -> None:
    data = rows(12, shared_groups=True)
    for fold in data.folds(3):
        inside = {data.files[k].group for k in fold}
        assert inside.isdisjoint({f.group for k, f in enumerate(data.files) if k not in set(fold)})


def test_the_better_setting_is_chosen() -> None:
    data = rows(24, signal=4.0)
    useless = KernelSetting(factor=1e4, l2=0.3)  # every example is near to itself only
    assert fit_kernel(data, 4, (useless, SETTING)).setting == SETTING


def test_fitting_twice_gives_the_same_numbers() -> None:
    data = rows(8, signal=1.0)
    assert np.array_equal(*(fit_kernel(data, 4, (SETTING,)).logits(data) for _ in range(2)))


def test_calibration_belongs_to_its_head_and_keeps_the_order_of_logits() -> None:
    data = rows(24, signal=4.0)
    logits = cross_fitted(data)
    calibration = calibrate("ab" * 32, data, logits)
    (stratum,) = calibration.strata
    assert calibration.head_sha256 == "ab" * 32
    assert calibration.apply(5.0, stratum).log10_lr > calibration.apply(-5.0, stratum).log10_lr


def test_a_fold_has_no_say_in_what_its_own_logits_mean() -> None:
    data = rows(24, signal=4.0)
    logits, folds = cross_fitted(data), np.arange(len(data.files)) % 3
    changed = np.where(folds == 1, -5 * logits, logits)
    before, after = (held_out_log10_lrs(data, one, folds) for one in (logits, changed))
    others = data.take(folds != 1)
    same = stated_log10_lrs(calibrate("", others, logits[folds != 1]), data.take(folds == 1), changed[folds == 1])
    assert np.allclose(after[folds == 1], same)
    assert not np.allclose(after[folds == 0], before[folds == 0])


def small_collection(folder: Path, n_sources: int = 11) -> Path:
    """Clips of one reading, cut at many places; the 'spoofs' are played backwards."""
    samples, rate_hz = soundfile.read(READING, dtype="float32")
    lines = []
    for s in range(n_sources):
        for n in range(2):
            start = (s * 2 + n) * 4_300
            piece = samples[start : start + 16_000]
            label = ("bonafide", "spoof")[n]
            path = folder / f"{s}_{label}.flac"
            soundfile.write(path, piece[::-1] if n else piece, rate_hz)
            lines.append((path.name, label, f"family {n}", "system", f"source {s}", f"group {s}", "16000"))
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "label", "family", "system", "source", "group", "original_sample_rate_hz"))
        writer.writerows(lines)
    return manifest


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_same_fit_gives_the_same_bytes_with_and_without_a_cache(tmp_path: Path) -> None:

    manifest = small_collection(tmp_path)
    workshop = Workshop(WeightsStore.from_settings(Settings()), plan_compute("cpu", "auto"))
    caches = {"first": tmp_path / "cache", "bare": None}
    for name, cache_dir in caches.items():
        fit_audio(manifest, Artefacts(tmp_path / name), workshop, cache_dir=cache_dir, seed=0)
    digests = {name: digests_of(tmp_path / name) for name in caches}
    assert len(digests["first"]) == 3
    assert digests["first"] == digests["bare"]
    report = json.loads((tmp_path / "first/reports/audio_whisper.json").read_text(encoding="utf-8"))
    assert report["protocols"]["source-held-out, all"]["n_spoof"] > 0
    assert not {"path", "time"} & set(report)


@pytest.mark.weights
def test_too_few_sources_are_named_before_anything_is_fitted(tmp_path: Path) -> None:

    manifest = small_collection(tmp_path, n_sources=2)
    workshop = Workshop(WeightsStore.from_settings(Settings()), plan_compute("cpu", "auto"))
    with pytest.raises(ConfigError, match=r"2 sources hold spoof speech .* at least 6 are needed"):
        fit_audio(manifest, Artefacts(tmp_path / "out"), workshop, cache_dir=None, seed=0)
    assert not (tmp_path / "out").exists()


def digests_of(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.weights
def test_slices_of_sounds_with_windows_in_common_are_those_of_each_alone(tmp_path: Path) -> None:
    samples, _ = soundfile.read(READING, dtype="float32", frames=5 * 16_000)
    changed = samples.copy()
    changed[:16_000] = samples[32_000:48_000]
    workshop = Workshop(WeightsStore.from_settings(Settings()), plan_compute("cpu", "auto"))
    kept, bare = (feature_cache(workshop, folder, 0) for folder in (tmp_path, None))
    together = list(kept.slices([samples, changed]))
    for sound, stack in zip((samples, changed), together, strict=True):
        (alone,) = bare.slices([sound])
        (again,) = kept.slices([sound])
        assert stack is not None
        assert alone is not None
        assert again is not None
        assert len(stack.start_seconds) > 5
        assert np.array_equal(stack.whisper, alone.whisper)
        assert np.array_equal(stack.spectral, again.spectral)
    assert list(bare.slices([np.zeros(32_000, np.float32)])) == [None]
