"""The laundering test: what was decided must stand at three levels of re-encoding, or becomes inconclusive."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

import media_factory
from deepscreen.detectors.device import ComputePlan
from deepscreen.detectors.fake import FakeDetector
from deepscreen.media.intake import take_in
from deepscreen.media.recode import FRAME_TREATMENTS, PICTURE_TREATMENTS, SOUND_TREATMENTS
from deepscreen.method import Method, provenance, under_profile
from deepscreen.record import ModalityResult, RecodedLevel, Screening, Verdict, json_schema
from deepscreen.report.as_csv import COLUMNS, csv_rows
from deepscreen.scoring.calibration import Calibration, Stratum
from deepscreen.scoring.fusion import Scale
from deepscreen.scoring.laundering import UNSTABLE, with_stability
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings

LN10 = math.log(10)
FAKES = tuple(FakeDetector(modality) for modality in ("image", "video", "audio"))
SPOOF, BONA_FIDE, OPEN, NONE = (
    Verdict.SPOOF_SUPPORTED,
    Verdict.BONA_FIDE_SUPPORTED,
    Verdict.INCONCLUSIVE,
    Verdict.NOT_SCREENED,
)
Desk = Callable[..., ScreeningDesk]


def scale(slope: float, offset_log10: float) -> Scale:
    """For the fakes: log10 LR = slope * logit + offset, so that a slope of 0 says the same of every copy."""
    figures = (slope * LN10, offset_log10 * LN10)
    stratum = Stratum(*figures, (figures,), n_spoof=500, n_bona_fide=500, n_sources=19_998)
    return Scale({fake.card.name: Calibration(fake.card.name, "ab" * 32, {"all": stratum}) for fake in FAKES}, {})


SAME, BY_CONTENT, UNDECIDED = scale(0.0, 1.5), scale(1.0, 0.0), scale(0.0, 0.5)


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """Desks of fakes on a scale, under a profile; each is made once, and closed at the end."""
    made: dict[tuple[int, str], ScreeningDesk] = {}

    def get(of: Scale, profile: str = "thorough") -> ScreeningDesk:
        if (id(of), profile) not in made:
            settings = Settings(device="cpu", profile=profile)
            known_by = provenance(settings, ComputePlan("cpu", "fp32", 1), FAKES, {})
            made[id(of), profile] = ScreeningDesk.of(settings, Method(FAKES, of, known_by, None))
        return made[id(of), profile]

    yield get
    for one in made.values():
        one.close()


def screened(desk: ScreeningDesk, path: Path, **how: str) -> Screening:
    return desk.screen(take_in(path, limits=desk.settings.limits), **how).screening  # type: ignore[arg-type]


def noise(path: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def decided(log10_lr: float, verdict: Verdict = SPOOF) -> ModalityResult:
    return ModalityResult(
        verdict=verdict,
        authenticity_score=0.1,
        prior_spoof=0.5,
        log10_lr=log10_lr,
        log10_lr_low=log10_lr,
        log10_lr_high=log10_lr,
        log10_lr_limit=2.0,
        verbal="moderate support for synthetic or manipulated",
    )


def levels(*given: tuple[float | None, Verdict]) -> tuple[RecodedLevel, ...]:
    return tuple(RecodedLevel(treatment=f"level {k}", log10_lr=lr, verdict=v) for k, (lr, v) in enumerate(given))


def test_verdict_stands_where_it_is_the_same_at_all_levels() -> None:
    result = with_stability(decided(1.5), levels((1.4, SPOOF), (1.7, SPOOF), (1.05, SPOOF)))
    assert result.stability is not None
    assert (result.verdict, result.stability.is_stable, result.caveats) == (SPOOF, True, ())
    assert result.stability.log10_lr_spread == 0.65


@pytest.mark.parametrize(
    "last", [(0.99, OPEN), (-1.5, BONA_FIDE), (None, NONE)], ids=["open", "other side", "not scored"]
)
def test_verdict_that_one_level_takes_away_is_inconclusive(last: tuple[float | None, Verdict]) -> None:
    before = decided(1.5)
    result = with_stability(before, levels((1.4, SPOOF), (1.3, SPOOF), last))
    assert result.stability is not None
    assert (result.verdict, result.stability.first_verdict, result.stability.is_stable) == (OPEN, SPOOF, False)
    assert (result.log10_lr, result.verbal) == (before.log10_lr, before.verbal)
    assert [caveat.code for caveat in result.caveats] == [UNSTABLE]
    assert "does not stand when the item is re-encoded" in result.caveats[0].message
    assert result.stability.log10_lr_spread == round(1.5 - (1.3 if last[0] is None else last[0]), 3)


@pytest.mark.parametrize(
    ("kind", "treatments"), [("image", PICTURE_TREATMENTS), ("video", FRAME_TREATMENTS), ("audio", SOUND_TREATMENTS)]
)
def test_each_kind_is_coded_again_by_its_own_codec(desk: Desk, tmp_path: Path, kind: str, treatments: dict) -> None:
    path = {
        "image": lambda: media_factory.save_picture(tmp_path / "a.png", "PNG"),
        "video": lambda: media_factory.save_clip(tmp_path / "a.mp4", seconds=1.0),
        "audio": lambda: media_factory.save_clip(tmp_path / "a.mp4", seconds=1.0, sound=True),
    }[kind]()
    result = screened(desk(SAME), path).modalities[kind]  # type: ignore[index]
    assert result.stability is not None
    assert [level.treatment for level in result.stability.levels] == list(treatments)
    assert [level.log10_lr for level in result.stability.levels] == [1.5, 1.5, 1.5]
    assert (result.verdict, result.stability.log10_lr_spread) == (SPOOF, 0.0)


def test_copies_are_really_scored_and_decide(desk: Desk, tmp_path: Path) -> None:
    """The fakes' logits follow from the content, so a copy's is another one."""
    one = desk(BY_CONTENT)
    results = [screened(one, noise(tmp_path / f"{k}.png", k)).modalities["image"] for k in range(12)]
    tested = [result for result in results if result.stability is not None]
    assert {result.verdict for result in results if result.stability is None} <= {OPEN}
    assert any(not result.stability.is_stable for result in tested if result.stability)
    for result in tested:
        assert result.stability is not None
        assert len({level.log10_lr for level in result.stability.levels} | {result.log10_lr}) == 4
        stands = all(level.verdict is result.stability.first_verdict for level in result.stability.levels)
        assert result.verdict is (result.stability.first_verdict if stands else OPEN)


def test_nothing_is_tested_where_nothing_was_decided(desk: Desk, tmp_path: Path) -> None:
    result = screened(desk(UNDECIDED), noise(tmp_path / "a.png", 0)).modalities["image"]
    assert (result.verdict, result.stability, result.caveats) == (OPEN, None, ())


def test_default_profile_tests_nothing_and_is_another_method(desk: Desk, tmp_path: Path) -> None:
    path = noise(tmp_path / "a.png", 0)
    plain, thorough = screened(desk(SAME, "default"), path), screened(desk(SAME), path)
    assert plain.modalities["image"].stability is None
    assert (plain.provenance.profile, thorough.provenance.profile) == ("default", "thorough")
    assert plain.provenance.method_digest != thorough.provenance.method_digest
    assert plain.modalities["image"].evidence == thorough.modalities["image"].evidence


@pytest.mark.parametrize(("own", "asked"), [("default", "thorough"), ("thorough", "default")])
def test_profile_that_is_asked_for_beats_the_setting(desk: Desk, tmp_path: Path, own: str, asked: str) -> None:
    path = noise(tmp_path / "a.png", 0)
    by_request = screened(desk(SAME, own), path, profile=asked)
    assert by_request.canonical_json() == screened(desk(SAME, asked), path).canonical_json()


def test_thorough_record_keeps_to_the_schema_and_to_its_bytes(desk: Desk, tmp_path: Path) -> None:
    path = media_factory.save_clip(tmp_path / "a.mp4", seconds=1.0, sound=True)
    one, two = (screened(desk(BY_CONTENT), path) for _ in range(2))
    assert one.canonical_json() == two.canonical_json()
    jsonschema.Draft202012Validator(json_schema()).validate(json.loads(one.canonical_json()))
    assert Screening.model_validate_json(one.canonical_json()) == one


def test_overall_verdict_and_its_sentence_follow(desk: Desk, tmp_path: Path) -> None:
    one = desk(BY_CONTENT)
    screenings = [screened(one, noise(tmp_path / f"{k}.png", k)) for k in range(12)]
    unstable = [s for s in screenings if (test := s.modalities["image"].stability) and not test.is_stable]
    assert unstable
    assert {s.overall.verdict for s in unstable} == {OPEN}
    assert all("did not stand when re-encoded" in s.overall.explanation for s in unstable)


def test_table_for_spreadsheets_says_whether_it_stood(desk: Desk, tmp_path: Path) -> None:
    path = noise(tmp_path / "a.png", 0)
    for profile, words in (("default", ",,"), ("thorough", ",stands when re-encoded,0.0,")):
        (line,) = csv_rows("a.png", screened(desk(SAME, profile), path), None)
        assert line.count(",") == len(COLUMNS) - 1
        assert words in line


def test_profile_is_part_of_what_a_method_is_known_by(desk: Desk) -> None:
    base = desk(SAME, "default").provenance
    assert under_profile(base, "default") == base
    assert under_profile(base, "thorough") == desk(SAME, "thorough").provenance
