"""How the service stands: health, method and detectors, storage and retention; and the keys, for admins."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from deepscreen.api.auth import OWNERS
from deepscreen.api.context import Anyone, Owner, ServiceDep
from deepscreen.api.http_errors import NotReady
from deepscreen.api.wire import outgoing_statement
from deepscreen.engine.about import MethodInfo
from deepscreen.errors import DeepscreenError
from deepscreen.store.keys import Role, list_keys
from deepscreen.store.methods import method_loads
from deepscreen.web.detector_figures import DetectorFigures, detector_figures
from deepscreen.web.page import render

router = APIRouter(include_in_schema=False)


@router.get("/service")
def service_page(request: Request, service: ServiceDep, caller: Anyone) -> Response:
    """By what and how the service screens, and what it has at hand."""
    problem, method = "", None
    figures: tuple[DetectorFigures, ...] = ()
    try:
        method = service.method()
        figures = detector_figures(method)
    except NotReady as error:
        problem = str(error)
    except DeepscreenError as error:
        problem = f"{type(error).__name__}: {error}"
    return render(request, caller, "service.html", **_standing(service, method), problem=problem, figures=figures,
                  may_keys=caller.role in OWNERS)  # fmt: skip


@router.get("/service/keys")
def keys_page(request: Request, service: ServiceDep, caller: Owner) -> Response:
    """Keys with their roles; the script makes and revokes them through the API."""
    keys = list_keys(service.store.database)
    return render(request, caller, "keys.html", keys=list(reversed(keys)), roles=[role.value for role in Role])


def _standing(service: ServiceDep, method: MethodInfo | None) -> dict[str, Any]:
    queued, running = service.queue.depth()
    loads = method_loads(service.store.database)
    return {
        "method": method,
        "queued": queued,
        "running": running,
        "without_worker": sum(load.queued for load in loads if not load.live_workers),
        "workers": sum(load.live_workers for load in loads),
        "free_bytes": service.store.blobs.free_bytes(),
        "settings": service.settings,
        "outgoing": outgoing_statement(service.settings),
    }
