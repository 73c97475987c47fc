"""Reports of a scan: JSON lines, CSV and the terminal table, with hostile names."""

import base64
import csv
import io
import json

import pytest
import rfc8785
from report_samples import FAILED_NAME, image_screening, silent_screening, video_screening
from rich.console import Console

from deepscreen.errors import UndecodableMedia
from deepscreen.findings.finding import finding
from deepscreen.record import Screening
from deepscreen.report.as_csv import COLUMNS, csv_header, csv_rows
from deepscreen.report.as_json import envelope_line
from deepscreen.report.as_table import TableRow, results_table
from deepscreen.report.wording import ratio_text, score_text, shown, signed


def test_envelope_holds_the_canonical_record_byte_for_byte() -> None:
    screening = video_screening()
    line = envelope_line("clips/a b.mp4", screening=screening)
    assert line == b'{"path":"clips/a b.mp4","screening":' + screening.canonical_json() + b"}\n"
    assert Screening.model_validate(json.loads(line)["screening"]) == screening


@pytest.mark.parametrize("name", [b"caf\xe9/\xff.jpg", b"caf\xe9/\xff.jpg".decode("utf-8", "surrogateescape")])
def test_envelope_keeps_the_bytes_of_a_name_that_is_not_utf8(name: bytes | str) -> None:
    envelope = json.loads(envelope_line(name, screening=image_screening()))
    assert base64.b64decode(envelope["path_bytes_b64"]) == b"caf\xe9/\xff.jpg"
    assert envelope["path"] == "caf\ufffd/\ufffd.jpg"


def test_envelope_of_a_plain_name_has_no_bytes_and_is_one_line() -> None:
    line = envelope_line("new\nline é.jpg", screening=image_screening())
    assert line.count(b"\n") == 1
    assert "path_bytes_b64" not in json.loads(line)
    assert json.loads(line)["path"] == "new\nline é.jpg"


def test_envelope_of_a_failure_names_type_and_message() -> None:
    line = envelope_line("x.jpg", error=UndecodableMedia("broken \udcff name"))
    assert json.loads(line) == {
        "path": "x.jpg",
        "error": {"type": "UndecodableMedia", "message": "broken \ufffd name"},
    }
    assert line == rfc8785.dumps(json.loads(line)) + b"\n"


def test_envelope_wants_exactly_one_outcome() -> None:
    with pytest.raises(ValueError, match="either"):
        envelope_line("x")
    with pytest.raises(ValueError, match="either"):
        envelope_line("x", screening=image_screening(), error=UndecodableMedia("no"))


def parsed(lines: list[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_header() + "".join(lines), newline="")))


def test_csv_has_a_line_for_each_modality_with_the_figures_of_the_record() -> None:
    screening = video_screening()
    rows = parsed(csv_rows("a.mp4", screening, None))
    assert [row["modality"] for row in rows] == ["video", "audio"]
    assert {row["sha256"] for row in rows} == {screening.media.sha256}
    for row in rows:
        result = screening.modalities[row["modality"]]
        assert float(row["log10_lr"]) == result.log10_lr
        assert float(row["log10_lr_low"]) == result.log10_lr_low
        assert float(row["authenticity_score"]) == result.authenticity_score
        assert row["verdict"] == result.verdict
        assert row["error"] == ""


def test_csv_of_a_failure_is_one_line_with_the_error() -> None:
    (row,) = parsed(csv_rows("a.mp4", None, "UndecodableMedia: broken"))
    assert row["path"] == "a.mp4"
    assert row["error"] == "UndecodableMedia: broken"
    assert not any(row[name] for name in COLUMNS[1:-1])


def test_csv_leaves_figures_empty_where_nothing_was_scored() -> None:
    (row,) = parsed(csv_rows("a.wav", silent_screening(), None))
    assert (row["verdict"], row["log10_lr"], row["authenticity_score"]) == ("not_screened", "", "")


def test_csv_of_a_record_without_modalities_still_has_its_line() -> None:
    empty = silent_screening().model_copy(update={"modalities": {}})
    (row,) = parsed(csv_rows("a.wav", empty, None))
    assert (row["sha256"], row["modality"], row["verdict"]) == (empty.media.sha256, "", "not_screened")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"])
def test_csv_text_that_a_spreadsheet_would_run_is_disarmed(start: str) -> None:
    (row,) = parsed(csv_rows(f"{start}cmd|' /C calc'!A0", None, f"{start}1+1"))
    assert row["path"] == f"'{start}cmd|' /C calc'!A0"
    assert row["error"].startswith("'")


def test_csv_does_not_disarm_figures() -> None:
    rows = parsed(csv_rows("a.mp4", video_screening(), None))
    assert rows[1]["log10_lr"].startswith("-")


def test_csv_survives_quotes_line_breaks_and_undecodable_bytes_in_a_name() -> None:
    (row,) = parsed(csv_rows('a\n"b",c\udcff.jpg', None, "broken"))
    assert row["path"] == 'a\n"b",c\ufffd.jpg'
    "".join(csv_rows("\udcff", None, "\udcfe")).encode("utf-8")


def printed(rows: list[TableRow], *, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False)
    console.print(results_table(rows))
    return console.file.getvalue()


def test_table_shows_scores_ratios_verdicts_and_seconds() -> None:
    text = printed([TableRow("a.mp4", video_screening(), None, 1.234)])
    assert "a.mp4" in text
    assert "+1.40" in text
    assert "▲ supports synthetic or manipulated" in text
    assert "◆ inconclusive" in text
    assert text.count("1.23") == 1
    assert text.index("video") < text.index("audio")


def test_table_shows_hostile_names_as_escapes_and_no_markup() -> None:
    name = "a\x1b[2J\x07\nb\u202egpj.exe\udcff[red]x[/red]"
    text = printed([TableRow(name, None, "broken \x1b]0;title\x07", None)])
    assert not {"\x1b", "\x07", "\u202e", "\udcff"} & set(text)
    assert r"a\x1b[2J\x07\nb\u202egpj.exe\xff[red]x[/red]" in text
    assert r"failed: broken \x1b]0;title\x07" in text


def test_shown_is_idempotent_and_leaves_ordinary_names_alone() -> None:
    for name in ("Übersicht 图像 [1].jpg", "plain.jpg", "🙂.png"):
        assert shown(name) == name
    assert shown(shown(FAILED_NAME)) == shown(FAILED_NAME)
    assert shown(FAILED_NAME).isprintable()


@pytest.mark.parametrize(
    ("score", "text"), [(None, "-"), (0.0, "<0.01"), (0.0049, "<0.01"), (0.5, "0.50"), (0.994, "0.99"), (1.0, ">0.99")]
)
def test_score_never_claims_certainty(score: float | None, text: str) -> None:
    assert score_text(score) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0, "0.00"), (-0.001, "0.00"), (1.5, "+1.50"), (-2.0, "-2.00")]
)
def test_signed(value: float | None, text: str) -> None:
    assert signed(value) == text


@pytest.mark.parametrize(
    ("log10_lr", "text"),
    [
        (2.5, "about 320 times more probable if synthetic or manipulated"),
        (-1.0, "about 10 times more probable if bona fide"),
        (0.0, "equally probable under both hypotheses"),
        (4.0, "about 10,000 times more probable if synthetic or manipulated"),
        (None, ""),
    ],
)
def test_ratio_in_words(log10_lr: float | None, text: str) -> None:
    assert ratio_text(log10_lr) == text


def test_table_tells_notable_findings_below_the_results() -> None:
    findings = (
        finding("jpeg_tables", "For completeness.", source="JPEG tables"),
        finding("double_compression", "Saved twice.", source="JPEG coefficients", severity="notice"),
        finding("generator_trace", "Made by a [b]program[/b].", source="EXIF", severity="warning"),
    )
    text = printed([TableRow("a.jpg", image_screening(findings=findings), None, 1.0)])
    assert text.index("Made by a [b]program[/b].") < text.index("Saved twice.")
    assert "For completeness." not in text
