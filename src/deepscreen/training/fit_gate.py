"""Fits the applicability gate of ``image_clip``: is the picture a photograph at all?

Drawings, screenshots, documents and charts carry none of the traces that the photo detectors know; what those say of
them is chance. The gate reads the same class tokens and costs no pass of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.evaluation.metrics import auc
from deepscreen.evaluation.protocols import is_release_split, source_folds, source_weights
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.view_fit import ReadViews
from deepscreen.training.weighted_logistic import fit_logistic

GATE_KINDS = frozenset({"nonphoto", "generated_art"})
DRAWN_HERE = 150
DRAWN_SOURCE = "drawn here"
PHOTOGRAPHS_TURNED_AWAY = 0.005  # of the photographs of unseen sources: what the threshold is set by
N_FOLDS = 6
GATE_L2 = 300.0


@dataclass(frozen=True, slots=True, repr=False)
class _Pictures:
    """One row a picture: class tokens, 1 where it is no photograph, its source and its group."""

    classes: NDArray[np.float32]
    labels: NDArray[np.int64]
    sources: list[str]
    groups: list[str]


def fit_gate(
    files: Sequence[LabelledFile], read: ReadViews, drawn: NDArray[np.float32]
) -> tuple[LinearHead, dict[str, Any]]:
    """The gate, above 0 for what is no photograph, and its figures. ``drawn``: class tokens of pictures made here."""
    development = _pictures([f for f in files if not is_release_split(f.source)], read)
    release = _pictures([f for f in files if is_release_split(f.source)], read)
    held = np.zeros(len(development.labels))
    for test in source_folds(development.sources, development.groups, N_FOLDS):
        train = np.ones(len(held), dtype=bool)
        train[test] = False
        held[test] = _fit(development, train, drawn).logit(development.classes[test])
    threshold = float(np.quantile(held[development.labels == 0], 1 - PHOTOGRAPHS_TURNED_AWAY))
    head = _fit(development, np.ones(len(held), dtype=bool), drawn)
    gate = LinearHead(head.mean, head.scale, head.coef, head.intercept - threshold)
    figures = {
        "source-held-out (the threshold was set here)": _figures(development.labels, held - threshold),
        "release split": _figures(release.labels, gate.logit(release.classes)),
    }
    return gate, figures


def _fit(pictures: _Pictures, train: NDArray[np.bool_], drawn: NDArray[np.float32]) -> LinearHead:
    """On the rows *train* and all drawn pictures, which are of no labelled source."""
    classes = np.concatenate([pictures.classes[train], drawn])
    labels = np.concatenate([pictures.labels[train], np.ones(len(drawn), dtype=np.int64)])
    sources = [s for s, kept in zip(pictures.sources, train, strict=True) if kept] + [DRAWN_SOURCE] * len(drawn)
    return fit_logistic(classes, labels, source_weights(sources, labels.tolist()), l2=GATE_L2)


def _pictures(files: Sequence[LabelledFile], read: ReadViews) -> _Pictures:
    views = [next(v for v in read(f) if v.subject == "whole" and v.variant == "base") for f in files]
    labels = np.array([int(f.kind in GATE_KINDS) for f in files])
    classes = np.stack([v.classes.ravel() for v in views])
    return _Pictures(classes, labels, [f.source for f in files], [f.group for f in files])


def _figures(labels: NDArray[np.int64], logits: FloatArray) -> dict[str, Any]:
    return {
        "auc": round(auc(labels, logits), 3),
        **_share("recognised", logits[labels == 1] > 0),
        **_share("photographs_turned_away", logits[labels == 0] > 0),
    }


def _share(name: str, hits: NDArray[np.bool_]) -> dict[str, Any]:
    """A share with its Clopper-Pearson interval, and of how many."""
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(0.95, method="exact")
    low, high = round(float(interval.low), 4), round(float(interval.high), 4)
    return {name: round(float(hits.mean()), 4), f"{name}_low": low, f"{name}_high": high, f"{name}_of": len(hits)}
