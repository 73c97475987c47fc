"""Fits ``image_clip`` and ``face_clip``, their calibrations and their fusion from a labelled manifest.

Split by source and group, never by file. A fixed fifth of the sources (``is_release_split``) is never fitted, chosen
or calibrated on; it is scored once by the finished heads, and its figures stand in the report beside the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.image_clip import GATE_PREFIX
from deepscreen.detectors.view_head import ViewHead
from deepscreen.evaluation.protocols import generator_folds, is_release_split, source_folds, source_weights
from deepscreen.scoring.calibration import DEFAULT_STRATUM, Calibration
from deepscreen.scoring.calibration_fit import fit_stratum
from deepscreen.training.artefacts import Artefacts
from deepscreen.training.fit_gate import DRAWN_HERE, GATE_KINDS, fit_gate
from deepscreen.training.forged_features import ForgedFeatures
from deepscreen.training.image_features import FeatureCache, ViewFeatures
from deepscreen.training.image_fusion import choose_fusion
from deepscreen.training.image_report import Folds, detector_report
from deepscreen.training.labelled import LabelledFile, read_manifest
from deepscreen.training.map_fit import fit_map
from deepscreen.training.view_fit import HeldOut, ReadViews, collect, fit_classes, hold_out_classes

N_FOLDS = 6
SUBJECTS = {"image_clip": "whole", "face_clip": "face"}
HEAD_NAMES = {"image_clip": "head-image", "face_clip": "head-face"}
HoldOut = Literal["source", "generator"]
ForgedCache = Callable[[Sequence[LabelledFile]], ForgedFeatures]


@dataclass(frozen=True, slots=True, repr=False)
class Fitted:
    """One detector's head with its held-out results."""

    head: ViewHead
    held_out: HeldOut


def fit_image(manifest: Path, artefacts: Artefacts, cache: FeatureCache, forged: ForgedCache, *, seed: int) -> None:
    """Writes heads, calibrations, fusion and reports of both picture detectors into *artefacts*.

    *forged*: gives the features of what is made of the files that it is called with.
    """
    files = read_manifest(manifest)
    usable = [file for file in files if file.kind not in GATE_KINDS]
    development = [file for file in usable if not is_release_split(file.source)]
    release = [file for file in usable if is_release_split(file.source)]
    views = map_views(cache, forged(development))
    fitted = {name: fit_subject(development, subject, cache, views, seed=seed) for name, subject in SUBJECTS.items()}
    folds = Folds(_fold_by_key(development, "source"), _fold_by_key(development, "generator"))
    gate, gate_figures = fit_gate(files, cache.base, cache.drawn(DRAWN_HERE))
    beside: dict[str, dict[str, NDArray[Any]]] = {"image_clip": gate.arrays(GATE_PREFIX)}
    figures = {"image_clip": {"applicability_gate": gate_figures}}
    for name, result in fitted.items():
        sha256 = artefacts.write_head(HEAD_NAMES[name], result.head.arrays("view") | beside.get(name, {}))
        calibration = calibrate(name, sha256, result.held_out)
        artefacts.write_calibration(calibration)
        released = score(result.head, release, SUBJECTS[name], cache.base)
        own = detector_report(name, development, result.held_out, folds, released, calibration)
        artefacts.write_report(name, own | figures.get(name, {}))
    shas = {name: artefacts.head_sha256(HEAD_NAMES[name]) for name in fitted}
    choice = choose_fusion({name: result.held_out for name, result in fitted.items()}, folds.by_source, shas)
    artefacts.write_fusion(choice.fusion)
    if choice.calibration is not None:
        artefacts.write_calibration(choice.calibration)
    artefacts.write_report("image_fusion", choice.report)


def fit_subject(
    files: Sequence[LabelledFile], subject: str, cache: FeatureCache, views: ReadViews, *, seed: int
) -> Fitted:
    """The head on the views of *subject* of all *files*, and their source-held-out logits. *views*: teach the map."""
    folds = fold_of(files)
    rows = collect(files, folds, subject, cache.features)
    held = hold_out_classes(rows, subject, stressed=cache.stressed)
    patches = fit_map(files, folds, subject, views, held.spoof_logits[held.labels == 0], seed=seed)
    return Fitted(ViewHead(fit_classes(rows, np.ones(len(rows.labels), dtype=bool)), patches), held)


def map_views(cache: FeatureCache, forged: ForgedFeatures) -> ReadViews:
    """What teaches maps, file by file: pictures, and what was made of them."""
    return lambda file: [*cache.features(file), *forged.features(file)]


def fold_of(files: Sequence[LabelledFile], *, hold_out: HoldOut = "source") -> NDArray[np.int64]:
    """The fold of each file; a group is never in two, nor a source, or with "generator" a generator of spoofs."""
    sources, groups = [f.source for f in files], [f.group for f in files]
    if hold_out == "generator":
        generators, labels = [f.generator for f in files], [f.label for f in files]
        members_of = generator_folds(generators, sources, labels, groups, N_FOLDS)
    else:
        members_of = source_folds(sources, groups, N_FOLDS)
    folds = np.zeros(len(files), dtype=np.int64)
    for number, members in enumerate(members_of):
        folds[members] = number
    return folds


def _fold_by_key(files: Sequence[LabelledFile], hold_out: HoldOut) -> dict[str, int]:
    folds = fold_of(files, hold_out=hold_out)
    return {file.key: int(fold) for file, fold in zip(files, folds, strict=True)}


def calibrate(detector: str, head_sha256: str, held: HeldOut) -> Calibration:
    """One stratum from held-out logits."""
    sources = [file.source for file in held.files]
    weights = source_weights(sources, held.labels.tolist())
    return Calibration(
        detector, head_sha256, {DEFAULT_STRATUM: fit_stratum(held.spoof_logits, held.labels, sources, weights)}
    )


def score(head: ViewHead, files: Sequence[LabelledFile], subject: str, read: ReadViews) -> HeldOut:
    """The finished head on files that it never saw."""
    views = [(file, view) for file in files if (view := _base(read(file), subject)) is not None]
    logits = [float(head.classes.logit(view.classes.ravel())) for _, view in views]
    labels = np.array([file.label for file, _ in views])
    return HeldOut([file for file, _ in views], labels, np.array(logits), np.zeros(len(views)))


def _base(views: Iterable[ViewFeatures], subject: str) -> ViewFeatures | None:
    return next((v for v in views if v.subject == subject and v.variant == "base"), None)
