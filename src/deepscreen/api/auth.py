"""Who asks, and whether they may: every route names the roles that it is for."""

from __future__ import annotations

import asyncio
import hmac
import math
import time

from fastapi import Request

from deepscreen.api.http_errors import CsrfRejected, RoleForbidden, Unauthenticated
from deepscreen.api.identity import TokenReader
from deepscreen.errors import Overloaded
from deepscreen.store.keys import ApiKey, Caller, KeyRing, Role
from deepscreen.store.sessions import Sessions, csrf_token_of

ALL_ROLES = frozenset(Role)
WRITERS = frozenset({Role.EXAMINER, Role.ADMIN})
REVIEWERS = frozenset({Role.REVIEWER, Role.ADMIN})
AUDITORS = frozenset({Role.AUDITOR, Role.ADMIN})
OWNERS = frozenset({Role.ADMIN})
LOCAL_ID = "local"  # the actor of a service without keys
MOST_METERED = 10_000
LOGINS_PER_MINUTE = 60  # from one address
KEY_PREFIX = "dsk_"
SESSION_COOKIE = "deepscreen_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


LOCAL_CALLER = Caller(LOCAL_ID, Role.ADMIN)


class Guard:
    """A dependency that gives the caller; raises Unauthenticated, RoleForbidden, or Overloaded beyond a key's rate."""

    def __init__(self, roles: frozenset[Role]) -> None:
        self.roles = roles

    async def __call__(self, request: Request) -> Caller:
        """The caller, who has one of the roles; asked before anything of the body is read."""
        doorkeeper: Doorkeeper = request.app.state.service.doorkeeper
        caller = await doorkeeper.caller_of(request)
        if caller.role not in self.roles:
            allowed = ", ".join(sorted(self.roles))
            raise RoleForbidden(f"the role of this key is {caller.role}; this needs one of: {allowed}")
        return caller


class Doorkeeper:
    """Finds the key of a request and meters it."""

    def __init__(
        self, keys: KeyRing, sessions: Sessions, tokens: TokenReader | None, *, requests_per_minute: int
    ) -> None:
        self.keys = keys
        self._tokens = tokens
        self._sessions = sessions
        self._meter = RateMeter(requests_per_minute)
        self._logins = RateMeter(LOGINS_PER_MINUTE)

    async def caller_of(self, request: Request) -> Caller:
        """Raises Unauthenticated where keys are in use and the request brings no valid one; CsrfRejected."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if token and scheme.lower() == "bearer":
            if self._tokens is not None and not token.startswith(KEY_PREFIX):
                return await asyncio.to_thread(self._caller_of_token, self._tokens, token.strip())
            key: ApiKey | None = await asyncio.to_thread(self.keys.find, token.strip())
            if key is None:
                raise Unauthenticated("the key is unknown, expired or revoked")
            self._meter.count(key.id)
            return Caller(key.id, key.role)
        if self._tokens is None and await asyncio.to_thread(self.keys.is_empty):
            return LOCAL_CALLER
        if cookie := request.cookies.get(SESSION_COOKIE):
            return await self._caller_of_session(request, cookie)
        raise Unauthenticated("send a key: Authorization: Bearer dsk_...; `deepscreen keys create` makes one")

    def count_login(self, address: str) -> None:
        """Raises Overloaded where this address has tried to log in too often."""
        self._logins.count(address)

    def _caller_of_token(self, tokens: TokenReader, token: str) -> Caller:
        identity = tokens.read(token)
        if not self.keys.meet(identity.id, identity.name, identity.role):
            raise Unauthenticated("this person's access was revoked")
        self._meter.count(identity.id)
        return Caller(identity.id, identity.role)

    async def _caller_of_session(self, request: Request, cookie: str) -> Caller:
        session = await asyncio.to_thread(self._sessions.find, cookie)
        if session is None:
            raise Unauthenticated("the session has ended; log in again")
        shown = request.headers.get("x-csrf-token", "")
        if request.method not in SAFE_METHODS and not hmac.compare_digest(
            shown.encode(), csrf_token_of(cookie).encode()
        ):
            raise CsrfRejected("send the session's csrf_token in the header X-CSRF-Token; GET /v1/session tells it")
        self._meter.count(session.key.id)
        return Caller(session.key.id, session.key.role)


class RateMeter:
    """A bucket of requests for each key or address, which fills again evenly; a full one holds a minute's worth."""

    def __init__(self, requests_per_minute: int) -> None:
        self._most = float(requests_per_minute)
        self._per_second = requests_per_minute / 60
        self._buckets: dict[str, tuple[float, float]] = {}

    def count(self, key_id: str) -> None:
        """Takes one request out; raises Overloaded where the bucket is empty."""
        now = time.monotonic()
        left, at = self._buckets.get(key_id, (self._most, now))
        left = min(self._most, left + (now - at) * self._per_second)
        if left < 1:
            wait_seconds = math.ceil((1 - left) / self._per_second)
            raise Overloaded(f"more than {self._most:.0f} requests a minute", retry_after_seconds=wait_seconds)
        if len(self._buckets) >= MOST_METERED:
            self._buckets.clear()
        self._buckets[key_id] = (left - 1, now)
