"""Who asks, and whether they may: every route names the roles that it is for."""

from __future__ import annotations

import asyncio
import math
import time

from fastapi import Request

from deepscreen.api.http_errors import RoleForbidden, Unauthenticated
from deepscreen.errors import Overloaded
from deepscreen.store.keys import ApiKey, Caller, KeyRing, Role

ALL_ROLES = frozenset(Role)
WRITERS = frozenset({Role.EXAMINER, Role.ADMIN})
REVIEWERS = frozenset({Role.REVIEWER, Role.ADMIN})
AUDITORS = frozenset({Role.AUDITOR, Role.ADMIN})
OWNERS = frozenset({Role.ADMIN})
LOCAL_ID = "local"  # the actor of a service without keys
MOST_METERED = 10_000


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

    def __init__(self, keys: KeyRing, *, requests_per_minute: int) -> None:
        self._keys = keys
        self._meter = RateMeter(requests_per_minute)

    async def caller_of(self, request: Request) -> Caller:
        """Raises Unauthenticated where keys are in use and the request brings no valid one."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if token and scheme.lower() == "bearer":
            key: ApiKey | None = await asyncio.to_thread(self._keys.find, token.strip())
            if key is None:
                raise Unauthenticated("the key is unknown, expired or revoked")
            self._meter.count(key.id)
            return Caller(key.id, key.role)
        if await asyncio.to_thread(self._keys.is_empty):
            return LOCAL_CALLER
        raise Unauthenticated("send a key: Authorization: Bearer dsk_...; `deepscreen keys create` makes one")


class RateMeter:
    """A bucket of requests for each key, which fills again evenly; a full one holds a minute's worth."""

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
            raise Overloaded(
                f"this key has sent more than {self._most:.0f} requests a minute", retry_after_seconds=wait_seconds
            )
        if len(self._buckets) >= MOST_METERED:
            self._buckets.clear()
        self._buckets[key_id] = (left - 1, now)
