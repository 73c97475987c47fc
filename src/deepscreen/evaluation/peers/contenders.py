"""Ours and the peers as scored rows of the same files, calibrated alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deepscreen.evaluation.cross_calibration import cross_calibrated
from deepscreen.evaluation.datasets.item import Item
from deepscreen.evaluation.held_out import can_be_held_out
from deepscreen.evaluation.peers.contract import PeerCard, PeerReading
from deepscreen.evaluation.score_rows import ScoreRow, missing_row, scored_row
from deepscreen.evaluation.strata import Scores
from deepscreen.record import Verdict
from deepscreen.scoring.verdict import decide
from deepscreen.settings import VerdictPolicy
from deepscreen.training.labelled import LabelledFile


@dataclass(frozen=True, slots=True, repr=False)
class Contender:
    """A row for every item, and the columns of those that are scored."""

    name: str
    rows: tuple[ScoreRow, ...]
    scores: Scores


def ours(rows: Sequence[ScoreRow]) -> Contender:
    """Ordered by LR, which speaks for both detectors."""
    return Contender("ours", tuple(rows), Scores.of(rows))


def peer_contender(
    card: PeerCard,
    items: Sequence[Item],
    our_rows: Sequence[ScoreRow],
    readings: Mapping[str, PeerReading],
    fold_by_key: Mapping[str, int],
    policy: VerdictPolicy,
) -> Contender:
    """A peer on the items that we scored; the others are missing for the same reason.

    Its calibration is ours: fitted on the other folds, sources weighted alike. It is ordered by its own logits, since a
    peer that was not fitted here has one scale for all folds and would only lose by a calibration for each.
    """
    logits = {
        item.file.key: logit
        for item, our_row in zip(items, our_rows, strict=True)
        if our_row.is_scored and (logit := readings[item.file.key].spoof_logit) is not None
    }
    log10_lrs = _log10_lrs([item.file for item in items if item.file.key in logits], logits, fold_by_key)
    rows = [
        _row(item, readings[item.file.key], log10_lrs.get(item.file.key), our_row.quality, policy)
        if our_row.is_scored
        else our_row
        for item, our_row in zip(items, our_rows, strict=True)
    ]
    scores = Scores.of(rows)
    return Contender(card.name, tuple(rows), replace(scores, ranks=_own_logits(scores)))


def _log10_lrs(
    files: Sequence[LabelledFile], logits: Mapping[str, float], fold_by_key: Mapping[str, int]
) -> dict[str, float]:
    """By key; nothing where too few files are left to calibrate on when a fold is held out."""
    folds = np.array([fold_by_key[file.key] for file in files], dtype=np.int64)
    if not can_be_held_out(files, folds):
        return {}
    values, labels = np.array([logits[file.key] for file in files]), np.array([file.label for file in files])
    lrs = cross_calibrated(values, labels, [file.source for file in files], folds)
    return {file.key: float(lr) for file, lr in zip(files, lrs, strict=True)}


def _row(item: Item, reading: PeerReading, log10_lr: float | None, quality: str, policy: VerdictPolicy) -> ScoreRow:
    if reading.spoof_logit is None:
        return missing_row(item, item.modality, reading.absence, quality=quality)
    verdict = Verdict.INCONCLUSIVE if log10_lr is None else decide(log10_lr, policy)
    return scored_row(item, item.modality, item.file.label, quality, reading.spoof_logit, log10_lr, verdict)


def _own_logits(scores: Scores) -> NDArray[np.float64]:
    return np.array([row.spoof_logit for row in scores.rows], dtype=np.float64)
