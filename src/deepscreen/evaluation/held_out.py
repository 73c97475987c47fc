"""Leave-one-source-out and leave-one-generator-out: every picture scored by heads that were fitted without its like.

Heads, fusion and calibration are those of ``deepscreen fit image``, fitted again for each fold on all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepscreen.absence import Absence
from deepscreen.detectors.linear_head import FloatArray
from deepscreen.errors import ConfigError
from deepscreen.evaluation.cross_calibration import cross_calibrated
from deepscreen.evaluation.datasets.item import Item
from deepscreen.evaluation.protocols import is_release_split
from deepscreen.evaluation.score_rows import ScoredSet, ScoreRow, missing_row, scored_row, size_class
from deepscreen.scoring.verdict import decide
from deepscreen.settings import VerdictPolicy
from deepscreen.training.fit_gate import GATE_KINDS
from deepscreen.training.fit_image import SUBJECTS, HoldOut, fold_of
from deepscreen.training.image_fusion import mean_logit
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.view_fit import ReadViews, collect, hold_out_classes

LEAD, SECOND = "image_clip", "face_clip"
RELEASE_SPLIT = "release_split"
MIN_LEFT_PER_CLASS = 2


@dataclass(frozen=True, slots=True, repr=False)
class _Readings:
    """Held-out logits of one detector (or of both together), and what a calibration fitted without each fold says."""

    logits: Mapping[str, float]
    log10_lrs: Mapping[str, float]


def score_held_out(
    items: Sequence[Item],
    read: ReadViews,
    hold_out: HoldOut,
    *,
    is_fused: bool,
    policy: VerdictPolicy,
    on_item: Callable[[], None],
) -> ScoredSet:
    """Rows for all pictures. Not scored are: the release split, kinds that no head learns from, unreadable files.

    ``is_fused``: pictures with a face are scored by both detectors together, as the shipped method does; all others by
    ``image_clip``. Raises ConfigError where there is other media than pictures, or too little to hold anything out.
    """
    _check_pictures(items)
    missing = {item.file.key: reason for item in items if (reason := _left_out(item)) is not None}
    for item in items:
        if item.file.key not in missing and not _is_readable(item.file, read):
            missing[item.file.key] = Absence.UNDECODABLE.value
        on_item()
    files = [item.file for item in items if item.file.key not in missing]
    folds = fold_of(files, hold_out=hold_out)
    if not can_be_held_out(files, folds):
        raise ConfigError(
            f"--protocol leave-one-{hold_out}-out: {len(files)} pictures of {len({f.source for f in files})} sources "
            "are too few: both classes must be left when any fold is held out (the release split is not counted)"
        )
    lead = _fitted(files, folds, LEAD, read)
    joint = _joined(files, folds, lead, read) if is_fused else _Readings({}, {})
    rows = [
        missing_row(item, "image", missing[item.file.key])
        if item.file.key in missing
        else _row(item, lead, joint, policy)
        for item in items
    ]
    return ScoredSet(tuple(rows))


def _check_pictures(items: Sequence[Item]) -> None:
    others = sorted({item.modality for item in items} - {"image"})
    if others:
        raise ConfigError(
            f"--protocol leave-one-...-out: is there for pictures only, and the data set holds {' and '.join(others)}; "
            "use --protocol as-shipped"
        )


def _left_out(item: Item) -> str | None:
    """Kinds for the applicability gate, and the fifth of the sources that is scored once a release."""
    if item.file.kind in GATE_KINDS:
        return Absence.NOT_APPLICABLE.value
    return RELEASE_SPLIT if is_release_split(item.file.source) else None


def _is_readable(file: LabelledFile, read: ReadViews) -> bool:
    """Computes the features, which takes the time, so that they are there for what follows."""
    try:
        read(file)
    except (OSError, ValueError, Image.DecompressionBombError):
        return False
    return True


def _fitted(files: Sequence[LabelledFile], folds: NDArray[np.int64], detector: str, read: ReadViews) -> _Readings:
    subject = SUBJECTS[detector]
    held = hold_out_classes(collect(files, folds, subject, read), subject, stressed=lambda _: ())
    fold_by_key = {file.key: int(fold) for file, fold in zip(files, folds, strict=True)}
    return _calibrated(held.files, held.spoof_logits, np.array([fold_by_key[file.key] for file in held.files]))


def _joined(files: Sequence[LabelledFile], folds: NDArray[np.int64], lead: _Readings, read: ReadViews) -> _Readings:
    """Both detectors together, on the pictures with a face; nothing where too few have one: then the lead speaks."""
    has_face = np.array([any(view.subject == SUBJECTS[SECOND] for view in read(file)) for file in files])
    files, folds = [file for file, has in zip(files, has_face, strict=True) if has], folds[has_face]
    if not can_be_held_out(files, folds):
        return _Readings({}, {})
    face = _fitted(files, folds, SECOND, read)
    parts = np.array([[lead.logits[file.key], face.logits[file.key]] for file in files])
    return _calibrated(files, mean_logit(parts), folds)


def _calibrated(files: Sequence[LabelledFile], logits: FloatArray, folds: NDArray[np.int64]) -> _Readings:
    """Log10 LRs of each fold by a calibration that was fitted on the held-out logits of the other folds."""
    labels, sources, keys = np.array([f.label for f in files]), [f.source for f in files], [f.key for f in files]
    log10_lrs = cross_calibrated(logits, labels, sources, folds).tolist()
    rounded = [round(float(logit), 3) for logit in logits]
    return _Readings(dict(zip(keys, rounded, strict=True)), dict(zip(keys, log10_lrs, strict=True)))


def can_be_held_out(files: Sequence[LabelledFile], folds: NDArray[np.int64]) -> bool:
    """Whether both classes are left when any fold is held out."""
    labels, numbers = np.array([file.label for file in files]), np.unique(folds)
    left = [int((labels[folds != fold] == label).sum()) for fold in numbers for label in (0, 1)]
    return len(numbers) > 1 and min(left) >= MIN_LEFT_PER_CLASS


def _row(item: Item, lead: _Readings, joint: _Readings, policy: VerdictPolicy) -> ScoreRow:
    key = item.file.key
    readings = joint if key in joint.logits else lead
    log10_lr = readings.log10_lrs[key]
    quality = item.quality or _picture_quality(item.file)
    return scored_row(item, "image", item.file.label, quality, lead.logits[key], log10_lr, decide(log10_lr, policy))


def _picture_quality(file: LabelledFile) -> str:
    with Image.open(file.path) as picture:
        return f"{(picture.format or 'unknown').lower()}, {size_class(*picture.size)}"
