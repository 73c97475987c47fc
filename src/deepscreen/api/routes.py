"""The routes: screenings, their records and evidence, and what the service says of itself."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from deepscreen.api.auth import ALL_ROLES, WRITERS, Caller, Guard
from deepscreen.api.examples import example_envelope, example_problem
from deepscreen.api.http_errors import PROBLEM_MEDIA_TYPE
from deepscreen.api.results import StoredScreening
from deepscreen.api.service import Service
from deepscreen.api.uploads import FIELD_NAME
from deepscreen.api.wire import (
    DetectorInfo,
    EvidenceLink,
    Health,
    PlacesInfo,
    ScreeningEnvelope,
    ServiceInfo,
    WeightInfo,
)
from deepscreen.record import SCHEMA_VERSION
from deepscreen.screening import ScreeningDesk

# The same address always gives the same bytes, so a client may keep them, but not share them.
IMMUTABLE = "private, max-age=31536000, immutable"
PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}


async def _service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service_of)]
Anyone = Annotated[Caller, Depends(Guard(ALL_ROLES))]
Writer = Annotated[Caller, Depends(Guard(WRITERS))]


def _documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for problem bodies: *statuses*, those that any request may get, and the shape of any other."""
    always = (
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.MISDIRECTED_REQUEST,
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )
    entries: dict[int | str, dict[str, Any]] = {int(s): _documented_problem(s) for s in (*statuses, *always)}
    entries["default"] = {
        "description": "Any other error.",
        "content": {PROBLEM_MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}},
    }
    return entries


def _documented_problem(status: HTTPStatus) -> dict[str, Any]:
    example = example_problem(status)
    content = {"schema": PROBLEM_SCHEMA, "example": example.model_dump()}
    entry: dict[str, Any] = {"description": example.title, "content": {PROBLEM_MEDIA_TYPE: content}}
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        entry["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return entry


def _documented_envelope(description: str) -> dict[str, Any]:
    example = example_envelope().model_dump(mode="json")
    return {"description": description, "content": {"application/json": {"example": example}}}


UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD_NAME],
                    "additionalProperties": False,
                    "properties": {
                        FIELD_NAME: {
                            "type": "string",
                            "contentMediaType": "application/octet-stream",
                            "description": "The image, video or sound file; its type is told by its content.",
                        }
                    },
                }
            }
        },
    }
}
LOCATION_HEADER = {"Location": {"description": "Path of the new screening.", "schema": {"type": "string"}}}
PNG_CONTENT = {"image/png": {"schema": {"type": "string", "contentMediaType": "image/png"}}}
NOT_MODIFIED = {"description": "The client's copy (If-None-Match) is the current one."}

router = APIRouter()


@router.post(
    "/v1/screenings",
    status_code=HTTPStatus.CREATED,
    tags=["screenings"],
    summary="Screen one file",
    openapi_extra=UPLOAD_BODY,
    responses={
        201: {**_documented_envelope("The file was screened."), "headers": LOCATION_HEADER},
        **_documented(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.SERVICE_UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    },
)
async def create_screening(request: Request, response: Response, service: ServiceDep, _: Writer) -> ScreeningEnvelope:
    """Takes one image, video or sound file in the form field `file`, screens it, and answers with the result.

    The original is removed when its screening has ended; the record and its evidence are kept.
    """
    stored = await asyncio.to_thread(service.results.get, await service.screen_upload(request))
    response.headers["Location"] = _path_of(stored)
    return _envelope(stored)


@router.get(
    "/v1/screenings/{screening_id}",
    tags=["screenings"],
    summary="A result, in its envelope",
    responses={200: _documented_envelope("The result."), **_documented(HTTPStatus.NOT_FOUND)},
)
def read_screening(screening_id: str, service: ServiceDep, _: Anyone) -> ScreeningEnvelope:
    """Gives the same body as the request that made the result."""
    return _envelope(service.results.get(screening_id))


@router.get(
    "/v1/screenings/{screening_id}/record",
    tags=["screenings"],
    summary="The record alone, as canonical JSON",
    response_class=Response,
    responses={
        200: {
            "description": "RFC 8785 canonical JSON: the bytes that are hashed and compared.",
            "content": {"application/json": {"example": example_envelope().screening.model_dump(mode="json")}},
        },
        304: NOT_MODIFIED,
        **_documented(HTTPStatus.NOT_FOUND),
    },
)
def read_record(screening_id: str, request: Request, service: ServiceDep, _: Anyone) -> Response:
    """Gives the bytes that the library and the command line give for the same file under the same method."""
    stored = service.results.get(screening_id)
    return _immutable(request, stored.record_json, "application/json", stored.circumstances.record_sha256)


@router.get(
    "/v1/screenings/{screening_id}/evidence/{name}",
    tags=["screenings"],
    summary="A picture that the record names",
    response_class=Response,
    responses={
        200: {"description": "The picture; its sha256 is in the record.", "content": PNG_CONTENT},
        304: NOT_MODIFIED,
        **_documented(HTTPStatus.NOT_FOUND),
    },
)
def read_evidence(screening_id: str, name: str, request: Request, service: ServiceDep, _: Anyone) -> Response:
    """Gives a heatmap, timeline or spectrogram, checked against the record before it is sent."""
    evidence, content = service.results.evidence(screening_id, name)
    return _immutable(request, content, "image/png", evidence.sha256)


@router.get(
    "/info",
    tags=["service"],
    summary="By what, how and under which limits this service screens",
    responses=_documented(HTTPStatus.SERVICE_UNAVAILABLE),
)
async def read_info(service: ServiceDep, _: Anyone) -> ServiceInfo:
    """States software, method, weights, detectors, limits, policy and load."""
    return _info(service, service.desk())


@router.get("/openapi.json", include_in_schema=False)
async def read_openapi(request: Request, _: Anyone) -> JSONResponse:
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi())


@router.get("/livez", tags=["service"], summary="Whether the process answers", responses=_documented())
async def read_liveness() -> Health:
    """Answers at once, also while detectors load and while all places are taken."""
    return Health(status="alive")


@router.get(
    "/readyz",
    tags=["service"],
    summary="Whether screenings are taken",
    responses=_documented(HTTPStatus.SERVICE_UNAVAILABLE),
)
async def read_readiness(service: ServiceDep) -> Health:
    """Answers 503 until the detectors are loaded."""
    service.desk()
    return Health(status="ready")


def _path_of(stored: StoredScreening) -> str:
    return f"/v1/screenings/{stored.id}"


def _envelope(stored: StoredScreening) -> ScreeningEnvelope:
    path = _path_of(stored)
    return ScreeningEnvelope(
        id=stored.id,
        filename=stored.circumstances.filename,
        created_at=stored.circumstances.created_at,
        screening=stored.screening,
        record_href=f"{path}/record",
        evidence=tuple(
            EvidenceLink(name=e.name, href=f"{path}/evidence/{e.name}", sha256=e.sha256) for e in stored.evidence()
        ),
        stage_milliseconds=stored.circumstances.stage_milliseconds,
    )


def _immutable(request: Request, content: bytes, media_type: str, sha256: str) -> Response:
    headers = {"ETag": f'"{sha256}"', "Cache-Control": IMMUTABLE}
    if sha256 in request.headers.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def _info(service: Service, desk: ScreeningDesk) -> ServiceInfo:
    provenance = desk.provenance
    places = service.admission.places
    return ServiceInfo(
        software=provenance.software,
        schema_version=SCHEMA_VERSION,
        method_digest=provenance.method_digest,
        settings_digest=provenance.settings_digest,
        device_class=provenance.device_class,
        precision=provenance.precision,
        weights=tuple(WeightInfo(name=n, sha256=s) for n, s in sorted(provenance.weights_sha256.items())),
        detectors=tuple(
            DetectorInfo(name=c.name, modality=c.modality, version=c.version, weights=c.weights, summary=c.summary)
            for c in desk.cards
        ),
        limits=service.settings.limits,
        policy=service.settings.policy,
        places=PlacesInfo(
            running=places.running,
            waiting=places.waiting,
            max_concurrent=places.max_concurrent,
            max_waiting=places.max_waiting,
        ),
    )
