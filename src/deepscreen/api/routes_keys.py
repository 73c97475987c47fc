"""API keys, for admins: listed, made, revoked. What ``deepscreen keys`` does on the machine itself."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Response

from deepscreen.api.context import Owner, ServiceDep
from deepscreen.api.documented import documented
from deepscreen.api.http_errors import NoSuchResult
from deepscreen.api.wire import KeyInfo, KeyList, KeyToken, NewKey
from deepscreen.errors import ConfigError
from deepscreen.store.keys import ApiKey, create_key, list_keys, revoke_key

DAY_SECONDS = 86_400.0
router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.get("", summary="All keys there ever were", responses=documented())
def read_keys(service: ServiceDep, _: Owner) -> KeyList:
    """Gives the oldest first; never a secret."""
    return KeyList(keys=tuple(_info(key, state) for key, state in list_keys(service.store.database)))


@router.post(
    "", status_code=HTTPStatus.CREATED, summary="Make a key", responses=documented(HTTPStatus.UNPROCESSABLE_ENTITY)
)
def make_key(service: ServiceDep, caller: Owner, new: Annotated[NewKey, Body()]) -> KeyToken:
    """Gives its token, once. The first key closes the service to everybody who has none."""
    lifetime_seconds = None if new.days is None else new.days * DAY_SECONDS
    database = service.store.database
    key, token = create_key(
        database, name=new.name, role=new.role, lifetime_seconds=lifetime_seconds, actor=caller.id
    )  # fmt: skip
    return KeyToken(**dict(_info(key, "valid")), token=token)


@router.delete(
    "/{key_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    summary="Revoke a key",
    responses=documented(HTTPStatus.NOT_FOUND),
)
def end_key(key_id: str, service: ServiceDep, caller: Owner) -> None:
    """It opens nothing from now on, and its sessions end."""
    try:
        revoke_key(service.store.database, key_id, actor=caller.id)
    except ConfigError:
        raise NoSuchResult("there is no key with this id that could be revoked") from None


def _info(key: ApiKey, state: str) -> KeyInfo:
    return KeyInfo.model_validate(
        {
            "id": key.id,
            "name": key.name,
            "role": key.role,
            "state": state,
            "created_at": datetime.fromtimestamp(key.created_at, UTC),
            "expires_at": None if key.expires_at is None else datetime.fromtimestamp(key.expires_at, UTC),
        }
    )
