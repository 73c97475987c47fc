"""API keys: shown once, kept as an argon2id hash, with a role, an end and a way to take them back."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from deepscreen.errors import ConfigError
from deepscreen.store import audit
from deepscreen.store.acts import KEY_CREATED, KEY_REVOKED
from deepscreen.store.database import Database
from deepscreen.store.tables import api_keys

ID_BYTES, SECRET_BYTES = 8, 32
TOKEN = re.compile(r"dsk_(?P<id>[0-9a-f]{16})_(?P<secret>[A-Za-z0-9_-]{43})")
# OWASP's second choice for argon2id. The secret is 256 random bits; a slower hash would guard nothing more.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
MOST_REMEMBERED = 1000


class Role(StrEnum):
    """What a key is for."""

    EXAMINER = "examiner"  # screens, and works on cases of which it is a member
    REVIEWER = "reviewer"  # reads all results and accepts or overrides them
    ADMIN = "admin"  # all of it, keys and deletion included
    AUDITOR = "auditor"  # reads everything, the audit log included, and changes nothing


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; never its secret. Times are seconds since 1970."""

    id: str
    name: str
    role: Role
    created_at: float
    expires_at: float | None
    revoked_at: float | None

    def state(self, now: float) -> str:
        """``valid``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


def create_key(
    database: Database, *, name: str, role: Role, lifetime_seconds: float | None, actor: str
) -> tuple[ApiKey, str]:
    """A new key and its token, which cannot be had again."""
    key_id, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    with database.write() as connection:
        now = database.now(connection)
        key = ApiKey(key_id, name, role, now, None if lifetime_seconds is None else now + lifetime_seconds, None)
        row = {"id": key.id, "name": name, "role": role.value, "secret_hash": HASHER.hash(secret)}
        connection.execute(insert(api_keys).values(**row, created_at=now, expires_at=key.expires_at))
        details = {"role": role.value}
        audit.append(database, connection, actor=actor, act=KEY_CREATED, subject=key.id, details=details)
    return key, f"dsk_{key_id}_{secret}"


def list_keys(database: Database) -> list[tuple[ApiKey, str]]:
    """All keys there ever were, the oldest first, each with its state now."""
    with database.read() as connection:
        now = database.now(connection)
        rows = connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)).all()
    return [(key_of_row(row), key_of_row(row).state(now)) for row in rows]


def revoke_key(database: Database, key_id: str, *, actor: str) -> None:
    """Ends a key at once; raises ConfigError where there is none, or it was revoked before."""
    with database.write() as connection:
        is_meant = (api_keys.c.id == key_id) & api_keys.c.revoked_at.is_(None)
        done = connection.execute(update(api_keys).where(is_meant).values(revoked_at=database.now(connection)))
        if done.rowcount == 0:
            raise ConfigError(f"there is no key {key_id!r} that could be revoked; `deepscreen keys list` shows them")
        audit.append(database, connection, actor=actor, act=KEY_REVOKED, subject=key_id)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a key's id and role, or the machine's own user where no keys are in use."""

    id: str
    role: Role

    @property
    def sees_all(self) -> bool:
        """Whether items of everybody are open to this caller; an examiner sees its own and those of its cases."""
        return self.role is not Role.EXAMINER


class KeyRing:
    """Tells whose a token is. What was proven once is remembered as a hash; the key's state is looked up every time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._proven: dict[str, bytes] = {}

    def is_empty(self) -> bool:
        """Whether no key was ever made: then, and only then, the service is open to its own machine."""
        with self._database.read() as connection:
            return connection.execute(select(api_keys.c.id).limit(1)).first() is None

    def find(self, token: str) -> ApiKey | None:
        """The valid key of *token*; None where there is none."""
        match = TOKEN.fullmatch(token)
        if match is None:
            return None
        with self._database.read() as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.id == match["id"])).first()
            now = self._database.now(connection)
        if row is None or key_of_row(row).state(now) != "valid" or not self._proves(row, match["secret"]):
            return None
        return key_of_row(row)

    def meet(self, key_id: str, name: str, role: Role) -> bool:
        """Whether somebody whom an identity provider knows may enter; at first sight a row without a secret is made.

        The row gives such a person a name in cases and lists, and `deepscreen keys revoke` shuts the door.
        """
        known = select(api_keys.c.revoked_at).where(api_keys.c.id == key_id)
        with self._database.read() as connection:
            row = connection.execute(known).first()
        if row is not None:
            return row.revoked_at is None
        try:
            with self._database.write() as connection:
                now = self._database.now(connection)
                new = {"id": key_id, "name": name, "role": role.value, "secret_hash": "", "created_at": now}
                connection.execute(insert(api_keys).values(new))
                details = {"role": role.value, "from": "identity provider"}
                audit.append(self._database, connection, actor=key_id, act=KEY_CREATED, subject=key_id, details=details)
        except IntegrityError:  # met twice at the same moment
            return self.meet(key_id, name, role)
        return True

    def _proves(self, row: Row[tuple[object, ...]], secret: str) -> bool:
        digest = hashlib.sha256(f"{row.secret_hash}:{secret}".encode()).digest()
        with self._lock:
            known = self._proven.get(row.id)
        if known is not None and hmac.compare_digest(known, digest):
            return True
        try:
            HASHER.verify(row.secret_hash, secret)
        except (VerificationError, InvalidHashError):
            return False
        with self._lock:
            if len(self._proven) >= MOST_REMEMBERED:
                self._proven.clear()
            self._proven[row.id] = digest
        return True


def key_of_row(row: Row[Any]) -> ApiKey:
    """The key of a row of its table."""
    return ApiKey(row.id, row.name, Role(row.role), row.created_at, row.expires_at, row.revoked_at)
