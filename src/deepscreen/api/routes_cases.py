"""Cases and their members."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from deepscreen.api.context import Anyone, ServiceDep, Writer
from deepscreen.api.documented import documented
from deepscreen.api.wire import CaseChange, CaseInfo, CaseList, NewCase
from deepscreen.store.cases import Case

MOST_CASES = 500
router = APIRouter(prefix="/v1/cases", tags=["cases"])
NOT_FOUND = documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)


@router.post("", status_code=HTTPStatus.CREATED, summary="Open a case", responses=documented())
def create_case(service: ServiceDep, caller: Writer, new: Annotated[NewCase, Body()]) -> CaseInfo:
    """The caller is its first member."""
    return _info(service.cases.create(caller, name=new.name, notes=new.notes))


@router.get("", summary="The cases that the caller may see", responses=documented())
def list_cases(
    service: ServiceDep, caller: Anyone, limit: Annotated[int, Query(ge=1, le=MOST_CASES)] = 100
) -> CaseList:
    """Gives the newest first: an examiner those of which it is a member, other roles all."""
    return CaseList(cases=tuple(_info(case) for case in service.cases.seen_by(caller, limit=limit)))


@router.get("/{case_id}", summary="A case", responses=NOT_FOUND)
def read_case(case_id: str, service: ServiceDep, caller: Anyone) -> CaseInfo:
    """Gives name, notes and members; its items are listed by `GET /v1/screenings?case_id=`."""
    return _info(service.cases.get(case_id, caller))


@router.patch("/{case_id}", summary="Change, close or open a case", responses=NOT_FOUND)
def change_case(case_id: str, service: ServiceDep, caller: Writer, change: Annotated[CaseChange, Body()]) -> CaseInfo:
    """Changes what is given. A closed case takes no new items."""
    changed = service.cases.change(
        case_id, caller, name=change.name, notes=change.notes, closed=change.closed
    )  # fmt: skip
    return _info(changed)


@router.put("/{case_id}/members/{key_id}", summary="Add a member", responses=NOT_FOUND)
def add_member(case_id: str, key_id: str, service: ServiceDep, caller: Writer) -> CaseInfo:
    """Lets the key of this id work on the case."""
    return _info(service.cases.add_member(case_id, caller, key_id))


@router.delete(
    "/{case_id}/members/{key_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    summary="Remove a member",
    responses=NOT_FOUND,
)
def remove_member(case_id: str, key_id: str, service: ServiceDep, caller: Writer) -> None:
    """From then on the case does not exist for that key."""
    service.cases.remove_member(case_id, caller, key_id)


def _info(case: Case) -> CaseInfo:
    closed_at = None if case.closed_at is None else datetime.fromtimestamp(case.closed_at, UTC)
    return CaseInfo(
        id=case.id,
        name=case.name,
        notes=case.notes,
        created_at=datetime.fromtimestamp(case.created_at, UTC),
        created_by=case.created_by,
        closed_at=closed_at,
        members=case.members,
    )
