"""Tokens of an identity provider (OpenID Connect): who somebody is and which role that gives.

Asymmetric signatures only, by keys from a file or from the provider; issuer, audience and times are checked.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
from jwt import PyJWK, PyJWKSet

from deepscreen.api.http_errors import IdentityUnavailable, RoleForbidden, Unauthenticated
from deepscreen.errors import ConfigError
from deepscreen.settings import Settings
from deepscreen.store.keys import Role

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
REQUIRED = ("exp", "iat", "iss", "aud", "sub")
LEEWAY_SECONDS = 30.0
FETCH_TIMEOUT_SECONDS = 5.0
LONGEST_SECONDS_KEPT = 3600.0  # a key that the provider took back opens nothing for longer
LEAST_SECONDS_BETWEEN_FETCHES = 60.0  # a token with an unknown key id must not have the provider asked again and again
SECONDS_AFTER_FAILURE = 5.0  # requests do not queue up for a provider that does not answer
ID_HEX_DIGITS = 24
PRECEDENCE = (Role.ADMIN, Role.REVIEWER, Role.EXAMINER, Role.AUDITOR)  # of several roles in one token


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sent a token. The id is the same for the same person at the same provider, and tells neither."""

    id: str
    name: str
    role: Role


class TokenReader:
    """Reads tokens of the one provider that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._issuer, self._audience = str(settings.oidc_issuer), str(settings.oidc_audience)
        self._claim, self._prefix = settings.oidc_role_claim.split("."), settings.oidc_role_prefix
        self._source = str(settings.oidc_jwks)
        self._lock = threading.Lock()
        self._keys: dict[str | None, PyJWK] = {}
        self._fetched_at: float | None = None
        self._failed_at: float | None = None

    @classmethod
    def of(cls, settings: Settings) -> TokenReader | None:
        """The reader, where the settings name a provider."""
        return None if settings.oidc_issuer is None else cls(settings)

    def read(self, token: str) -> Identity:
        """Who sent *token*; raises Unauthenticated, RoleForbidden where it gives no role, IdentityUnavailable."""
        try:
            key = self._key(jwt.get_unverified_header(token).get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": list(REQUIRED)},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the token is not accepted: {error}") from error
        subject = f"{self._issuer}\0{claims['sub']}"
        identity = "oidc" + hashlib.sha256(subject.encode()).hexdigest()[:ID_HEX_DIGITS]
        name = claims.get("preferred_username") or claims.get("email") or claims["sub"]
        return Identity(identity, str(name)[:200].replace("\0", "\ufffd"), self._role(claims))

    def _role(self, claims: dict[str, Any]) -> Role:
        found: Any = claims
        for part in self._claim:
            found = found.get(part) if isinstance(found, dict) else None
        named = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        role = next((role for role in PRECEDENCE if f"{self._prefix}{role}" in named), None)
        if role is None:
            raise RoleForbidden(f"the token's {'.'.join(self._claim)} names none of the roles of this service")
        return role

    def _key(self, key_id: str | None) -> PyJWK:
        with self._lock:
            now = time.monotonic()
            age_seconds = math.inf if self._fetched_at is None else now - self._fetched_at
            enough_seconds = LONGEST_SECONDS_KEPT if key_id in self._keys else LEAST_SECONDS_BETWEEN_FETCHES
            if age_seconds >= enough_seconds:
                self._keys, self._fetched_at = self._fetch_unless_it_just_failed(now), now
            if key_id is None and len(self._keys) == 1:
                return next(iter(self._keys.values()))
            if key_id not in self._keys:
                raise jwt.InvalidKeyError("it names no key of the provider")
            return self._keys[key_id]

    def _fetch_unless_it_just_failed(self, now: float) -> dict[str | None, PyJWK]:
        if self._failed_at is not None and now - self._failed_at < SECONDS_AFTER_FAILURE:
            raise IdentityUnavailable("the keys of the identity provider could not be had a moment ago")
        try:
            found = self._fetch()
        except BaseException:
            self._failed_at = time.monotonic()
            raise
        self._failed_at = None
        return found

    def _fetch(self) -> dict[str | None, PyJWK]:
        try:
            if self._source.startswith("https://"):
                response = httpx.get(self._source, timeout=FETCH_TIMEOUT_SECONDS, trust_env=False)
                content = response.raise_for_status().text
            else:
                content = Path(self._source).read_text(encoding="utf-8")
            return {key.key_id: key for key in PyJWKSet.from_json(content).keys}
        except (OSError, httpx.HTTPError) as error:
            raise IdentityUnavailable(f"the keys of the identity provider cannot be had: {error}") from error
        except (ValueError, jwt.PyJWTError) as error:
            raise ConfigError(f"oidc_jwks {self._source}: no JSON Web Key Set: {error}") from error
