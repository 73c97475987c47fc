"""Webhooks: who is told that a screening has ended. What is to be told is written with the screening, told later."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from deepscreen.errors import StoreError
from deepscreen.store import audit
from deepscreen.store.acts import WEBHOOK_CREATED, WEBHOOK_DELETED
from deepscreen.store.computations import State
from deepscreen.store.database import Database
from deepscreen.store.keys import Caller
from deepscreen.store.sealing import Sealer
from deepscreen.store.tables import computations, screenings, webhook_messages, webhooks

SECRET_BYTES = 32
DELAYS_SECONDS = (5.0, 60.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)  # after each try in vain
KEPT_SECONDS = 30 * 86_400.0  # messages that were told or given up, to be looked into
CLAIM_SECONDS = 60.0  # whoever tries a message has it for so long; then it is another's
DELIVERED, GIVEN_UP, GONE = "delivered", "given-up", "gone"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where messages go. Time in seconds since 1970."""

    id: str
    url: str
    created_at: float
    waiting: int  # messages that were tried in vain and will be tried again
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """One message that is due: the screening has ended."""

    id: str
    url: str
    webhook_id: str
    secret: str = field(repr=False)  # empty where it is sealed
    sealed_secret: str | None
    screening_id: str
    tries: int


def promise(database: Database, connection: Connection, screening_id: str) -> None:
    """In the transaction that asks for a screening: every webhook of this moment will be told of its end."""
    now = database.now(connection)
    for webhook_id in connection.execute(select(webhooks.c.id).where(webhooks.c.deleted_at.is_(None))).scalars().all():
        row = {"id": secrets.token_hex(16), "webhook_id": webhook_id, "screening_id": screening_id}
        connection.execute(insert(webhook_messages).values(**row, tries=0, not_before=now))


class Webhooks:
    """The webhooks of a database. With a *sealer* secrets are sealed in it; those from before stay as they are."""

    def __init__(self, database: Database, sealer: Sealer | None) -> None:
        self._database, self._sealer = database, sealer

    def create(self, caller: Caller, url: str) -> tuple[Webhook, str]:
        """A new webhook and the secret that its messages are signed with (``whsec_...``)."""
        webhook_id = secrets.token_hex(16)
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        with self._database.write() as connection:
            now = self._database.now(connection)
            kept = {"secret": secret}
            if self._sealer is not None:
                kept = {"secret": "", "sealed_secret": self._sealer.seal_text(secret, _seal_name(webhook_id))}
            connection.execute(insert(webhooks).values(id=webhook_id, url=url, created_at=now, **kept))
            audit.append(
                self._database, connection, actor=caller.id, act=WEBHOOK_CREATED, subject=webhook_id,
                details={"url": url},
            )  # fmt: skip
        return Webhook(webhook_id, url, now, 0, None), secret

    def all(self) -> list[Webhook]:
        """Those that are told, the oldest first."""
        query = select(webhooks).where(webhooks.c.deleted_at.is_(None)).order_by(webhooks.c.created_at, webhooks.c.id)
        with self._database.read() as connection:
            return [_webhook(connection, row) for row in connection.execute(query).all()]

    def delete(self, caller: Caller, webhook_id: str) -> bool:
        """Tells it nothing any more; False where there is none."""
        is_meant = (webhooks.c.id == webhook_id) & webhooks.c.deleted_at.is_(None)
        with self._database.write() as connection:
            now = self._database.now(connection)
            if (
                connection.execute(
                    update(webhooks).where(is_meant).values(deleted_at=now, secret="", sealed_secret=None)
                ).rowcount
                == 0
            ):
                return False
            left = (webhook_messages.c.webhook_id == webhook_id) & webhook_messages.c.outcome.is_(None)
            connection.execute(update(webhook_messages).where(left).values(outcome=GONE))
            audit.append(self._database, connection, actor=caller.id, act=WEBHOOK_DELETED, subject=webhook_id)
        return True

    def claim(self, *, limit: int) -> list[Message]:
        """Messages that are due, now this process's for a while."""
        ended = computations.c.state.in_([State.DONE.value, State.FAILED.value, State.CANCELLED.value])
        withdrawn = or_(screenings.c.cancelled_at.is_not(None), screenings.c.deleted_at.is_not(None))
        joined = (
            webhook_messages.join(webhooks, webhook_messages.c.webhook_id == webhooks.c.id)
            .join(screenings, webhook_messages.c.screening_id == screenings.c.id)
            .join(computations, screenings.c.computation_id == computations.c.id)
        )
        query = select(webhook_messages, webhooks.c.url, webhooks.c.secret, webhooks.c.sealed_secret).select_from(
            joined
        )
        with self._database.read() as connection:  # mostly there are none
            due = and_(webhook_messages.c.outcome.is_(None), webhook_messages.c.not_before <= self._now(connection))
            found = query.where(due, or_(ended, withdrawn)).order_by(webhook_messages.c.not_before).limit(limit)
            rows = connection.execute(found).all()
        return [_message(row) for row in rows if self._take(row)]

    def secret_of(self, message: Message) -> str:
        """What the message is signed with; raises StoreError where it is sealed with a key that is not here."""
        if message.sealed_secret is None:
            return message.secret
        if self._sealer is None:
            raise StoreError("the webhook's secret is sealed, and no blob_key_file is set")
        return self._sealer.open_text(message.sealed_secret, _seal_name(message.webhook_id))

    def put_off(self, message: Message, seconds: float) -> None:
        """Nothing was tried: look again later."""
        with self._database.write() as connection:
            again = {"not_before": self._now(connection) + seconds}
            connection.execute(update(webhook_messages).where(webhook_messages.c.id == message.id).values(**again))

    def tried(self, message: Message, *, error: str | None) -> None:
        """It was delivered, or not: then it is tried again, later each time, and given up in the end."""
        values: dict[str, str | int | float | None] = {"tries": message.tries + 1, "error": error}
        with self._database.write() as connection:
            if error is None:
                values["outcome"] = DELIVERED
            elif message.tries >= len(DELAYS_SECONDS):
                values["outcome"] = GIVEN_UP
            else:
                values["not_before"] = self._now(connection) + DELAYS_SECONDS[message.tries]
            connection.execute(update(webhook_messages).where(webhook_messages.c.id == message.id).values(**values))

    def drop(self, message: Message) -> None:
        """What it is about is gone."""
        with self._database.write() as connection:
            meant = update(webhook_messages).where(webhook_messages.c.id == message.id)
            connection.execute(meant.values(outcome=GONE))

    def prune(self) -> int:
        """Removes messages that were told or given up long ago; gives how many."""
        with self._database.write() as connection:
            is_old = webhook_messages.c.not_before < self._now(connection) - KEPT_SECONDS
            old = delete(webhook_messages).where(webhook_messages.c.outcome.is_not(None), is_old)
            return connection.execute(old).rowcount

    def _take(self, row: Row[tuple[object, ...]]) -> bool:
        is_as_seen = (webhook_messages.c.id == row.id) & (webhook_messages.c.not_before == row.not_before)
        with self._database.write() as connection:
            taken = update(webhook_messages).where(is_as_seen, webhook_messages.c.outcome.is_(None))
            return connection.execute(taken.values(not_before=self._now(connection) + CLAIM_SECONDS)).rowcount == 1

    def _now(self, connection: Connection) -> float:
        return self._database.now(connection)


def _webhook(connection: Connection, row: Row[tuple[object, ...]]) -> Webhook:
    failing = (webhook_messages.c.webhook_id == row.id) & webhook_messages.c.error.is_not(None)
    query = select(webhook_messages.c.error).where(failing).order_by(webhook_messages.c.not_before.desc())
    errors = connection.execute(query.where(webhook_messages.c.outcome.is_(None))).scalars().all()
    last = errors[0] if errors else connection.execute(query.limit(1)).scalar()
    return Webhook(row.id, row.url, row.created_at, len(errors), last)


def _message(row: Row[tuple[object, ...]]) -> Message:
    return Message(row.id, row.url, row.webhook_id, row.secret, row.sealed_secret, row.screening_id, row.tries)


def _seal_name(webhook_id: str) -> str:
    return f"webhook:{webhook_id}"
