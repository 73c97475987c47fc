"""Plain words and drawings: what the console says of a result, checked by hand."""

from __future__ import annotations

import re

import pytest
from report_samples import image_screening, silent_screening, video_screening

from deepscreen.record import Screening, TimelineSpan, Verdict
from deepscreen.report.language import language_of
from deepscreen.scoring.judgement import overall
from deepscreen.web import page
from deepscreen.web.lanes import duration_of, lanes_of
from deepscreen.web.meaning import meanings, times
from deepscreen.web.words import OVERALL_WORDS

ENGLISH, GERMAN = language_of("en", page.LOCALE), language_of("de", page.LOCALE)
SAMPLES = [image_screening(), video_screening(), silent_screening()]


@pytest.mark.parametrize(
    ("log10_lr", "expected"), [(0.146, "1.4"), (1.08, "12"), (-1.08, "12"), (3.4, "2,500"), (0.0, "1.0")]
)
def test_times_are_told_to_two_figures(log10_lr: float, expected: str) -> None:
    assert times(log10_lr, ENGLISH) == expected


@pytest.mark.parametrize("screening", SAMPLES, ids=lambda s: s.media.kind)
@pytest.mark.parametrize("language", [ENGLISH, GERMAN], ids=["en", "de"])
def test_no_sentence_has_a_bare_percentage_or_an_open_place(screening: Screening, language: object) -> None:
    for meaning in meanings(screening, language):  # type: ignore[arg-type]
        told = (meaning.said, meaning.ratio, meaning.bounds, *meaning.rates, *meaning.next_steps)
        assert not any(re.search(r"%|[{}]", sentence) for sentence in told)
        assert meaning.said
        assert meaning.next_steps


@pytest.mark.parametrize("screening", SAMPLES, ids=lambda s: s.media.kind)
def test_overall_sentence_is_how_that_of_the_record_begins(screening: Screening) -> None:
    found = overall(screening.modalities)
    assert found.explanation.startswith(OVERALL_WORDS[found.verdict])
    assert set(OVERALL_WORDS) == set(Verdict)


def with_ratio(log10_lr: float, low: float, high: float) -> Screening:
    screening = image_screening()
    result = screening.modalities["image"].model_copy(
        update={"log10_lr": log10_lr, "log10_lr_low": low, "log10_lr_high": high, "log10_lr_limit": 3.0}
    )
    return screening.model_copy(update={"modalities": {"image": result}})


def test_side_of_the_ratio_is_told_and_drawn() -> None:
    (spoof,) = meanings(with_ratio(1.0, 0.5, 1.5), ENGLISH)
    (bona_fide,) = meanings(with_ratio(-2.0, -2.5, -1.5), ENGLISH)
    assert "10 times as common among synthetic" in spoof.ratio
    assert "100 times as common among authentic" in bona_fide.ratio
    assert spoof.bounds == "With other test files it might have come out anywhere from 3.2 to 32 times."
    assert spoof.scale == {"at": 62.5, "low": 56.25, "high": 68.75}
    assert bona_fide.scale == {"at": 25.0, "low": 18.75, "high": 31.25}


def test_ratio_whose_bounds_lie_on_both_sides_owns_up() -> None:
    (meaning,) = meanings(with_ratio(0.3, -0.5, 1.0), ENGLISH)
    assert "either side: from 3.2 times in favour of authentic to 10 times in favour of synthetic" in meaning.bounds


def test_ratio_at_the_limit_says_that_no_more_can_be_said() -> None:
    (meaning,) = meanings(with_ratio(3.0, 2.5, 3.5), ENGLISH)
    assert meaning.bounds.endswith("More cannot be said with the number of files it was tested on.")


def test_timeline_is_drawn_in_the_clock_of_the_file() -> None:
    points = [TimelineSpan(start_seconds=k, end_seconds=k + 1.5, spoof_logit=k - 1.0, track_id=0) for k in range(3)]
    span = TimelineSpan(start_seconds=2.0, end_seconds=3.5, spoof_logit=1.0)
    screening = video_screening()
    update = {"timeline": tuple(points), "suspicious_spans": (span,)}
    video = screening.modalities["video"].model_copy(update=update)
    screening = screening.model_copy(update={"modalities": {"video": video}})
    duration = duration_of(screening)
    (lane,) = lanes_of(screening)
    (line,) = lane.lines
    ends = [f"{1000 * seconds / duration:.2f}" for seconds in (0.0, 1.5, 1.0, 2.5, 2.0, 3.5)]
    x = dict(zip("abcdef", ends, strict=True))
    # Stretches overlap: each begins with a step at its own start.
    assert line.path == f"M{x['a']} 58.33H{x['b']}H{x['c']}V50.00H{x['d']}H{x['e']}V41.67H{x['f']}"
    assert lane.spans[0].x == pytest.approx(2000 / duration, abs=0.01)
    assert lane.zero_y == 50.0
