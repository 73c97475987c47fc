"""How the service stands: health, method and detectors, storage and retention; and the keys, for admins."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from deepscreen.api.auth import OWNERS
from deepscreen.api.context import Anyone, Owner, ServiceDep
from deepscreen.api.http_errors import NoSuchResult, NotReady
from deepscreen.api.wire import outgoing_statement
from deepscreen.engine.about import MethodInfo
from deepscreen.errors import DeepscreenError
from deepscreen.store.keys import Role, list_keys
from deepscreen.store.methods import method_loads
from deepscreen.web.detector_cards import card_of, fusion_names
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
    return render(
        request, caller, "service.html", **_standing(service, method), problem=problem, figures=figures,
        fusions=fusion_names(), may_keys=caller.role in OWNERS,
    )  # fmt: skip


@router.get("/service/storage")
def storage_part(request: Request, service: ServiceDep, caller: Anyone) -> Response:
    """Space in use, which the page of the service puts in when it is counted."""
    return render(request, caller, "storage.html", usage=service.usage.usage())


@router.get("/service/detectors/{name}")
def detector_page(
    request: Request, service: ServiceDep, caller: Anyone, name: Annotated[str, Path(max_length=100)]
) -> Response:
    """The full card of a detector at work, or of a fusion."""
    card = card_of(name, service.method())
    if card is None:
        raise NoSuchResult("the method at work has no detector of this name")
    return render(request, caller, "detector.html", card=card)


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
        "settings": service.settings,
        "outgoing": outgoing_statement(service.settings),
    }
