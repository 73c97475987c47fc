"""The report for a court: its text is the record's, in every language; nothing is fetched; signatures hold."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest
from jinja2 import Environment
from PIL import Image
from report_samples import heatmap, image_screening, result, video_screening
from typer.testing import CliRunner

from deepscreen.cli import app
from deepscreen.errors import ConfigError
from deepscreen.evidence.axes import clock
from deepscreen.findings.content_credentials import STATES
from deepscreen.findings.finding import finding
from deepscreen.record import Screening, Verdict
from deepscreen.report import court, wording
from deepscreen.report.as_pdf import render_pdf
from deepscreen.report.court import CourtCase, court_html, pictures_of
from deepscreen.report.language import language_of, languages
from deepscreen.report.pades import is_signed_whole, sign_pdf
from deepscreen.report.validation_figures import error_rates
from deepscreen.scoring.verdict import verbal_term
from deepscreen.weights.manifest import load_manifest
from deepscreen.weights.store import shipped_dir
from signed_media import Authority

HOSTILE = "<script>alert(1)</script>\u202egpj {{ 7 * 7 }} %(x)s"
WORDS = ("info", "notice", "warning", "image", "video", "audio", "heatmap", "timeline", "spectrogram")


def installed(screening: Screening) -> Screening:
    """*screening* as if the installed method had made it."""
    hashes = {row.name: row.sha256 for row in load_manifest(shipped_dir() / "manifest.toml").weights}
    provenance = screening.provenance.model_copy(update={"weights_sha256": hashes})
    return screening.model_copy(update={"provenance": provenance})


def warned_screening() -> Screening:
    traces = (
        finding("generator_trace", "The file carries settings.", source="EXIF", severity="warning", facts={"seed": 42}),
        finding("content_credentials", STATES["none"][1], source="C2PA", facts={"state": "none"}),
    )
    return installed(image_screening(message=HOSTILE, findings=traces))


def text_of(pdf: bytes) -> list[str]:
    """The text of every page, with white space made single."""
    document = pypdfium2.PdfDocument(pdf)
    return [" ".join(page.get_textpage().get_text_bounded().split()) for page in document]


@pytest.fixture(scope="module")
def english() -> bytes:
    screening = warned_screening()
    return render_pdf(court_html(CourtCase(screening, {}, error_rates(screening), "IMG_1.jpg"), "en"))


@pytest.fixture(scope="module")
def german_pages() -> list[str]:
    return text_of(render_pdf(court_html(CourtCase(video_screening(), {}), "de")))


def figures(screening: Screening, code: str) -> Iterator[str]:
    """Every figure of the record in the form in which the report must show it."""
    number = language_of(code).number
    for modality in screening.modalities.values():
        values = (modality.log10_lr, modality.log10_lr_low, modality.log10_lr_high)
        values += tuple(reading.log10_lr for reading in modality.readings)
        yield from (number(value, signed=True) for value in values if value is not None)
        yield from (number(reading.spoof_logit, decimals=3, signed=True) for reading in modality.readings)
        for span in modality.suspicious_spans:
            yield clock(span.start_seconds, decimals=1)
            yield number(span.spoof_logit, signed=True)


def hashes(screening: Screening) -> Iterator[str]:
    provenance = screening.provenance
    yield from (screening.digest(), screening.media.sha256, provenance.method_digest, provenance.settings_digest)
    yield from provenance.weights_sha256.values()
    yield from (entry.sha256 for modality in screening.modalities.values() for entry in modality.evidence)


def test_text_of_the_pdf_is_the_record(english: bytes) -> None:
    screening = warned_screening()
    text = " ".join(text_of(english))
    unbroken = text.replace(" ", "").replace("\ufffe", "").replace("-", "")
    assert [figure for figure in figures(screening, "en") if figure not in text] == []
    assert [digest for digest in hashes(screening) if digest not in unbroken] == []
    for found in screening.findings:
        assert found.message.replace(" ", "").replace("-", "") in unbroken
    assert screening.overall.explanation in text
    assert f"{screening.media.size_bytes} bytes" in text


def test_first_page_says_it_all(english: bytes) -> None:
    first = text_of(english)[0]
    for words in (
        "Hypothesis A: The content is synthetic or was manipulated.",
        "Hypothesis B: The content is authentic",
        "supports synthetic or manipulated",
        "+2.50 +2.00 to +3.00 moderately strong support",
        "about 320 times more probable if hypothesis A is true",
        "Warning: The file carries settings.",
        "It is no expert opinion",
        "1 / ",
    ):
        assert words in first


def test_error_rates_are_those_of_the_installed_reports(english: bytes) -> None:
    report = json.loads((shipped_dir() / "reports" / "image_clip.json").read_text(encoding="utf-8"))
    figures_of_protocol = report["protocols"]["source-held-out, all"]
    text = " ".join(text_of(english))
    assert f"{figures_of_protocol['auc']:.3f} ({figures_of_protocol['auc_low']:.3f} to" in text
    assert error_rates(image_screening()) == ()


def test_hostile_text_stays_text(english: bytes) -> None:
    text = " ".join(text_of(english))
    assert "<script>alert(1)</script>\\u202egpj {{ 7 * 7 }} %(x)s" in text


def test_pdf_is_tagged(english: bytes) -> None:
    assert pypdfium2.PdfDocument(english).is_tagged()


def test_german_report_holds_the_same_figures_in_local_form(german_pages: list[str]) -> None:
    text = " ".join(german_pages)
    assert [figure for figure in figures(video_screening(), "de") if figure not in text] == []
    assert "+1,40" in text
    assert "Hypothese A: Der Inhalt ist künstlich erzeugt oder wurde verändert." in german_pages[0]
    assert "spricht für künstlich oder verändert" in german_pages[0]


@pytest.mark.parametrize("code", [code for code in languages() if code != "en"])
def test_catalogue_translates_every_text(code: str) -> None:
    source = (court.TEMPLATES / "court.html").read_text(encoding="utf-8")
    extracted = Environment(extensions=["jinja2.ext.i18n"], autoescape=True).extract_translations(source)
    wanted = {text for _, _, found in extracted for text in ([found] if isinstance(found, str) else found) if text}
    wanted |= {*wording.VERDICT_WORDS.values(), *wording.SUBJECT_WORDS.values(), *WORDS}
    wanted |= {verbal_term(value / 4) for value in range(-30, 31)} | {message for _, message in STATES.values()}
    assert len(wanted) > 80
    assert sorted(wanted - set(language_of(code).texts)) == []


def test_unknown_language_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="there are en, de"):
        court_html(CourtCase(image_screening(), {}), "xx")


def test_report_never_claims_certainty() -> None:
    certain = image_screening(modalities={"image": result(Verdict.SPOOF_SUPPORTED, 4.0, "strong support")})
    assert "Authenticity score &lt;0.01 under" in court_html(CourtCase(certain, {}), "en")


def test_evidence_picture_is_shown_only_if_it_is_the_one_that_the_record_names(tmp_path: Path) -> None:
    packed = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 90, 0)).save(packed, "PNG")
    entry = heatmap().model_copy(update={"sha256": hashlib.sha256(packed.getvalue()).hexdigest()})
    image = result(Verdict.SPOOF_SUPPORTED, 2.5, "moderately strong support", evidence=(entry,))
    screening = image_screening(modalities={"image": image})
    assert pictures_of(screening, tmp_path) == {}
    (tmp_path / entry.name).write_bytes(packed.getvalue())
    page = court_html(CourtCase(screening, pictures_of(screening, tmp_path)), "en")
    assert 'src="data:image/png;base64,' in page
    (tmp_path / entry.name).write_bytes(packed.getvalue() + b"x")
    with pytest.raises(ConfigError, match="not the picture that the record names"):
        pictures_of(screening, tmp_path)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://127.0.0.1:9/x.png", "ftp://127.0.0.1/x"])
@pytest.mark.filterwarnings("ignore:HarfBuzz-Subset:DeprecationWarning")
def test_renderer_fetches_nothing(url: str) -> None:
    from deepscreen.report.pdf_child import OnlyInline  # warns on old Pango while it is imported

    with pytest.raises(ValueError, match="was not fetched"):
        OnlyInline(allowed_protocols=("data",)).fetch(url)


def test_signature_covers_the_whole_report(english: bytes, tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_bytes(b"secret\n")
    certificate = Authority().key_file(tmp_path / "key.p12", b"secret")
    signed = sign_pdf(english, certificate, passphrase)
    assert is_signed_whole(signed)
    assert not is_signed_whole(english)
    changed = bytearray(signed)
    changed[2_000] ^= 1
    assert not is_signed_whole(bytes(changed))


def test_wrong_passphrase_is_a_setting_that_is_wrong(english: bytes, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="passphrase"):
        sign_pdf(english, Authority().key_file(tmp_path / "key.p12", b"secret"), None)


def test_command_renders_a_record_and_an_envelope(tmp_path: Path) -> None:
    bare = tmp_path / "record.json"
    bare.write_bytes(image_screening().canonical_json())
    page = tmp_path / "out.html"
    assert CliRunner().invoke(app, ["report", str(bare), "--html", str(page)]).exit_code == 0
    assert "Hypothesis A" in page.read_text(encoding="utf-8")
    envelope = tmp_path / "line.jsonl"
    envelope.write_text(json.dumps({"path": "a b.jpg", "screening": image_screening().model_dump(mode="json")}))
    done = CliRunner().invoke(app, ["report", str(envelope), "--html", str(page), "--language", "de"])
    assert done.exit_code == 0
    assert "a b.jpg" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema_version": 1}'])
def test_command_refuses_what_is_no_record(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    assert CliRunner().invoke(app, ["report", str(path), "--html", str(tmp_path / "x.html")]).exit_code == 2
