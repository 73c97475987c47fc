"""What attacks and rough handling do to the shipped picture heads, on pictures of sources that they never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from deepscreen.detectors.clip_features import ClipFeatures
from deepscreen.detectors.linear_head import FloatArray
from deepscreen.detectors.view_head import ViewHead
from deepscreen.detectors.views import MIN_FACE_PX, face_view, whole_view
from deepscreen.evaluation.metrics import auc
from deepscreen.evaluation.protocols import is_release_split
from deepscreen.evaluation.recapture import WAYS
from deepscreen.evaluation.white_box import WhiteBox
from deepscreen.faces import FaceLocator
from deepscreen.media.samples import Pixels
from deepscreen.scoring.calibration import Calibration
from deepscreen.training.image_features import load_pixels
from deepscreen.training.labelled import LabelledFile, item_rng

BOUNDS = (2, 4)  # of 255
AS_IT_IS = "as it is"
DECIMALS = 3
Subject = Literal["whole", "face"]


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """One detector's head with its calibration, and the views that it reads."""

    subject: Subject
    head: ViewHead
    calibration: Calibration


def drawn_files(files: Sequence[LabelledFile], per_class: int, seed: int) -> list[LabelledFile]:
    """Pictures of the release split, drawn by hash, one source after the other, so that few sources do not decide."""
    found: list[LabelledFile] = []
    for label in (0, 1):
        order = sorted(
            (file for file in files if file.label == label and is_release_split(file.source)),
            key=lambda file: item_rng(file.key, "attacked", seed).random(),
        )
        turns: dict[str, int] = {}
        ranked = []
        for place, file in enumerate(order):
            turns[file.source] = turns.get(file.source, -1) + 1
            ranked.append((turns[file.source], place, file))
        found.extend(file for *_, file in sorted(ranked, key=lambda entry: entry[:2])[:per_class])
    return found


def attack_report(
    files: Sequence[LabelledFile],
    target: Target,
    features: ClipFeatures,
    locator: FaceLocator,
    white_box: WhiteBox,
    spoof_min_log10_lr: float,
    on_file: Callable[[], None],
) -> dict[str, Any]:
    """Figures as the pictures are, and after each attack; a picture counts where all its copies have a view."""
    logits: dict[str, list[float]] = {}
    labels = []
    for file in files:
        views = _views(file, target.subject, locator, white_box)
        on_file()
        if views is None:
            continue
        labels.append(file.label)
        for name, view in views.items():
            logits.setdefault(name, []).append(target.head.logit(features.tokens([view])[0]))
    truth = np.array(labels)
    known = {name: np.array(values) for name, values in logits.items()}
    before = known.get(AS_IT_IS, np.zeros(0))
    return {
        "n_bona_fide": int((truth == 0).sum()),
        "n_spoof": int((truth == 1).sum()),
        "conditions": {
            name: _figures(truth, values, before, target.calibration, spoof_min_log10_lr)
            for name, values in known.items()
        },
    }


def _views(
    file: LabelledFile, subject: Subject, locator: FaceLocator, white_box: WhiteBox
) -> Mapping[str, Pixels] | None:
    """By condition; None where a copy shows no face to a head that reads faces."""
    pixels = load_pixels(file.path).copy()  # what Pillow lends cannot be written to
    copies = {AS_IT_IS: pixels}
    for name, way in WAYS.items():
        copies[name] = way(pixels, item_rng(file.key, name, 0))
    views = {}
    for name, copy in copies.items():
        view = _view(copy, subject, locator)
        if view is None:
            return None
        views[name] = view
    return views | dict(_pushed(views[AS_IT_IS], white_box, towards_spoof=file.label == 0))


def _pushed(view: Pixels, white_box: WhiteBox, *, towards_spoof: bool) -> Iterator[tuple[str, Pixels]]:
    """Each class is pushed to the other."""
    for bound in BOUNDS:
        yield f"white-box PGD, {bound}/255", white_box.attacked(view, bound=bound, towards_spoof=towards_spoof)


def _view(pixels: Pixels, subject: Subject, locator: FaceLocator) -> Pixels | None:
    if subject == "whole":
        return whole_view(pixels).pixels
    faces = [face for face in locator.locate(pixels, max_faces=1) if face.size_px >= MIN_FACE_PX]
    return face_view(pixels, faces[0]).pixels if faces else None


def _figures(
    labels: np.ndarray, logits: FloatArray, before: FloatArray, calibration: Calibration, least: float
) -> dict[str, float | None]:
    """Rates at the verdict's threshold of the detector by itself, with its calibration as shipped."""
    called = np.array([calibration.apply(float(logit)).log10_lr >= least for logit in logits])
    values: dict[str, float | None] = {
        "auc": auc(labels, logits) if 0 < labels.sum() < len(labels) else None,
        "spoofs_called_spoof": _mean(called[labels == 1]),
        "bona_fide_called_spoof": _mean(called[labels == 0]),
        "logit_moved_spoof": _mean((logits - before)[labels == 1]),
        "logit_moved_bona_fide": _mean((logits - before)[labels == 0]),
    }
    return {name: None if value is None else round(value, DECIMALS) for name, value in values.items()}


def _mean(values: np.ndarray) -> float | None:
    return float(np.mean(values)) if len(values) else None
