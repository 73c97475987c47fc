"""What the routes ask for: the service, and a caller of the right role."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from deepscreen.api.auth import ALL_ROLES, AUDITORS, OWNERS, REVIEWERS, WRITERS, Guard
from deepscreen.api.service import Service
from deepscreen.store.keys import Caller


async def _service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service_of)]
Anyone = Annotated[Caller, Depends(Guard(ALL_ROLES))]
Writer = Annotated[Caller, Depends(Guard(WRITERS))]
Reviewer = Annotated[Caller, Depends(Guard(REVIEWERS))]
Auditor = Annotated[Caller, Depends(Guard(AUDITORS))]
Owner = Annotated[Caller, Depends(Guard(OWNERS))]
