"""The report of an evaluation: what was evaluated how, what was left out, and every figure with n and its interval."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from deepscreen.evaluation.curves import Curves, curves_of
from deepscreen.evaluation.leakage import WHAT_WAS_DONE, LeakageTest
from deepscreen.evaluation.score_rows import ScoredSet, ScoreRow
from deepscreen.evaluation.strata import Figures, Rate, Scores, StratumKey, by_stratum, error_rates, measure
from deepscreen.record import ModalityName
from deepscreen.report.wording import MODALITY_ORDER

Protocol = Literal["as-shipped", "leave-one-source-out", "leave-one-generator-out"]
PROTOCOL_WORDS: Mapping[Protocol, str] = {
    "as-shipped": (
        "Every file was screened by the method as it is installed. Whether the method was fitted on files, sources or "
        "generators of this data set is for the reader to know: only what it never saw says how it will do elsewhere."
    ),
    "leave-one-source-out": (
        "Heads, pool, fusion and calibration were fitted anew in six folds; every file was scored by those that saw no "
        "file of its source, nor of a source that a group ties to it. A file's calibration was fitted on the held-out "
        "logits of the other folds, whose heads had seen its fold. The release split was left out."
    ),
    "leave-one-generator-out": (
        "Heads, pool, fusion and calibration were fitted anew in six folds; every spoof was scored by those that saw "
        "nothing of its generator, every bona fide file by those that saw nothing of its source; groups stay together. "
        "A file's calibration was fitted on the held-out logits of the other folds, whose heads had seen its fold. The "
        "release split was left out."
    ),
}


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for. ``data_set``: the name of the manifest or folder, without its path."""

    data_set: str
    reader: str
    protocol: Protocol
    leakage: LeakageTest
    by: tuple[StratumKey, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class NotScoredCount:
    """How many rows have no reading for one reason."""

    reason: str
    n_bona_fide: int
    n_spoof: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """All rows of a modality, those with a reading, and the rest by reason: they add up."""

    n_rows: int
    n_scored: int
    not_scored: tuple[NotScoredCount, ...]


@dataclass(frozen=True, slots=True)
class ModalityReport:
    """The figures of one modality. ``curves`` is None where a class has nothing scored."""

    coverage: Coverage
    overall: Figures
    error_rates: tuple[Rate, ...]
    strata: Mapping[StratumKey, tuple[Figures, ...]]
    curves: Curves | None


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """All that evaluation.json holds. ``method``: what the scores were made with."""

    schema_version: int
    request: Request
    what_was_done: tuple[str, ...]
    n_files: int
    n_unlabelled: int
    method: Mapping[str, str]
    modalities: Mapping[ModalityName, ModalityReport]

    def as_json(self) -> str:
        """JSON, the same text for the same report."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def report_of(request: Request, scored: ScoredSet, method: Mapping[str, str]) -> EvaluationReport:
    """All figures of the rows."""
    present = {row.modality for row in scored.rows}
    modalities = {
        name: _modality([row for row in scored.rows if row.modality == name], request.by)
        for name in MODALITY_ORDER
        if name in present
    }
    checks = _chance_checks(modalities) if request.leakage == "label-shuffled" else ()
    return EvaluationReport(
        schema_version=1,
        request=request,
        what_was_done=(PROTOCOL_WORDS[request.protocol], WHAT_WAS_DONE[request.leakage], *checks),
        n_files=len({row.path for row in scored.rows}),
        n_unlabelled=scored.n_unlabelled,
        method=method,
        modalities=modalities,
    )


def _chance_checks(modalities: Mapping[ModalityName, ModalityReport]) -> Iterator[str]:
    """With shuffled labels: whether the AUC is what it must be."""
    for name, modality in modalities.items():
        auc = modality.overall.figures["auc"]
        if auc.low is None or auc.high is None:
            yield f"{name}: cannot be checked, the AUC has no interval."
        else:
            outcome = "holds 0.5, as it must" if auc.low <= 0.5 <= auc.high else "DOES NOT HOLD 0.5"
            yield f"{name}: the interval of the AUC, {auc.low:.3f} to {auc.high:.3f}, {outcome}."


def _modality(rows: Sequence[ScoreRow], by: Sequence[StratumKey]) -> ModalityReport:
    scores = Scores.of(rows)
    both = 0 < scores.labels.sum() < len(scores.labels)
    return ModalityReport(
        coverage=coverage_of(rows),
        overall=measure(scores, "all"),
        error_rates=tuple(error_rates(rows)),
        strata={key: tuple(by_stratum(scores, key)) for key in by},
        curves=curves_of(scores.labels, scores.ranks, scores.llrs) if both else None,
    )


def coverage_of(rows: Sequence[ScoreRow]) -> Coverage:
    """What was scored, and why the rest was not."""
    counts = Counter((row.absence, row.label) for row in rows if not row.is_scored)
    reasons = sorted({reason for reason, _ in counts})
    return Coverage(
        n_rows=len(rows),
        n_scored=sum(row.is_scored for row in rows),
        not_scored=tuple(NotScoredCount(reason, counts[reason, 0], counts[reason, 1]) for reason in reasons),
    )
