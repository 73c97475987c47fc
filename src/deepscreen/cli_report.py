"""``deepscreen report`` and ``export``: records for people. Thin: the work is done in ``report`` and ``bundle``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepscreen.cli_errors import errors_to_exit_codes
from deepscreen.cli_store import DataDir, opened_store

if TYPE_CHECKING:
    from deepscreen.record import Screening

EvidenceDir = Annotated[
    Path | None, typer.Option(help="Folder of the evidence pictures.", show_default="that of the record")
]
ReportLanguage = Annotated[str, typer.Option("--language", help="Language of the report: en, de.")]


def report(
    record: Annotated[Path, typer.Argument(help="record.json, or a line of records.jsonl; for CASE/UCO all of it.")],
    pdf: Annotated[Path | None, typer.Option(help="Where the PDF goes.")] = None,
    html: Annotated[Path | None, typer.Option(help="Where the HTML page goes.")] = None,
    case_uco: Annotated[
        Path | None, typer.Option("--case-uco", help="Where all records go as CASE/UCO, for other tools (JSON-LD).")
    ] = None,
    evidence: EvidenceDir = None,
    language: ReportLanguage = "en",
) -> None:
    """Render a report on one file for a court: one page that says it all, then the particulars.

    The PDF is signed (PAdES) when the setting `report_certificate` names a certificate.
    """
    from deepscreen.errors import ConfigError
    from deepscreen.report.as_case_uco import case_uco_of_records
    from deepscreen.report.as_pdf import render_pdf
    from deepscreen.report.court import CourtCase, court_html, pictures_of
    from deepscreen.report.validation_figures import error_rates
    from deepscreen.settings import load_settings

    with errors_to_exit_codes():
        if pdf is None and html is None and case_uco is None:
            raise ConfigError("nothing to write: give --pdf, --html or --case-uco")
        settings = load_settings()
        records = read_envelopes(record)
        if case_uco is not None:
            case_uco.write_bytes(case_uco_of_records(records))
        if pdf is None and html is None:
            return
        if len(records) != 1:
            raise ConfigError(f"{record}: holds {len(records)} records; a report is on one of them")
        screening, name = records[0]
        pictures = pictures_of(screening, evidence or record.parent)
        page = court_html(CourtCase(screening, pictures, error_rates(screening), name), language)
        if html is not None:
            html.write_text(page, encoding="utf-8")
        if pdf is not None:
            pdf.write_bytes(_signed(render_pdf(page), settings))


def export(
    case: Annotated[str, typer.Argument(help="Id of the case.")],
    bundle: Annotated[Path | None, typer.Option(help="Where the bundle goes, a ZIP file.")] = None,
    case_uco: Annotated[
        Path | None,
        typer.Option("--case-uco", help="Where the case goes as CASE/UCO, for other tools (JSON-LD)."),
    ] = None,
    data_dir: DataDir = None,
    language: ReportLanguage = "en",
    pdf: Annotated[bool, typer.Option("--pdf/--no-pdf", help="With a PDF of each report beside the HTML.")] = True,
) -> None:
    """Export a case: records, evidence pictures, reports and audit log, signed, with a verifier that stands alone."""
    with errors_to_exit_codes(), opened_store(data_dir) as store:
        from deepscreen.bundle.case_uco import write_case_uco
        from deepscreen.bundle.export import export_case
        from deepscreen.errors import ConfigError

        if bundle is None and case_uco is None:
            raise ConfigError("nothing to write: give --bundle, --case-uco or both")
        if case_uco is not None:
            items = write_case_uco(store, case, case_uco)
            typer.echo(f"{items} results as CASE/UCO.")
        if bundle is None:
            return
        exported = export_case(store, case, bundle, language=language, with_pdf=pdf)
    typer.echo(f"{exported.items} results, {exported.left_out} screenings without one left out.")
    typer.echo(f"Signed with key {exported.public_key}")
    typer.echo("Give this key to the receiver by another way: `python verify.py BUNDLE --public-key KEY` compares it.")


def read_envelopes(path: Path) -> list[tuple[Screening, str]]:
    """The records in a file, bare or in envelopes, one or one a line, each with the file name that its envelope gives.

    Lines of a scan about files that could not be screened are passed over. Raises ConfigError.
    """
    from deepscreen.errors import ConfigError

    try:
        content = path.read_bytes()
        try:
            found = [json.loads(content)]
        except ValueError:  # more than one line
            lines = (json.loads(line) for line in content.splitlines() if line.strip())
            found = [line for line in lines if not isinstance(line, dict) or "screening" in line]
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a screening record ({type(error).__name__})") from error
    if not found:
        raise ConfigError(f"{path}: not a screening record: none is in it")
    return [_envelope(path, each) for each in found]


def _envelope(path: Path, content: Any) -> tuple[Screening, str]:
    from pydantic import ValidationError

    from deepscreen.errors import ConfigError
    from deepscreen.record import Screening

    try:
        inner = content.get("screening", content)
        return Screening.model_validate_json(json.dumps(inner)), str(content.get("path", ""))
    except (AttributeError, ValidationError) as error:
        raise ConfigError(f"{path}: not a screening record ({type(error).__name__})") from error


def _signed(pdf: bytes, settings: Any) -> bytes:
    if settings.report_certificate is None:
        return pdf
    from deepscreen.report.pades import sign_pdf

    return sign_pdf(pdf, settings.report_certificate, settings.report_passphrase_file)
