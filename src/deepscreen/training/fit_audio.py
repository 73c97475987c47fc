"""Fits ``audio_whisper`` and its calibration from a labelled manifest of speech recordings.

Split by source and group, never by file; settings are chosen in inner folds. A fixed fifth of the sources
(``is_release_split``) is never fitted, chosen or calibrated on; the finished head scores it once.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepscreen.detectors.audio_head import AudioHead
from deepscreen.detectors.audio_whisper import CARD, HEAD_NAME, speech_features, stratum_of, voice_activity
from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.detectors.nets.whisper import WEIGHTS_NAME
from deepscreen.detectors.registry import Workshop
from deepscreen.errors import ConfigError
from deepscreen.evaluation.metrics import auc, cllr
from deepscreen.evaluation.protocols import is_release_split
from deepscreen.scoring.calibration import Calibration
from deepscreen.scoring.calibration_fit import fit_stratum
from deepscreen.training.artefacts import Artefacts
from deepscreen.training.audio_features import AudioFeatureCache, LastNorm
from deepscreen.training.audio_parts import (
    LAST_NORMED,
    AudioRows,
    SpectralPart,
    WhisperPart,
    audio_rows,
    choose,
    fitted_head,
)
from deepscreen.training.audio_report import AudioResult, audio_report
from deepscreen.training.labelled import read_manifest
from deepscreen.training.weighted_logistic import fit_logistic
from deepscreen.weights.store import load_tensors

LAUNDERED_COPIES = 2
OUTER_FOLDS, INNER_FOLDS = 6, 4
WHISPER_LAYERS = ((1, 2), (1, 2, 3), (1, 2, 3, 4, 5, 6))
WHISPER_L2 = (300.0, 1000.0)
SPECTRAL_WIDTHS = (0.3, 0.6)
SPECTRAL_L2 = (1000.0, 3000.0)
PROBE_L2 = (30.0, 300.0)
FUSION_L2 = 1.0


WHISPER, SPECTRAL, FUSED = 0, 1, 2  # columns of held-out logits


@dataclass(frozen=True, slots=True, repr=False)
class FittedParts:
    """Both parts and how their logits are joined."""

    whisper: WhisperPart
    spectral: SpectralPart
    fusion: LinearHead

    def logits(self, rows: AudioRows) -> FloatArray:
        """(n, 3): log-odds of the Whisper part, of the spectral part and of their fusion."""
        members = np.stack([self.whisper.logits(rows), self.spectral.logits(rows)], axis=1)
        return np.column_stack([members, self.fusion.logit(members)])

    def head(self, fusion: LinearHead) -> AudioHead:
        """The head as it is shipped, joined by *fusion*."""
        return AudioHead(self.whisper.layers, fitted_head(self.whisper.head), fitted_head(self.spectral.head), fusion)


@dataclass(frozen=True, slots=True)
class Joint:
    """How the parts are joined in the shipped head, and which column of logits that is."""

    column: int
    fusion: LinearHead


@dataclass(frozen=True, slots=True, repr=False)
class HeldOut:
    """Logits of rows whose sources the scoring fit never saw: (n, 3) of the parts, (n,) of the bare probe."""

    spoof_logits: FloatArray
    probe_logits: FloatArray

    def result(self, rows: AudioRows, joint: Joint) -> AudioResult:
        """As the report takes it."""
        return AudioResult(rows, self.spoof_logits[:, joint.column], self.spoof_logits[:, :FUSED], self.probe_logits)


def fit_audio(manifest: Path, artefacts: Artefacts, workshop: Workshop, *, cache_dir: Path | None, seed: int) -> None:
    """Writes head, calibration and report of ``audio_whisper`` into *artefacts*.

    ``cache_dir``: where features are kept between runs; None computes all of them anew. Raises ConfigError for a
    manifest that cannot be read, has too few sources, or names recordings that are not mono at 16 kHz.
    """
    cache = _feature_cache(workshop, cache_dir, seed)
    files = read_manifest(manifest)
    rows = audio_rows([(f, c) for f in files for c in cache.features(f, copies=LAUNDERED_COPIES)])
    in_release = np.array([is_release_split(source) for source in rows.sources])
    development, release = rows.take(~in_release), rows.take(in_release)

    _check_enough(manifest, development)
    held = _held_out(development, seed)
    parts = _fit(development, seed, OUTER_FOLDS)
    joint = _joint(held, development, parts.fusion)
    sha256 = artefacts.write_head(HEAD_NAME, parts.head(joint.fusion).arrays())
    calibration = calibrate(sha256, development, held.spoof_logits[:, joint.column])
    artefacts.write_calibration(calibration)
    results = {
        "source-held-out": held.result(development, joint),
        "release split": _released(parts, development, release).result(release, joint),
    }
    notes = _notes(parts, joint, rows, n_files=len(files))
    artefacts.write_report(CARD.name, audio_report(results, calibration, _telephone_keys(manifest), notes))


def _check_enough(manifest: Path, rows: AudioRows) -> None:
    for label, name in ((1, "spoof"), (0, "bona fide")):
        n_sources = len({file.source for file in rows.files if file.label == label})
        if n_sources < OUTER_FOLDS:
            raise ConfigError(
                f"{manifest}: {n_sources} sources hold {name} speech outside the release split; at least"
                f" {OUTER_FOLDS} are needed"
            )


def calibrate(head_sha256: str, rows: AudioRows, logits: FloatArray) -> Calibration:
    """One stratum for full-band and one for telephone sound, from held-out logits of recordings and copies."""
    strata_of_rows = np.array([stratum_of(level) for level in rows.upper_bands_db])
    strata = {}
    for name in np.unique(strata_of_rows):
        chosen = rows.take(strata_of_rows == name)
        strata[str(name)] = fit_stratum(logits[strata_of_rows == name], chosen.labels, chosen.sources, chosen.weights)
    return Calibration(CARD.name, head_sha256, strata)


def _fit(rows: AudioRows, seed: int, n_folds: int) -> FittedParts:
    """Both parts with the settings that cross-fitting prefers, and a fusion of the cross-fitted logits."""
    whisper, whisper_logits = choose(_whisper_candidates(), rows, n_folds)
    spectral, spectral_logits = choose(_spectral_candidates(seed), rows, n_folds)
    logits = np.stack([whisper_logits, spectral_logits], axis=1)
    fusion = fit_logistic(logits, rows.labels, rows.weights, l2=FUSION_L2)
    return FittedParts(whisper.fitted(rows), spectral.fitted(rows), fusion)


def _held_out(rows: AudioRows, seed: int) -> HeldOut:
    """Logits of each row from fits without its sources, whose settings were chosen without them too."""
    held = HeldOut(np.zeros((len(rows.files), 3)), np.zeros(len(rows.files)))
    for held_out in rows.folds(OUTER_FOLDS):
        kept = np.ones(len(rows.files), bool)
        kept[held_out] = False
        train, test = rows.take(kept), rows.take(held_out)
        held.spoof_logits[held_out] = _fit(train, seed, INNER_FOLDS).logits(test)
        held.probe_logits[held_out] = _fit_probe(train, INNER_FOLDS).logits(test)
    return held


def _released(parts: FittedParts, development: AudioRows, release: AudioRows) -> HeldOut:
    return HeldOut(parts.logits(release), _fit_probe(development, OUTER_FOLDS).logits(release))


def _fit_probe(rows: AudioRows, n_folds: int) -> WhisperPart:
    """The bare baseline: a regression on the last layer after its norm, on recordings as they are."""
    recordings = rows.take(rows.copies == 0)
    candidates = [WhisperPart((LAST_NORMED,), l2) for l2 in PROBE_L2]
    return choose(candidates, recordings, n_folds)[0].fitted(recordings)


def _whisper_candidates() -> Sequence[WhisperPart]:
    return [WhisperPart(layers, l2) for layers in WHISPER_LAYERS for l2 in WHISPER_L2]


def _spectral_candidates(seed: int) -> Sequence[SpectralPart]:
    return [SpectralPart(width, l2, seed) for width in SPECTRAL_WIDTHS for l2 in SPECTRAL_L2]


def _joint(held: HeldOut, rows: AudioRows, fusion: LinearHead) -> Joint:
    """The fusion, if it beats the best part in AUC and Cllr on held-out sources; else that part alone."""
    qualities = [_quality(held.spoof_logits[:, k], rows) for k in (WHISPER, SPECTRAL, FUSED)]
    best = max((WHISPER, SPECTRAL), key=lambda k: qualities[k][0])
    if qualities[FUSED][0] > qualities[best][0] and qualities[FUSED][1] < qualities[best][1]:
        return Joint(FUSED, fusion)
    return Joint(best, LinearHead(np.zeros(2), np.ones(2), np.eye(2)[best], 0.0))


def _quality(logits: FloatArray, rows: AudioRows) -> tuple[float, float]:
    stratum = fit_stratum(logits, rows.labels, rows.sources, rows.weights)
    return auc(rows.labels, logits), cllr(rows.labels, stratum.slope * logits + stratum.offset)


def _feature_cache(workshop: Workshop, cache_dir: Path | None, seed: int) -> AudioFeatureCache:
    tensors = load_tensors(workshop.store.locate(WEIGHTS_NAME))
    last_norm = LastNorm(tensors["layer_norm.weight"].float(), tensors["layer_norm.bias"].float())
    return AudioFeatureCache(cache_dir, speech_features(workshop), voice_activity(workshop), last_norm, seed=seed)


def _telephone_keys(manifest: Path) -> frozenset[str]:
    """Recordings that were made at 8 kHz, by the manifest's optional column."""
    with manifest.open(newline="", encoding="utf-8") as stream:
        return frozenset(r["path"] for r in csv.DictReader(stream) if r.get("original_sample_rate_hz") == "8000")


def _notes(parts: FittedParts, joint: Joint, rows: AudioRows, *, n_files: int) -> list[str]:
    n_scored = len({file.key for file in rows.files})
    return [
        f"Whisper part: layers {', '.join(map(str, parts.whisper.layers))}, l2 {parts.whisper.l2:g}; spectral part:"
        f" cosines of width {parts.spectral.width:g}, l2 {parts.spectral.l2:g}.",
        f"Shipped: {'the fusion of both parts' if joint.column == FUSED else 'the better part alone'}.",
        f"{n_files - n_scored} of {n_files} recordings hold no half second of speech and are not scored.",
        f"Every recording was fitted as it is and in {LAUNDERED_COPIES} laundered copies (band limits, mu-law, GSM,"
        " MP3, Opus, AAC, noise, level); the calibration has a stratum for telephone sound.",
        "Tracks are scored by the mean of their windows; recordings for fitting have one window each, so no other way"
        " of joining windows could be tried.",
    ]
