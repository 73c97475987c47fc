"""Reports on one screening and bundles of a case, rendered when they are asked for."""

from __future__ import annotations

import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response

from deepscreen.api.context import Anyone, Auditor, ServiceDep
from deepscreen.api.documented import documented
from deepscreen.api.envelopes import evidence_of, record_of
from deepscreen.api.http_errors import NoSuchResult
from deepscreen.api.routes_files import BINARY
from deepscreen.api.service import Service
from deepscreen.api.wire import ReportFormat, ReportLanguage
from deepscreen.bundle.export import export_case
from deepscreen.report.as_pdf import render_pdf
from deepscreen.report.court import MAX_PICTURE_BYTES, CourtCase, court_html
from deepscreen.report.pades import sign_pdf
from deepscreen.report.validation_figures import error_rates
from deepscreen.store import acts
from deepscreen.store.screenings import Item, NotThere

PDF_TYPE, ZIP_TYPE, ANY_TYPE = "application/pdf", "application/zip", "application/octet-stream"
ERRORS = documented(HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR)
router = APIRouter(tags=["reports"])


@router.get(
    "/v1/screenings/{screening_id}/report",
    summary="A report on one file, for a court",
    response_class=Response,
    responses={
        200: {"description": "PDF, signed where a certificate is set; or HTML.", "content": {PDF_TYPE: BINARY}},
        **ERRORS,
    },
)
def read_report(
    screening_id: str,
    service: ServiceDep,
    caller: Anyone,
    language: Annotated[ReportLanguage, Query()] = "en",
    file_format: Annotated[ReportFormat, Query(alias="format")] = "pdf",
) -> Response:
    """Renders the record: one page that says it all, then the particulars. It takes a few seconds."""
    item = service.get_done(screening_id, caller)
    with service.admission.place():
        page = court_html(_court_case(service, item), language)
        content = page.encode() if file_format == "html" else _pdf(service, page)
    service.log(caller, acts.REPORT_DOWNLOADED, item, language=language, format=file_format)
    # An HTML report is saved, not shown: its style stands within it, which pages of this service may not have.
    media_type = PDF_TYPE if file_format == "pdf" else ANY_TYPE
    return _saved(content, media_type, f"report-{item.media_sha256[:12]}.{file_format}")


@router.get(
    "/v1/cases/{case_id}/bundle",
    summary="A case as a bundle that proves itself",
    response_class=Response,
    responses={200: {"description": "A ZIP file.", "content": {ZIP_TYPE: BINARY}}, **ERRORS},
)
def read_bundle(
    case_id: str,
    service: ServiceDep,
    caller: Auditor,
    language: Annotated[ReportLanguage, Query()] = "en",
    pdf: Annotated[bool, Query(description="With a PDF of each report beside the HTML.")] = False,
) -> Response:
    """Gives records, evidence, reports and the whole audit log, signed, with a verifier that stands alone. For
    auditors and admins: the audit log is that of all cases."""
    try:
        case = service.cases.get(case_id, caller)
    except NotThere:
        raise NoSuchResult("there is no such case on this service") from None
    with service.admission.place(), tempfile.TemporaryDirectory(dir=service.scratch) as folder:
        target = Path(folder) / "bundle.zip"
        export_case(service.store, case.id, target, language=language, with_pdf=pdf, actor=caller.id)
        content = target.read_bytes()
    return _saved(content, ZIP_TYPE, f"case-{case.id[:12]}.zip")


def _court_case(service: Service, item: Item) -> CourtCase:
    _, screening = record_of(item, service.store.blobs)
    pictures = {entry.name: service.store.blobs.read(entry.sha256) for entry in evidence_of(screening)}
    small = {name: png for name, png in pictures.items() if len(png) <= MAX_PICTURE_BYTES}
    return CourtCase(screening, small, error_rates(screening), item.filename or "")


def _pdf(service: Service, page: str) -> bytes:
    settings, pdf = service.settings, render_pdf(page)
    if settings.report_certificate is None:
        return pdf
    return sign_pdf(pdf, settings.report_certificate, settings.report_passphrase_file)


def _saved(content: bytes, media_type: str, filename: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return Response(content, media_type=media_type, headers=headers)
