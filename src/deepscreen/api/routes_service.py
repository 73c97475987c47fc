"""What the service says of itself: health, method, limits, its OpenAPI document, its audit log."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from deepscreen.api.context import Anyone, Auditor, ServiceDep
from deepscreen.api.documented import documented
from deepscreen.api.metrics import Load, page
from deepscreen.api.wire import AuditPage, Health, PlacesInfo, ServiceInfo, outgoing_statement
from deepscreen.store import audit
from deepscreen.store.methods import method_loads

MOST_ENTRIES = 1000
METRICS_TYPE = "text/plain; version=1.0.0; charset=utf-8"
METRICS = {"text/plain": {"schema": {"type": "string"}, "example": 'deepscreen_computations{state="queued"} 0.0'}}
router = APIRouter(tags=["service"])


@router.get(
    "/info",
    summary="By what, how and under which limits this service screens",
    responses=documented(HTTPStatus.SERVICE_UNAVAILABLE),
)
def read_info(service: ServiceDep, _: Anyone) -> ServiceInfo:
    """States software, method, weights, detectors, limits, policy and load."""
    method = service.method()
    queued, running = service.queue.depth()
    settings = service.settings
    places = PlacesInfo(
        running=running,
        queued=queued,
        without_worker=sum(load.queued for load in method_loads(service.store.database) if not load.live_workers),
        waiting=service.admission.taken,
        max_concurrent=settings.max_concurrent,
        max_waiting=settings.max_waiting,
    )
    return ServiceInfo(
        **{**dict(method), "limits": settings.limits, "policy": settings.policy},
        places=places,
        timestamps_pending=service.pending_stamps(),
        outgoing_connections=outgoing_statement(settings),
    )


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"description": "Prometheus' text format.", "content": METRICS}, **documented()},
)
def read_metrics(service: ServiceDep, _: Anyone) -> Response:
    """Gives the queue, and of each living worker times of stages, ends, readings and drift for each detector, and the
    memory of its device; what another process measured is some seconds old."""
    queued, running = service.queue.depth()
    loads = method_loads(service.store.database)
    load = Load(queued, running, loads, service.admission.taken, service.pending_stamps() or 0)
    return Response(page(load, service.figures_of_workers()), media_type=METRICS_TYPE)


@router.get("/v1/audit", summary="The audit log", responses=documented())
def read_audit(
    service: ServiceDep,
    _: Auditor,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="Entries with a greater number.")] = 0,
    subject: Annotated[str | None, Query(max_length=100, description="Entries about this id.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = 100,
) -> AuditPage:
    """Gives entries in order. `deepscreen verify` proves that none was changed or removed."""
    with service.store.database.read() as connection:
        found = audit.entries(connection, after=after, limit=limit, subject=subject)
    return AuditPage(entries=tuple(found))


@router.get("/openapi.json", include_in_schema=False)
async def read_openapi(request: Request, _: Anyone) -> JSONResponse:
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi())


@router.get(
    "/livez",
    summary="Whether the process answers",
    responses=documented(asks_for_a_key=False),
    openapi_extra={"security": []},
)
async def read_liveness() -> Health:
    """Answers at once, also while detectors load and while all places are taken."""
    return Health(status="alive")


@router.get(
    "/readyz",
    summary="Whether screenings are taken",
    responses=documented(HTTPStatus.SERVICE_UNAVAILABLE, asks_for_a_key=False),
    openapi_extra={"security": []},
)
async def read_readiness(service: ServiceDep) -> Health:
    """Answers 503 until the detectors are loaded."""
    await asyncio.to_thread(service.method)
    return Health(status="ready")
