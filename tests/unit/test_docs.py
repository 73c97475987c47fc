"""Generated pages are what the code says today, and a detector's card is what its report says."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from deepscreen import cli_docs
from deepscreen.detectors.contract import DetectorCard
from deepscreen.detectors.registry import DETECTORS, OFF_BY_DEFAULT
from deepscreen.report.detector_card import GENERATED, detector_page, fusion_page
from deepscreen.report.readme_figures import BEGIN, END, with_figures
from deepscreen.settings import Limits, Settings, UnpackLimits, VerdictPolicy
from deepscreen.weights.manifest import load_manifest
from deepscreen.weights.store import shipped_dir

DOCS = Path(__file__).parents[2] / "docs"
RENEW = "run `make docs`"
CARD = DetectorCard("image_x", "image", "3", ("clip-vit-b16",), "Looks at pictures.")
FIGURES = {"auc": 0.912, "auc_low": 0.85, "auc_high": 0.95, "eer": 0.17, "eer_low": 0.1, "eer_high": 0.2, "cllr": 0.61}
COUNTS = {"n_spoof": 120, "n_bona_fide": 240, "n_sources": 31}
REPORT: dict[str, Any] = {
    "detector": "image_x",
    "command": "deepscreen fit image --manifest MANIFEST",
    "fitted_on": {"n_files": 4321, "n_sources": 77},
    "protocols": {
        "source-held-out, all": FIGURES | COUNTS,
        "last-block probe, source-held-out, all": {"auc": 0.7, "auc_low": 0.65, "auc_high": 0.75, **COUNTS},
        "release split, all": COUNTS,
    },
    "by_kind": {
        "splice": {"auc": 0.55, "auc_low": 0.4, "auc_high": 0.7, **COUNTS},
        "gan": {"auc": 0.99, "auc_low": 0.98, "auc_high": 1.0, **COUNTS},
        "rare|kind": {"n_spoof": 2, "n_bona_fide": 240, "n_sources": 9},
    },
    "drift": {"jpeg 30": {"drop": 0.125}, "resized": {"drop": 0.5}},
    "notes": ["Fitted once."],
}


@pytest.fixture(scope="module")
def page() -> str:
    row = load_manifest(shipped_dir() / "manifest.toml").row("clip-vit-b16")
    return detector_page(CARD, [row], REPORT, {})


def test_card_shows_what_other_commands_measured() -> None:
    share = {"rate": 0.25, "low": 0.1, "high": 0.5, "n": 12, "touched": 0.5}
    part = {"found": share, "by_maker": {"face swap": share}, "false_spans_per_untouched_clip": 0.125}
    spans = {"at_policy_threshold": part, "at_few_false_spans": part}
    text = detector_page(replace(CARD, modality="video"), [], REPORT, {"spans": spans})
    assert "## One manipulated second in a minute" in text
    assert "| all makers, at the log10 LR from which a span is reported | 0.250 (0.100 to 0.500) | 12 | 0.125 |" in text
    assert "deepscreen evaluate-spans" in text


def cells(page: str, first: str) -> list[str]:
    """The cells of the table row that begins with *first*."""
    row = next(line for line in page.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[2:-1]]


def test_published_schema_is_current() -> None:
    assert (DOCS / "screening.schema.json").read_text(encoding="utf-8") == cli_docs.schema_json(), RENEW


def test_published_schema_is_valid() -> None:
    Draft202012Validator.check_schema(json.loads((DOCS / "screening.schema.json").read_text(encoding="utf-8")))


def test_page_of_settings_is_current() -> None:
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == cli_docs.settings_page(), RENEW


def test_page_of_commands_is_current() -> None:
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == cli_docs.commands_page(), RENEW


@pytest.mark.parametrize("name", [name for name in DETECTORS if name not in OFF_BY_DEFAULT])
def test_page_of_a_detector_is_current(name: str) -> None:
    pages = cli_docs.detector_pages(shipped_dir())
    if name not in pages:
        pytest.skip(f"weights/reports/{name}.json is not there: the detector was not fitted yet")
    assert (DOCS / f"detectors/{name}.md").read_text(encoding="utf-8") == pages[name], RENEW


def test_no_page_of_a_detector_is_left_over() -> None:
    written = {path.stem for path in (DOCS / "detectors").glob("*.md")} - {"README"}
    assert written == set(cli_docs.detector_pages(shipped_dir()))


def test_every_setting_is_on_its_page() -> None:
    page = cli_docs.settings_page()
    plain = {f"DEEPSCREEN_{name.upper()}" for name in Settings.model_fields} - {
        "DEEPSCREEN_LIMITS",
        "DEEPSCREEN_POLICY",
        "DEEPSCREEN_UNPACK",
    }
    limits = {f"DEEPSCREEN_LIMITS__{name.upper()}" for name in Limits.model_fields}
    policy = {f"DEEPSCREEN_POLICY__{name.upper()}" for name in VerdictPolicy.model_fields}
    unpack = {f"DEEPSCREEN_UNPACK__{name.upper()}" for name in UnpackLimits.model_fields}
    assert set(re.findall(r"^\| `(DEEPSCREEN_\w+)` \|", page, re.MULTILINE)) == plain | limits | policy | unpack


@pytest.mark.parametrize("command", ["screen", "scan", "serve", "info", "detectors", "weights pull", "fit audio"])
def test_every_command_is_on_its_page(command: str) -> None:
    assert f"## deepscreen {command}\n" in cli_docs.commands_page()


@pytest.mark.parametrize("columns", ["40", "300"])
def test_page_of_commands_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    expected = cli_docs.commands_page()
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert cli_docs.commands_page() == expected
    assert "\x1b" not in expected


def test_figures_in_the_readme_are_current() -> None:
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert cli_docs.readme(text, shipped_dir()) == text, RENEW


def test_readme_keeps_what_stands_around_its_figures() -> None:
    text = f"# Title\n\n{BEGIN}\n| old |\n{END}\nafter\n"
    assert with_figures(text, "| new |") == f"# Title\n\n{BEGIN}\n| new |\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["# Title\n", f"{BEGIN}\n", f"{END}\n"])
def test_readme_without_its_marks_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="want the marks"):
        with_figures(text, "| a |")


def test_renewing_writes_what_differs_and_nothing_else(tmp_path: Path) -> None:
    """In a copy of what pages are made from."""
    shutil.copytree(shipped_dir(), tmp_path / "weights", ignore=shutil.ignore_patterns("cache"))
    shutil.copy(DOCS.parent / "README.md", tmp_path)
    (tmp_path / "docs").mkdir()
    shutil.copy(DOCS / "peers.md", tmp_path / "docs")
    pages = {"docs/screening.schema.json", "docs/settings.md", "docs/cli.md", "docs/openapi.json"}
    assert pages <= set(cli_docs.renew(tmp_path))
    assert cli_docs.renew(tmp_path) == []
    (tmp_path / "docs/cli.md").write_text("old")
    assert cli_docs.renew(tmp_path) == ["docs/cli.md"]


def test_card_puts_the_probe_beside_its_protocol(page: str) -> None:
    expected = [
        "0.912 (0.850 to 0.950)",
        "0.170 (0.100 to 0.200)",
        "0.610",
        "0.700 (0.650 to 0.750)",
        "120",
        "240",
        "31",
    ]
    assert cells(page, "source-held-out, all") == expected
    assert "\n| last-block probe" not in page


def test_card_gives_counts_alone_where_there_are_no_figures(page: str) -> None:
    assert cells(page, "release split, all") == ["-", "-", "-", "-", "120", "240", "31"]


def test_card_says_where_it_fails_worst_first(page: str) -> None:
    assert "worst first: splice (AUC 0.550), gan (AUC 0.990)." in page
    assert "too few files to judge: rare" in page


def test_card_owns_up_where_the_bare_probe_is_as_good(page: str) -> None:
    assert "No better than" not in page
    protocols = REPORT["protocols"] | {"last-block probe, source-held-out, all": {"auc": 0.95}}
    beaten = fusion_page(REPORT | {"protocols": protocols})
    assert "- No better than the last-block probe: source-held-out, all (AUC 0.912 against 0.950)." in beaten


def test_card_makes_a_table_of_any_dictionary_of_dictionaries(page: str) -> None:
    assert "## Drift" in page
    assert cells(page, "resized") == ["0.500"]


def test_card_escapes_what_would_break_a_table(page: str) -> None:
    assert cells(page, "rare\\|kind")[-3:] == ["2", "240", "9"]


def test_card_names_weights_licence_data_and_command(page: str) -> None:
    assert cells(page, "`clip-vit-b16`")[:2] == ["backbone", "MIT"]
    assert "4321 files, 77 sources." in page
    assert "    deepscreen fit image --manifest MANIFEST" in page
    assert "- Fitted once." in page


def test_card_admits_what_was_not_measured(page: str) -> None:
    assert "False positive rate by group of people (age, sex, skin tone): not measured." in page


def test_card_is_marked_as_generated(page: str) -> None:
    assert page.startswith(f"# image_x\n\n{GENERATED}\n")


def test_page_of_a_fusion_needs_no_weights() -> None:
    page = fusion_page(
        {k: v for k, v in REPORT.items() if k != "by_kind"} | {"members": {"a": {"auc": 0.5}, "b": {"auc": 0.6}}}
    )
    assert "## Members" in page
    assert "What it loads" not in page
