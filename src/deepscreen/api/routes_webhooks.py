"""Webhooks: which addresses are told that a screening has ended."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Response

from deepscreen.api.context import Owner, ServiceDep
from deepscreen.api.documented import documented
from deepscreen.api.http_errors import NoSuchResult, WrongParameter
from deepscreen.api.webhook_sender import NotAllowed
from deepscreen.api.wire import NewWebhook, WebhookInfo, WebhookList, WebhookSecret
from deepscreen.store.webhooks import Webhook

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Have an address told of ends",
    responses=documented(HTTPStatus.UNPROCESSABLE_ENTITY),
)
def create_webhook(service: ServiceDep, caller: Owner, new: Annotated[NewWebhook, Body()]) -> WebhookSecret:
    """Screenings asked for from now on are told of. Messages are signed as standardwebhooks.com says, with `secret`."""
    try:
        service.webhook_sender.check(new.url)
    except NotAllowed as error:
        raise WrongParameter(f"url: {error}") from error
    webhook, secret = service.webhooks.create(caller, new.url)
    return WebhookSecret(**dict(_info(webhook)), secret=secret)


@router.get("", summary="The webhooks", responses=documented())
def list_webhooks(service: ServiceDep, _: Owner) -> WebhookList:
    """Gives them without their secrets, each with what last went wrong."""
    return WebhookList(webhooks=tuple(map(_info, service.webhooks.all())))


@router.delete(
    "/{webhook_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    summary="Tell an address nothing any more",
    responses=documented(HTTPStatus.NOT_FOUND),
)
def delete_webhook(webhook_id: str, service: ServiceDep, caller: Owner) -> None:
    """Messages that wait are not sent."""
    if not service.webhooks.delete(caller, webhook_id):
        raise NoSuchResult("there is no webhook with this id")


def _info(webhook: Webhook) -> WebhookInfo:
    return WebhookInfo(
        id=webhook.id,
        url=webhook.url,
        created_at=datetime.fromtimestamp(webhook.created_at, UTC),
        waiting=webhook.waiting,
        last_error=webhook.last_error,
    )
