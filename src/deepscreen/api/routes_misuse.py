"""The misuse register: entries are made by examiners, amended by reviewers, read by all."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Query

from deepscreen.api.context import Anyone, Reviewer, ServiceDep, Writer
from deepscreen.api.documented import documented
from deepscreen.api.envelopes import record_of
from deepscreen.api.http_errors import NoSuchResult
from deepscreen.api.paging import position_of, token_of
from deepscreen.api.service import Service
from deepscreen.api.wire import Text
from deepscreen.api.wire_misuse import (
    MisuseChange,
    MisuseDetail,
    MisuseInfo,
    MisusePage,
    NewMisuse,
    misuse_fields,
    misuse_info,
)
from deepscreen.register.book import Filters
from deepscreen.register.entry import Misuse, Statement, Status, Tlp, ToolKind
from deepscreen.register.rows import Kept
from deepscreen.register.subject import Subject, subject_of
from deepscreen.store.keys import Caller
from deepscreen.store.screenings import NotThere

MOST_PER_PAGE = 200
NOT_FOUND = documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
Part = Annotated[Text | None, Query(max_length=200)]
router = APIRouter(prefix="/v1/misuse", tags=["misuse register"])


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Enter a suspected misuse",
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def add_misuse(service: ServiceDep, caller: Writer, new: Annotated[NewMisuse, Body()]) -> MisuseInfo:
    """About the file of a screening that is done. It gets the fingerprint of that file, not the file."""
    subject = subject_of_screening(service, new.screening_id, caller)
    stated = Statement(**{name: getattr(new, name) for name in Statement.model_fields})
    return misuse_info(service.register.add(caller, stated, subject, screening_id=new.screening_id))


@router.get(
    "",
    summary="Entries of the register",
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def list_misuse(
    service: ServiceDep,
    caller: Anyone,
    tool: Annotated[Part, Query(description="A part of the tool's name.")] = None,
    tool_kind: ToolKind | None = None,
    misuse: Misuse | None = None,
    status: Status | None = None,
    tlp: Tlp | None = None,
    case_reference: Part = None,
    campaign: Annotated[Part, Query(description="Entries whose files are copies of one another.")] = None,
    media_sha256: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")] = None,
    text: Annotated[Part, Query(description="A part of tool, modus operandi or case reference.")] = None,
    like: Annotated[
        str | None,
        Query(pattern="^[0-9a-f]{32}$", description="Id of a screening: entries whose files are copies of its file."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_PER_PAGE)] = 50,
    before: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> MisusePage:
    """Gives the current revisions, the newest entry first. An examiner does not see others' that are marked red."""
    ids = None if like is None else service.register.like(subject_of_screening(service, like, caller))
    filters = Filters(tool, tool_kind, misuse, status, tlp, case_reference, campaign, media_sha256, text, ids)
    found = service.register.page(caller, filters, limit=limit, before=position_of(before))
    following = token_of(found[-1]) if len(found) == limit else None
    return MisusePage(entries=tuple(misuse_info(kept) for kept in found), next=following)


@router.get("/{entry_id}", summary="An entry", responses=NOT_FOUND)
def read_misuse(entry_id: str, service: ServiceDep, caller: Anyone) -> MisuseDetail:
    """Gives the current revision and all before it, but for those marked red that an examiner may not see."""
    current, *earlier = history_of(service, entry_id, caller)
    told = tuple(misuse_info(kept) for kept in earlier)
    return MisuseDetail.model_validate({**misuse_fields(current), "earlier": told})


@router.patch(
    "/{entry_id}",
    summary="Amend an entry",
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def amend_misuse(
    entry_id: str, service: ServiceDep, caller: Reviewer, change: Annotated[MisuseChange, Body()]
) -> MisuseInfo:
    """Puts another revision above the current one, which stays readable. Nothing is ever deleted from the register.
    422 where the TLP mark of an entry that others gave would be lowered."""
    current = history_of(service, entry_id, caller)[0]
    amended = service.register.amend(
        entry_id, caller, change.over(current.entry), revision=change.revision, reason=change.reason
    )
    return misuse_info(amended)


def subject_of_screening(service: Service, screening_id: str, caller: Caller) -> Subject:
    """What is compared of its file; raises NoSuchResult."""
    _, screening = record_of(service.get_done(screening_id, caller), service.store.blobs)
    return subject_of(service.store, screening.media)


def history_of(service: Service, entry_id: str, caller: Caller) -> list[Kept]:
    """All revisions; raises NoSuchResult where the caller may see none."""
    try:
        return service.register.history(entry_id, caller)
    except NotThere:
        raise NoSuchResult("there is no such entry in this register") from None
