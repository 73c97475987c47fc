"""From a logit to a bounded likelihood ratio, a verdict and words."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.contract import DetectorCard, Reading, Scored, TimelinePoint
from deepscreen.errors import CalibrationError
from deepscreen.record import ModalityResult, Verdict
from deepscreen.scoring.calibration import Calibration, Stratum
from deepscreen.scoring.calibration_fit import BOOTSTRAP_ROUNDS, fit_stratum
from deepscreen.scoring.fusion import Fusion, Scale
from deepscreen.scoring.judgement import judge, overall
from deepscreen.scoring.verdict import authenticity_score, combine_verdicts, decide, verbal_term
from deepscreen.settings import VerdictPolicy

POLICY = VerdictPolicy()
HEAD = "ab" * 32
LN10 = math.log(10)
# 198 sources: limit log10(100) = 2. The rounds differ by an offset of -0.5 to 0.5 in log10.
STRATUM = Stratum(
    slope=LN10,
    offset=0.0,
    bootstrap=tuple((LN10, LN10 * shift) for shift in np.linspace(-0.5, 0.5, 201)),
    n_spoof=500,
    n_bona_fide=500,
    n_sources=198,
)
CARDS = {name: DetectorCard(name, "image", "1", (), "for a test") for name in ("a", "b")}


def calibration(name: str, **changes: float) -> Calibration:
    return Calibration(name, HEAD, {"all": dataclasses.replace(STRATUM, **changes)})


def scored(name: str, logit: float, **fields: object) -> tuple[DetectorCard, Scored]:
    return CARDS[name], Scored(Reading(name, logit, 1), **fields)  # type: ignore[arg-type]


def judged(
    *outcomes: tuple[DetectorCard, Scored | NotScored], scale: Scale, policy: VerdictPolicy = POLICY
) -> ModalityResult:
    return judge("image", outcomes, scale=scale, policy=policy, evidence=(), caveats=())


def synthetic_logits(n_sources: int, gap: float) -> tuple[np.ndarray, np.ndarray, list[str], np.ndarray]:
    """Two normal classes, unit variance, means +-gap/2: the true LLR of a logit x is gap * x."""
    rng = np.random.default_rng(1)
    labels = np.arange(n_sources * 10) % 2
    logits = rng.normal(gap * (labels - 0.5), 1.0)
    return logits, labels, [f"source {k // 10}" for k in range(len(labels))], np.ones(len(labels))


def fit(logits: np.ndarray, labels: np.ndarray, sources: list[str], weights: np.ndarray) -> Stratum:
    """Fits on one thread: hundreds of tiny fits wait for each other's threads on a busy machine."""
    with threadpool_limits(1):
        return fit_stratum(logits, labels, sources, weights)


def test_lr_is_the_affine_map_in_base_10() -> None:
    lr = calibration("a").apply(1.25)
    assert (lr.log10_lr, lr.limit, lr.stratum) == (1.25, 2.0, "all")


def test_interval_is_the_95_percent_of_the_rounds() -> None:
    lr = calibration("a").apply(1.0)
    assert (lr.low, lr.high) == pytest.approx((1 - 0.475, 1 + 0.475), abs=1e-3)


@pytest.mark.parametrize("logit", [-1e9, -50.0, -2.2, 2.2, 50.0, 1e9])
def test_bounds_are_never_exceeded(logit: float) -> None:
    lr = calibration("a").apply(logit)
    assert all(abs(v) <= lr.limit for v in (lr.log10_lr, lr.low, lr.high))
    assert lr.low <= lr.log10_lr <= lr.high


def test_limit_grows_with_sources_not_with_files() -> None:
    assert dataclasses.replace(STRATUM, n_spoof=10**6).limit_log10 == STRATUM.limit_log10 == pytest.approx(2.0)
    assert dataclasses.replace(STRATUM, n_sources=18).limit_log10 == pytest.approx(1.0)


def test_unknown_stratum_is_an_error_that_names_what_there_is() -> None:
    with pytest.raises(CalibrationError, match=r"no calibration stratum 'telephone', only \['all'\]"):
        calibration("a").apply(0.0, "telephone")


def test_calibration_survives_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    calibration("a").save(path)
    first = path.read_bytes()
    loaded = Calibration.load(path)
    assert loaded == calibration("a")
    loaded.save(path)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"detector": "a"}', '{"detector":"a","head_sha256":"b","strata":{"all":{}}}']
)
def test_calibration_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(CalibrationError, match=r"a\.json: not a calibration file"):
        Calibration.load(tmp_path / "a.json")


def test_missing_calibration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError):
        Calibration.load(tmp_path / "gone.json")


@pytest.fixture(scope="module")
def fitted() -> Stratum:
    """Fitted on 1000 items of 100 sources whose true LLR is twice the logit."""
    return fit(*synthetic_logits(100, gap=2.0))


def test_fit_finds_the_true_llr(fitted: Stratum) -> None:
    assert fitted.slope == pytest.approx(2.0, rel=0.15)
    assert fitted.offset == pytest.approx(0.0, abs=0.2)
    assert (fitted.n_spoof, fitted.n_bona_fide, fitted.n_sources) == (500, 500, 100)
    assert len(fitted.bootstrap) == BOOTSTRAP_ROUNDS


def test_fit_holds_no_prior(fitted: Stratum) -> None:
    """Nine tenths of one class thrown away: the LLR may not move by the log of the odds that this makes."""
    logits, labels, sources, weights = synthetic_logits(100, gap=2.0)
    kept = (labels == 0) | (np.arange(len(labels)) % 20 == 1)
    few = fit(logits[kept], labels[kept], [s for s, k in zip(sources, kept, strict=True) if k], weights[kept])
    assert few.n_spoof == 50
    assert abs(few.offset - fitted.offset) < 0.7 < LN10


def test_fit_never_turns_the_polarity() -> None:
    logits, labels, sources, weights = synthetic_logits(4, gap=1.0)
    assert fit(-logits, labels, sources, weights).slope == 0.0


def test_fit_is_deterministic() -> None:
    data = synthetic_logits(4, gap=1.0)
    assert fit(*data) == fit(*data)


def test_fewer_sources_give_a_wider_interval(fitted: Stratum) -> None:
    few = fit(*synthetic_logits(6, gap=2.0))
    widths = [lr.high - lr.low for lr in (Calibration("a", HEAD, {"all": one}).apply(0.1) for one in (few, fitted))]
    assert widths[0] > 1.5 * widths[1] > 0


def test_fused_logit_is_the_weighted_sum() -> None:
    fusion = Fusion("image", ("a", "b"), "a", (0.5, 2.0), -1.0)
    assert fusion.fused_logit({"a": 4.0, "b": 1.0}) == pytest.approx(3.0)


@pytest.mark.parametrize("logits", [{}, {"a": 1.0}, {"b": 1.0}])
def test_fusion_gives_none_when_a_member_is_missing(logits: dict[str, float]) -> None:
    assert Fusion("image", ("a", "b"), "a", (0.5, 2.0), 0.0).fused_logit(logits) is None


def test_fusion_gives_none_when_none_is_shipped() -> None:
    assert Fusion("image", ("a", "b"), "a", (), 0.0).fused_logit({"a": 1.0, "b": 1.0}) is None


def test_fusion_survives_save_and_load(tmp_path: Path) -> None:
    fusion = Fusion("image", ("a", "b"), "b", (0.25, -1.5), 0.125)
    fusion.save(tmp_path / "image_members.json")
    assert Fusion.load(tmp_path / "image_members.json") == fusion


@pytest.mark.parametrize("content", [{}, {"modality": "image", "members": 3}, []])
def test_fusion_that_is_none_is_refused(tmp_path: Path, content: object) -> None:
    (tmp_path / "f.json").write_text(json.dumps(content))
    with pytest.raises(CalibrationError, match=r"f\.json: not a fusion file"):
        Fusion.load(tmp_path / "f.json")


def scale(coefficients: tuple[float, ...], lead: str = "b") -> Scale:
    members = {
        "a": calibration("a"),
        "b": calibration("b"),
        "image_fusion": calibration("image_fusion", slope=LN10 / 2),
    }
    return Scale(members, {"image": Fusion("image", ("a", "b"), lead, coefficients, 0.0)})


def test_modality_speaks_by_the_fusion_where_all_members_have_read() -> None:
    assert judged(scored("a", 1.0), scored("b", 2.0), scale=scale((1.0, 0.5))).log10_lr == 1.0


def test_modality_speaks_by_the_lead_where_no_fusion_is_shipped() -> None:
    assert judged(scored("a", 0.5), scored("b", -1.5), scale=scale(())).log10_lr == -1.5


def test_modality_speaks_by_the_only_reading_where_the_lead_has_none() -> None:
    no_face = (CARDS["b"], NotScored("b", Absence.NO_FACE, "no face was found"))
    result = judged(scored("a", 0.5), no_face, scale=scale((1.0, 1.0)))
    assert result.log10_lr == 0.5
    assert [(u.detector, u.absence) for u in result.not_scored] == [("b", Absence.NO_FACE)]


def test_reading_without_calibration_gives_no_number_and_no_claim() -> None:
    result = judged(scored("a", 9.0), scale=Scale({}, {}))
    assert (result.verdict, result.log10_lr, result.authenticity_score) == (Verdict.INCONCLUSIVE, None, None)
    assert (result.readings[0].spoof_logit, result.readings[0].log10_lr, result.readings[0].stratum) == (
        9.0,
        None,
        None,
    )


def test_nothing_scored_is_not_screened() -> None:
    result = judged((CARDS["a"], NotScored("a", Absence.TOO_SMALL, "1 x 1 px")), scale=scale(()))
    assert (result.verdict, result.authenticity_score, result.log10_lr) == (Verdict.NOT_SCREENED, None, None)
    assert result.verbal == "not screened"


def test_nothing_is_decided_on_what_the_method_was_not_made_for() -> None:
    beyond = (CARDS["b"], NotScored("b", Absence.OUT_OF_DOMAIN, "no photograph"))
    result = judged(scored("a", 5.0), beyond, scale=scale(()))
    assert (result.verdict, result.log10_lr, result.authenticity_score) == (Verdict.NOT_SCREENED, None, None)
    assert [(r.detector, r.spoof_logit) for r in result.readings] == [("a", 5.0)]


def test_authenticity_score_moves_with_the_prior_and_the_lr_does_not() -> None:
    results = [
        judged(scored("a", 0.3), scored("b", 0.3), scale=scale(()), policy=VerdictPolicy(prior_spoof=prior))
        for prior in (0.01, 0.5, 0.99)
    ]
    assert {r.log10_lr for r in results} == {0.3}
    scores = [r.authenticity_score for r in results]
    assert scores == pytest.approx([99 / (99 + 10**0.3), 1 / (1 + 10**0.3), 1 / (1 + 99 * 10**0.3)], abs=1e-4)


@pytest.mark.parametrize(("log10_lr", "score"), [(0.0, 0.5), (1.0, 1 / 11), (-2.0, 100 / 101)])
def test_authenticity_score_by_hand(log10_lr: float, score: float) -> None:
    assert authenticity_score(log10_lr, POLICY) == pytest.approx(score, abs=5e-5)


@pytest.mark.parametrize(
    ("log10_lr", "verdict"),
    [
        (1.0, Verdict.SPOOF_SUPPORTED),
        (0.999, Verdict.INCONCLUSIVE),
        (0.0, Verdict.INCONCLUSIVE),
        (-0.999, Verdict.INCONCLUSIVE),
        (-1.0, Verdict.BONA_FIDE_SUPPORTED),
    ],
)
def test_verdict_thresholds_belong_to_the_claim(log10_lr: float, verdict: Verdict) -> None:
    assert decide(log10_lr, POLICY) is verdict


@pytest.mark.parametrize(
    ("log10_lr", "words"),
    [
        (0.0, "no support for one hypothesis over the other"),
        (-0.3, "no support for one hypothesis over the other"),
        (0.302, "weak support for synthetic or manipulated"),
        (-0.5, "weak support for authentic"),
        (1.0, "moderate support for synthetic or manipulated"),
        (-2.0, "moderately strong support for authentic"),
        (3.5, "strong support for synthetic or manipulated"),
        (5.0, "very strong support for synthetic or manipulated"),
        (-7.0, "extremely strong support for authentic"),
    ],
)
def test_words_are_those_of_the_guideline(log10_lr: float, words: str) -> None:
    assert verbal_term(log10_lr) == words


SPOOF, BONA, OPEN, NONE = (
    Verdict.SPOOF_SUPPORTED,
    Verdict.BONA_FIDE_SUPPORTED,
    Verdict.INCONCLUSIVE,
    Verdict.NOT_SCREENED,
)


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ((), NONE),
        ((NONE, NONE), NONE),
        ((BONA, NONE), BONA),
        ((BONA, OPEN), OPEN),
        ((BONA, SPOOF), SPOOF),
        ((OPEN, NONE), OPEN),
        ((SPOOF, NONE), SPOOF),
        ((BONA, BONA), BONA),
    ],
)
def test_overall_verdict(parts: tuple[Verdict, ...], whole: Verdict) -> None:
    assert combine_verdicts(list(parts)) is whole


def test_overall_sentence_gives_the_lr_and_what_is_missing() -> None:
    image = judged(scored("a", 1.21), scored("b", 1.21), scale=scale(()))
    sound = judged((CARDS["a"], NotScored("a", Absence.NO_AUDIO_TRACK, "")), scale=scale(()))
    text = overall({"video": image, "audio": sound}).explanation
    assert "log10 LR +1.21, 95 % +0.73 to +1.69" in text
    assert "audio: not screened (no audio track)" in text


def test_suspicious_spans_are_those_beyond_the_threshold() -> None:
    points = tuple(TimelinePoint(k, k + 1.0, logit) for k, logit in enumerate((-1.0, 1.5, 1.5, 0.5)))
    result = judged(scored("a", 0.0, timeline=points), scale=Scale({"a": calibration("a")}, {}))
    assert len(result.timeline) == 4
    assert [(s.start_seconds, s.end_seconds) for s in result.suspicious_spans] == [(1.0, 3.0)]


def test_no_span_is_suspicious_where_the_calibration_says_nothing() -> None:
    points = (TimelinePoint(0.0, 1.0, 50.0),)
    result = judged(scored("a", 50.0, timeline=points), scale=Scale({"a": calibration("a", slope=0.0)}, {}))
    assert result.suspicious_spans == ()
