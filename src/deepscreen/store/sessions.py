"""Sessions of people at a browser: begun with an API key, ended by them, by time, or with the key."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from deepscreen.store import audit
from deepscreen.store.acts import SESSION_BEGUN, SESSION_ENDED
from deepscreen.store.database import Database
from deepscreen.store.keys import ApiKey, key_of_row
from deepscreen.store.tables import api_keys, sessions

TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """A session and the key that it was begun with. Time in seconds since 1970."""

    key: ApiKey
    expires_at: float


class Sessions:
    """The sessions of a database. Of their tokens it holds the hashes only."""

    def __init__(self, database: Database, *, lifetime_seconds: float) -> None:
        self._database = database
        self._lifetime_seconds = lifetime_seconds

    def begin(self, key: ApiKey) -> tuple[str, Session]:
        """A new session and its token, which cannot be had again. Those that have ended by time are removed."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._database.write() as connection:
            now = self._database.now(connection)
            connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
            expires_at = now + self._lifetime_seconds
            row = {"token_sha256": _hash(token), "key_id": key.id, "created_at": now, "expires_at": expires_at}
            connection.execute(insert(sessions).values(row))
            audit.append(self._database, connection, actor=key.id, act=SESSION_BEGUN, subject=key.id)
        return token, Session(key, expires_at)

    def find(self, token: str) -> Session | None:
        """The session of *token*; None where there is none, or it has ended, or its key has."""
        joined = sessions.join(api_keys, sessions.c.key_id == api_keys.c.id)
        query = select(api_keys, sessions.c.expires_at.label("session_expires_at")).select_from(joined)
        with self._database.read() as connection:
            row = connection.execute(query.where(sessions.c.token_sha256 == _hash(token))).first()
            now = self._database.now(connection)
        if row is None or row.session_expires_at <= now or key_of_row(row).state(now) != "valid":
            return None
        return Session(key_of_row(row), row.session_expires_at)

    def end(self, token: str, *, actor: str) -> None:
        """Ends it; it may have ended before."""
        with self._database.write() as connection:
            if connection.execute(delete(sessions).where(sessions.c.token_sha256 == _hash(token))).rowcount:
                audit.append(self._database, connection, actor=actor, act=SESSION_ENDED, subject=actor)


def csrf_token_of(token: str) -> str:
    """What a page shows with a request that changes something; it follows from the cookie, that scripts cannot read."""
    return hashlib.sha256(b"deepscreen csrf:" + token.encode()).hexdigest()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
