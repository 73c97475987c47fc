"""How often a manipulated second is found in a minute, and how often honest minutes are said to have one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import beta

from deepscreen.detectors.contract import TimelinePoint
from deepscreen.evaluation.span_cases import SpanCase
from deepscreen.evidence.timeline import suspicious_spans

TOLERANCE_SECONDS = 0.5  # of clips
MOST_FALSE_SPANS = 0.05  # per untouched clip
RATE_DECIMALS = 3
FEW_FALSE = "at_few_false_spans"
Spans = Sequence[TimelinePoint]


@dataclass(frozen=True, slots=True)
class ReadCase:
    """A case with the log10 LR of each of its moments, by what was fitted without its fold."""

    case: SpanCase
    moments: tuple[TimelinePoint, ...]
    interruptions: tuple[TimelinePoint, ...] = ()  # findings: stretches that interrupt their shot, without a score
    tolerance_seconds: float = TOLERANCE_SECONDS

    def spans(self, threshold: float) -> tuple[TimelinePoint, ...]:
        """Stretches beyond *threshold*."""
        return suspicious_spans(self.moments, threshold_logit=threshold)

    def is_found(self, spans: Spans) -> bool:
        """Whether one of *spans* begins and ends within the tolerance of the manipulated one."""
        start, end, near = self.case.start_seconds, self.case.end_seconds, self.tolerance_seconds
        return any(abs(s.start_seconds - start) <= near and abs(s.end_seconds - end) <= near for s in spans)

    def is_touched(self, spans: Spans) -> bool:
        """Whether one of *spans* overlaps the manipulated one at all."""
        start, end = self.case.start_seconds, self.case.end_seconds
        return any(s.start_seconds < end and s.end_seconds > start for s in spans)


def span_figures(cases: Sequence[ReadCase], policy_threshold: float) -> dict[str, Any]:
    """Rates of spans at the verdict policy's threshold, of spans at thresholds chosen for few false ones on the other
    folds, and of the findings that a shot is interrupted."""
    chosen = {fold: _threshold([c for c in cases if c.case.fold != fold]) for fold in {c.case.fold for c in cases}}
    few = _rates(cases, lambda c: c.spans(chosen[c.case.fold]))
    return {
        "at_policy_threshold": _rates(cases, lambda c: c.spans(policy_threshold)),
        FEW_FALSE: few | {"most_false_spans_per_clip": MOST_FALSE_SPANS},
        "interrupted_shots": _rates(cases, lambda c: c.interruptions),
    }


def _threshold(cases: Sequence[ReadCase]) -> float:
    """The least at which untouched clips have few enough spans; infinite where there is none such."""
    untouched = [c for c in cases if c.case.is_untouched]
    values = np.unique([point.spoof_logit for c in untouched for point in c.moments])
    lowest = float("inf")
    for value in values[::-1].tolist():  # from above: further down, spans grow together and are fewer again
        if sum(len(c.spans(value)) for c in untouched) > MOST_FALSE_SPANS * len(untouched):
            break
        lowest = value
    return lowest


def _rates(cases: Sequence[ReadCase], spans_of: Callable[[ReadCase], Spans]) -> dict[str, Any]:
    false = [len(spans_of(c)) for c in cases if c.case.is_untouched]
    altered = [c for c in cases if not c.case.is_untouched]
    makers = sorted({c.case.maker for c in altered})
    return {
        "n_untouched": len(false),
        "false_spans_per_untouched_clip": round(sum(false) / len(false), RATE_DECIMALS) if false else None,
        "untouched_clips_with_a_span": share([count > 0 for count in false]),
        "found": _found(altered, spans_of),
        "by_maker": {maker: _found([c for c in altered if c.case.maker == maker], spans_of) for maker in makers},
    }


def _found(cases: Sequence[ReadCase], spans_of: Callable[[ReadCase], Spans]) -> dict[str, Any]:
    exact = share([c.is_found(spans_of(c)) for c in cases])
    return exact | {"touched": share([c.is_touched(spans_of(c)) for c in cases])["rate"]}


def share(hits: Sequence[bool]) -> dict[str, Any]:
    """A rate with its exact interval (Clopper and Pearson, which takes clips as independent)."""
    n, k = len(hits), sum(hits)
    if not n:
        return {"n": 0, "rate": None, "low": None, "high": None}
    low = float(beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    return {"n": n} | {key: round(v, RATE_DECIMALS) for key, v in (("rate", k / n), ("low", low), ("high", high))}
