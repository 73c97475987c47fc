"""Rates of found and false spans, counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from deepscreen.detectors.contract import TimelinePoint
from deepscreen.evaluation.span_cases import UNTOUCHED, SpanCase
from deepscreen.evaluation.span_figures import ReadCase, span_figures


def read(maker: str, values: Sequence[float], fold: int = 0, start: float = 3.0, end: float = 4.0) -> ReadCase:
    """A case of one-second moments with the given log10 LRs."""
    case = SpanCase("f.mp4", f"host{fold}", "source", fold, maker, "", start, end)
    return ReadCase(case, tuple(TimelinePoint(k, k + 1.0, value) for k, value in enumerate(values)))


CALM, PEAK = [-1.0] * 8, [-1.0, -1.0, -1.0, 2.0, -1.0, -1.0, -1.0, -1.0]


def test_span_is_found_where_both_its_ends_are_within_half_a_second() -> None:
    for start, found in ((3.0, True), (3.5, True), (3.6, False)):
        one = read("swap", PEAK, start=start, end=start + 1)
        assert one.is_found(one.spans(1.0)) == found
    wide = read("swap", [-1.0, 2.0, 2.0, 2.0, 2.0, -1.0])
    assert (wide.is_found(wide.spans(1.0)), wide.is_touched(wide.spans(1.0))) == (False, True)
    calm = read("swap", CALM)
    assert not calm.is_touched(calm.spans(1.0))


def test_interruptions_are_counted_beside_the_spans() -> None:
    inside = replace(read("swap", CALM), interruptions=(TimelinePoint(3.2, 4.1, 0.0),))
    false = replace(read(UNTOUCHED, CALM), interruptions=(TimelinePoint(0.0, 1.0, 0.0), TimelinePoint(5.0, 6.0, 0.0)))
    rates = span_figures([inside, false], 1.0)["interrupted_shots"]
    assert (rates["found"]["rate"], rates["false_spans_per_untouched_clip"]) == (1.0, 2.0)


def test_rates_at_the_policys_threshold() -> None:
    cases = [read(UNTOUCHED, CALM), read(UNTOUCHED, [2.0, -1.0, 2.0, -1.0]), read("swap", PEAK), read("blend", CALM)]
    rates = span_figures(cases, 1.0)["at_policy_threshold"]
    assert (rates["n_untouched"], rates["false_spans_per_untouched_clip"]) == (2, 1.0)
    assert rates["untouched_clips_with_a_span"]["rate"] == 0.5
    assert (rates["found"]["n"], rates["found"]["rate"], rates["found"]["touched"]) == (2, 0.5, 0.5)
    assert {maker: share["rate"] for maker, share in rates["by_maker"].items()} == {"swap": 1.0, "blend": 0.0}


def test_threshold_for_few_false_spans_comes_from_the_other_folds() -> None:
    """The calm fold's threshold lets everything through on the other, whose own would have let nothing."""
    cases = [read(UNTOUCHED, CALM, 0), read("swap", PEAK, 0), read(UNTOUCHED, PEAK, 1), read("swap", CALM, 1)]
    rates = span_figures(cases, 1.0)["at_few_false_spans"]
    assert rates["by_maker"]["swap"]["n"] == 2
    assert rates["false_spans_per_untouched_clip"] == 0.5
    assert rates["found"]["rate"] == 0.0  # fold 0: its peak is no more than what the other fold shows untouched


@pytest.mark.parametrize("cases", [[], [read("swap", PEAK)], [read(UNTOUCHED, CALM)]])
def test_what_is_missing_has_no_rate(cases: list[ReadCase]) -> None:
    rates = span_figures(cases, 1.0)["at_policy_threshold"]
    altered = [c for c in cases if not c.case.is_untouched]
    assert (rates["found"]["rate"] is None) == (not altered)
    assert (rates["false_spans_per_untouched_clip"] is None) == (len(altered) == len(cases))
