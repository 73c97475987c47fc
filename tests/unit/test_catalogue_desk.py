"""Plug-ins on a desk: their readings stand in the record, and decide nothing; the method digest knows them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest
from tiny_checkpoints import row_of, save_catalogue, save_checkpoint
from typer.testing import CliRunner

import media_factory
from deepscreen.absence import Absence, NotScored
from deepscreen.cli import app
from deepscreen.detectors.catalogue.rows import load_catalogue
from deepscreen.detectors.contract import Detector, DetectorCard, Reading, Scored
from deepscreen.detectors.device import ComputePlan
from deepscreen.detectors.fake import FakeDetector
from deepscreen.detectors.registry import build_plugins
from deepscreen.errors import ManifestInvalid
from deepscreen.media.intake import take_in
from deepscreen.method import load_method, provenance
from deepscreen.record import Provenance, Screening, Verdict, json_schema
from deepscreen.scoring.calibration import Calibration, Stratum
from deepscreen.scoring.fusion import Scale
from deepscreen.scoring.judgement import judge
from deepscreen.screened import Screened
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings, VerdictPolicy, load_settings

SETTINGS = Settings(device="cpu")
PLAN = ComputePlan("cpu", "fp32", 1)
FAKES = tuple(FakeDetector(modality) for modality in ("image", "video", "audio"))
STRATUM = Stratum(1.0, 0.0, ((1.0, 0.0),), n_spoof=500, n_bona_fide=500, n_sources=198)
SCALE = Scale({fake.card.name: Calibration(fake.card.name, "ab" * 32, {"all": STRATUM}) for fake in FAKES}, {})
Desk = Callable[..., ScreeningDesk]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plug-in for each modality."""
    root = tmp_path_factory.mktemp("catalogue")
    rows = [row_of(save_checkpoint(root / name, name), name) for name in ("vit", "videomae", "wav2vec2")]
    return save_catalogue(root / "catalogue.toml", *rows)


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Makes desks of the given detectors, and closes them."""
    made: list[ScreeningDesk] = []

    def make(detectors: tuple[Detector, ...], known_by: Provenance | None = None) -> ScreeningDesk:
        known_by = known_by or provenance(SETTINGS, PLAN, detectors, {})
        made.append(ScreeningDesk(SETTINGS, detectors=detectors, scale=SCALE, provenance=known_by, yunet_path=None))
        return made[-1]

    yield make
    for one in made:
        one.close()


def plugins(catalogue: Path) -> tuple[Detector, ...]:
    return build_plugins(load_catalogue(catalogue), PLAN)


def screened(desk: ScreeningDesk, path: Path) -> Screened:
    return desk.screen(take_in(path, limits=SETTINGS.limits))


def test_picture_gets_a_reading_without_a_likelihood_ratio(desk: Desk, catalogue: Path, tmp_path: Path) -> None:
    path = media_factory.save_picture(tmp_path / "a.png", "PNG")
    without = screened(desk(FAKES), path).screening.modalities["image"]
    result = screened(desk((*FAKES, *plugins(catalogue))), path).screening.modalities["image"]
    assert [reading.detector for reading in result.readings] == ["fake_image", "tiny_vit"]
    assert (result.readings[1].log10_lr, result.readings[1].stratum) == (None, None)
    assert [(c.code, c.message.partition(":")[0]) for c in result.caveats] == [("not_calibrated", "tiny_vit")]
    decided = ("verdict", "log10_lr", "log10_lr_low", "log10_lr_high", "authenticity_score", "verbal")
    assert [getattr(result, name) for name in decided] == [getattr(without, name) for name in decided]


def test_clip_with_sound_shows_when_by_each_detector(desk: Desk, catalogue: Path, tmp_path: Path) -> None:
    path = media_factory.save_clip(tmp_path / "a.mp4", seconds=3.0, sound=True)
    whole = screened(desk((*FAKES, *plugins(catalogue))), path)
    for name, own, plugin in (("video", "fake_video", "tiny_videomae"), ("audio", "fake_audio", "tiny_wav2vec2")):
        result = whole.screening.modalities[name]
        assert {span.detector for span in result.timeline} == {own, plugin}
        assert {span.detector for span in result.suspicious_spans} <= {own}
        assert f"{plugin}-timeline.png" in {picture.name for picture in result.evidence}
        assert whole.artefacts[f"{plugin}-timeline.png"].startswith(b"\x89PNG")


def test_record_with_plugins_keeps_to_the_schema_and_to_its_bytes(desk: Desk, catalogue: Path, tmp_path: Path) -> None:
    path = media_factory.save_clip(tmp_path / "a.mp4", seconds=2.0, sound=True)
    one, two = (screened(desk((*FAKES, *plugins(catalogue))), path).screening for _ in range(2))
    assert one.canonical_json() == two.canonical_json()
    jsonschema.Draft202012Validator(json_schema()).validate(json.loads(one.canonical_json()))
    assert Screening.model_validate_json(one.canonical_json()) == one


def test_plugin_alone_is_no_screening(desk: Desk, catalogue: Path, tmp_path: Path) -> None:
    """Else a file that no calibrated detector could read would pass for one that was looked at."""
    path = media_factory.save_picture(tmp_path / "a.png", "PNG")
    screening = screened(desk(plugins(catalogue)), path).screening
    result = screening.modalities["image"]
    assert [reading.detector for reading in result.readings] == ["tiny_vit"]
    assert (result.verdict, result.log10_lr, result.authenticity_score) == (Verdict.NOT_SCREENED, None, None)
    assert screening.overall.verdict is Verdict.NOT_SCREENED


@pytest.mark.parametrize("plugin_logit", [-30.0, 30.0])
@pytest.mark.parametrize("own", [Scored(Reading("fake_image", 3.0, 1)), NotScored("fake_image", Absence.NO_FACE, "-")])
def test_no_plugin_reading_moves_the_result(own: Scored | NotScored, plugin_logit: float) -> None:
    card = DetectorCard("tiny_vit", "image", "1", (), "for a test", is_plugin=True)
    outcomes = [(FAKES[0].card, own), (card, Scored(Reading("tiny_vit", plugin_logit, 1)))]
    policy = VerdictPolicy()
    alone = judge("image", outcomes[:1], scale=SCALE, policy=policy, evidence=(), caveats=())
    result = judge("image", outcomes, scale=SCALE, policy=policy, evidence=(), caveats=())
    told = {"readings": alone.readings, "caveats": alone.caveats}
    assert result.model_copy(update=told) == alone


def digest(path: Path | None) -> str:
    return provenance(SETTINGS, PLAN, (), {"head": "ab" * 32}, load_catalogue(path)).method_digest


def test_method_digest_knows_the_rows_and_not_where_they_lie(tmp_path: Path) -> None:
    row = row_of(tmp_path, "vit", sha256={"config.json": "aa" * 32, "model.safetensors": "bb" * 32})
    changes = (
        {},
        {"spoof_label": "Real"},
        {"revision": "f" * 40},
        {"sha256": {**row["sha256"], "config.json": "cc" * 32}},
        {"preprocessing": {**row["preprocessing"], "resampler": "bicubic"}},
    )
    rows = [{**row, **change} for change in changes]
    digests = [digest(None), *(digest(save_catalogue(tmp_path / "c.toml", one)) for one in rows)]
    assert len(set(digests)) == len(digests)
    assert digest(save_catalogue(tmp_path / "c.toml", {**row, "folder": "/elsewhere"})) == digests[1]


def test_record_names_the_hash_of_every_file_of_a_plugin(catalogue: Path) -> None:
    found = provenance(SETTINGS, PLAN, (), {}, load_catalogue(catalogue)).weights_sha256
    assert len(found) == 9
    assert set(found) >= {"tiny_vit/model.safetensors", "tiny_wav2vec2/preprocessor_config.json"}


def test_command_lists_plugins_without_opening_them(tmp_path: Path) -> None:
    row = row_of(tmp_path, "ast", sha256={"config.json": "aa" * 32, "model.safetensors": "bb" * 32})
    path = save_catalogue(tmp_path / "catalogue.toml", {**row, "folder": "not-there"})
    done = CliRunner().invoke(app, ["detectors"], env={"DEEPSCREEN_CATALOGUE": str(path), "COLUMNS": "250"})
    assert done.exit_code == 0, done.output
    line = next(line for line in done.output.splitlines() if "tiny_ast" in line)
    assert "audio" in line
    assert "image_clip" in done.output


@pytest.mark.weights
def test_method_holds_the_plugins_behind_its_own_detectors(catalogue: Path) -> None:
    method = load_method(load_settings(device="cpu", catalogue=catalogue))
    cards = [detector.card for detector in method.detectors]
    assert [card.name for card in cards if card.is_plugin] == ["tiny_vit", "tiny_videomae", "tiny_wav2vec2"]
    assert [card.is_plugin for card in cards] == sorted(card.is_plugin for card in cards)
    assert "tiny_vit/model.safetensors" in method.provenance.weights_sha256


@pytest.mark.weights
@pytest.mark.parametrize("name", ["image_clip", "image_fusion"])
def test_plugin_cannot_take_a_name_that_has_a_calibration(catalogue: Path, tmp_path: Path, name: str) -> None:
    row = row_of(catalogue.parent / "vit", "vit", name=name)
    settings = load_settings(device="cpu", catalogue=save_catalogue(tmp_path / "catalogue.toml", row))
    with pytest.raises(ManifestInvalid, match=f"{name}: the name is Deepscreen's own"):
        load_method(settings)
