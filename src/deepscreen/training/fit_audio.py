"""Fits ``audio_whisper`` and its calibration from a labelled manifest of speech recordings.

Split by source and group, never by file; settings are chosen in inner folds. A fixed fifth of the sources
(``is_release_split``) is never fitted, chosen or calibrated on; the finished head scores it once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deepscreen.detectors.audio_whisper import CARD, HEAD_NAME, speech_features, voice_activity
from deepscreen.detectors.linear_head import FloatArray
from deepscreen.detectors.nets.whisper import LAYERS, WEIGHTS_NAME
from deepscreen.detectors.registry import Workshop
from deepscreen.errors import ConfigError
from deepscreen.evaluation.protocols import is_release_split, system_folds
from deepscreen.training.artefacts import Artefacts
from deepscreen.training.audio_aims import read_facts
from deepscreen.training.audio_calibration import calibrate, held_out_log10_lrs, stated_log10_lrs
from deepscreen.training.audio_features import AudioFeatureCache, LastNorm
from deepscreen.training.audio_hold_out import INNER_FOLDS, OUTER_FOLDS, folds_without, hold_out, read_by
from deepscreen.training.audio_kernel import LAYERS as HEAD_LAYERS
from deepscreen.training.audio_kernel import KernelSetting, fit_kernel
from deepscreen.training.audio_report import audio_report
from deepscreen.training.audio_rows import AudioRows, audio_rows
from deepscreen.training.labelled import read_manifest
from deepscreen.weights.store import load_tensors


def fit_audio(manifest: Path, artefacts: Artefacts, workshop: Workshop, *, cache_dir: Path | None, seed: int) -> None:
    """Writes head, calibration and report of ``audio_whisper`` into *artefacts*.

    ``cache_dir``: where features are kept between runs; None computes all of them anew. Raises ConfigError for a
    manifest that cannot be read, has too few sources, or names recordings that are not mono at 16 kHz.
    """
    cache = feature_cache(workshop, cache_dir, seed)
    files = read_manifest(manifest)
    rows = audio_rows([(f, c) for f in files for c in cache.features(f)])
    in_release = np.array([is_release_split(source) for source in rows.sources])
    development, release = rows.take(~in_release), rows.take(in_release)

    _check_enough(manifest, development)
    held = hold_out(development)
    fitted = fit_kernel(development, OUTER_FOLDS)
    sha256 = artefacts.write_head(HEAD_NAME, fitted.head.arrays())
    calibration = calibrate(sha256, development, held.result.spoof_logits)
    artefacts.write_calibration(calibration)
    results = {"source-held-out": held.result}
    log10_lrs = {"source-held-out": held_out_log10_lrs(development, held.result.spoof_logits, held.folds)}
    if len(release.files):
        results["release split"] = released = read_by(fitted, development, release)
        log10_lrs["release split"] = stated_log10_lrs(calibration, release, released.spoof_logits)
    unseen = _unseen_systems(development, fitted.setting)
    notes = _notes(fitted.setting, [fit.setting for fit in held.fits.values()], rows, n_files=len(files))
    artefacts.write_report(CARD.name, audio_report(results, log10_lrs, unseen, read_facts(manifest), notes))


def _check_enough(manifest: Path, rows: AudioRows) -> None:
    for label, name in ((1, "spoof"), (0, "bona fide")):
        n_sources = len({file.source for file in rows.files if file.label == label})
        if n_sources < OUTER_FOLDS:
            raise ConfigError(
                f"{manifest}: {n_sources} sources hold {name} speech outside the release split; at least"
                f" {OUTER_FOLDS} are needed"
            )


def _unseen_systems(rows: AudioRows, setting: KernelSetting) -> FloatArray:
    """Logits of recordings from fits that saw neither their system nor their group, but their source.

    The setting stays as it is. nan where no other recording of the source was left to fit on.
    """
    folds = system_folds(rows.files, OUTER_FOLDS)
    groups, sources = np.array([file.group for file in rows.files]), np.array(rows.sources)
    logits = np.full(len(rows.files), np.nan)
    for fold in (np.flatnonzero(folds == k) for k in range(OUTER_FOLDS)):
        kept = folds_without(len(rows.files), fold) & ~np.isin(groups, groups[fold])
        asked = fold[(rows.copies[fold] == 0) & np.isin(sources[fold], sources[kept])]
        if len(asked) and len(np.unique(rows.labels[kept])) == 2:
            logits[asked] = fit_kernel(rows.take(kept), INNER_FOLDS, (setting,), with_alone=False).logits(
                rows.take(asked)
            )
    return logits


def feature_cache(workshop: Workshop, cache_dir: Path | None, seed: int) -> AudioFeatureCache:
    """Features of recordings as the backbones of *workshop* give them, kept in *cache_dir*."""
    tensors = load_tensors(workshop.store.locate(WEIGHTS_NAME))
    last_norm = LastNorm(tensors["layer_norm.weight"].float(), tensors["layer_norm.bias"].float())
    backbone = speech_features(workshop, LAYERS).backbone
    return AudioFeatureCache(cache_dir, backbone, voice_activity(workshop), last_norm, seed=seed)


def _notes(shipped: KernelSetting, held: list[KernelSetting], rows: AudioRows, *, n_files: int) -> list[str]:
    n_scored = len({file.key for file in rows.files})
    said = "; ".join(_setting_words(setting) for setting in dict.fromkeys(held))
    return [
        f"Kernel ridge on the mean of three Gaussian kernels; Whisper layers {', '.join(map(str, HEAD_LAYERS))}."
        f" Shipped: {_setting_words(shipped)}; the inner folds of the held-out figures chose {said}.",
        "A view alone is a head of its own, fitted on that view with the same setting.",
        f"{n_files - n_scored} of {n_files} recordings hold no half second of speech and are not scored.",
        "Every recording was fitted as it is and in laundered copies: a telephone call (300 to 3400 Hz and GSM 06.10),"
        " MP3 at 32 kbit/s and, of one in sixteen, a random treatment; telephone sound has a stratum of its own.",
        "Tracks are scored by the mean of their windows; recordings for fitting have one window each, so no other way"
        " of joining windows could be tried.",
    ]


def _setting_words(setting: KernelSetting) -> str:
    return f"widths x {setting.factor:g}, l2 {setting.l2:g}"
