"""Tokens of an identity provider: who gets in with which role, and every way in which a token is wrong."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from serving import serving
from starlette.testclient import TestClient

from deepscreen.api.identity import TokenReader
from deepscreen.settings import Settings
from deepscreen.store.keys import list_keys, revoke_key

ISSUER, AUDIENCE = "https://id.lab.example/realm", "deepscreen"
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
STRANGER = rsa.generate_private_key(65537, 2048)


def jwks() -> str:
    rows = [json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())) | {"kid": "r"}]
    rows.append(json.loads(ECAlgorithm.to_jwk(EC_KEY.public_key())) | {"kid": "e"})
    return json.dumps({"keys": rows})


def token(
    key: PrivateKeyTypes | str = RSA_KEY, *, kid: str | None = "r", algorithm: str = "RS256", **claims: Any
) -> str:
    now = int(time.time())
    given = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 60, "roles": ["examiner"], **claims}
    given = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(given, key, algorithm=algorithm, headers={"kid": kid} if kid else None)  # type: ignore[arg-type]


@pytest.fixture
def oidc_settings(own_settings: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "jwks.json").write_text(jwks())
    given = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks": str(tmp_path / "jwks.json")}
    return Settings(**{**own_settings.model_dump(), **given})


@pytest.fixture
def client(oidc_settings: Settings) -> Iterator[TestClient]:
    with serving(oidc_settings) as client:
        yield client


def ask(client: TestClient, token: str | None, path: str = "/v1/session") -> Any:
    return client.get(path, headers={} if token is None else {"Authorization": f"Bearer {token}"})


def test_token_gives_a_lasting_identity_and_the_role_in_it(client: TestClient) -> None:
    first = ask(client, token()).json()
    assert first["role"] == "examiner"
    assert ask(client, token(roles=["auditor"])).json() == first | {"role": "auditor"}
    other = ask(client, token(EC_KEY, kid="e", algorithm="ES256", sub="ben")).json()
    assert other["id"] != first["id"]
    assert len(first["id"]) <= 32


def test_what_a_person_sends_is_theirs(client: TestClient, png: bytes) -> None:
    ada, ben = token(), token(sub="ben")
    headers = {"Authorization": f"Bearer {ada}"}
    assert client.post("/v1/screenings", files={"file": ("a.png", png)}, headers=headers).status_code == 201
    assert len(ask(client, ada, "/v1/screenings").json()["items"]) == 1
    assert ask(client, ben, "/v1/screenings").json()["items"] == []
    case = client.post("/v1/cases", json={"name": "x"}, headers=headers).json()
    member = ask(client, ben).json()["id"]
    assert client.put(f"/v1/cases/{case['id']}/members/{member}", headers=headers).status_code == 200
    assert len(ask(client, ben, "/v1/cases").json()["cases"]) == 1


def test_without_a_token_nobody_gets_in_though_no_key_was_made(client: TestClient) -> None:
    assert ask(client, None).status_code == 401


def test_person_can_be_shut_out(client: TestClient) -> None:
    database = client.app.state.service.store.database  # type: ignore[attr-defined]
    person = ask(client, token(preferred_username="Ada L.")).json()["id"]
    assert [(key.id, key.name, state) for key, state in list_keys(database)] == [(person, "Ada L.", "valid")]
    revoke_key(database, person, actor="test")
    assert ask(client, token()).status_code == 401


def forged_with_the_public_key() -> str:
    """Signed by HMAC with what everybody knows: the public key."""
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    body = token().split(".")[1]
    head = (
        base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "r"}).encode()).rstrip(b"=").decode()
    )
    signature = hmac.digest(pem, f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def unsigned() -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"r"}').rstrip(b"=").decode()
    return f"{head}.{token().split('.')[1]}."


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: token(exp=int(time.time()) - 60),
        lambda: token(iat=int(time.time()) + 3600),
        lambda: token(nbf=int(time.time()) + 3600),
        lambda: token(iss="https://other.example"),
        lambda: token(aud="another-service"),
        lambda: token(exp=None),
        lambda: token(sub=None),
        lambda: token(aud=None),
        lambda: token(STRANGER),
        lambda: token(STRANGER, kid="unknown"),
        lambda: token(kid=None),
        lambda: token(EC_KEY, kid="r", algorithm="ES256"),
        forged_with_the_public_key,
        unsigned,
        lambda: token()[:-4] + "AAAA",
        lambda: "nonsense",
        lambda: "a.b.c",
    ],
)
def test_wrong_token_opens_nothing(client: TestClient, wrong: Any) -> None:
    response = ask(client, wrong())
    assert response.status_code == 401, response.text
    assert response.json()["type"] == "urn:deepscreen:problem:unauthenticated"


@pytest.mark.parametrize("roles", [None, [], ["deepscreen-admin"], "owner", {"admin": True}, 7])
def test_token_without_a_role_of_this_service_is_forbidden(client: TestClient, roles: Any) -> None:
    assert ask(client, token(roles=roles)).status_code == 403


def test_claim_and_prefix_of_roles_can_be_set(oidc_settings: Settings) -> None:
    changed = {"oidc_role_claim": "realm_access.roles", "oidc_role_prefix": "ds-"}
    reader = TokenReader(oidc_settings.model_copy(update=changed))
    given = {"roles": ["admin"], "realm_access": {"roles": ["examiner", "ds-auditor", "ds-reviewer"]}}
    assert reader.read(token(**given)).role == "reviewer"


def test_keys_that_were_changed_are_read_again_but_not_at_every_wrong_token(
    oidc_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = TokenReader(oidc_settings)
    reader.read(token())
    new = json.loads(RSAAlgorithm.to_jwk(STRANGER.public_key())) | {"kid": "new"}
    Path(str(oidc_settings.oidc_jwks)).write_text(json.dumps({"keys": [new]}))
    with pytest.raises(Exception, match="no key of the provider"):
        reader.read(token(STRANGER, kid="new"))
    monkeypatch.setattr("deepscreen.api.identity.LEAST_SECONDS_BETWEEN_FETCHES", 0.0)
    assert reader.read(token(STRANGER, kid="new")).role == "examiner"


def test_key_that_the_provider_took_back_opens_nothing_after_a_while(
    oidc_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = TokenReader(oidc_settings)
    reader.read(token())
    new = json.loads(RSAAlgorithm.to_jwk(STRANGER.public_key())) | {"kid": "new"}
    Path(str(oidc_settings.oidc_jwks)).write_text(json.dumps({"keys": [new]}))
    assert reader.read(token()).role == "examiner"
    monkeypatch.setattr("deepscreen.api.identity.LONGEST_SECONDS_KEPT", 0.0)
    with pytest.raises(Exception, match="no key of the provider"):
        reader.read(token())


def test_keys_that_cannot_be_had_are_told(oidc_settings: Settings) -> None:
    Path(str(oidc_settings.oidc_jwks)).unlink()
    with serving(oidc_settings) as client:
        response = ask(client, token())
    assert response.status_code == 503
    assert response.json()["type"] == "urn:deepscreen:problem:identity-unavailable"


@pytest.mark.parametrize(
    "given",
    [
        {"oidc_issuer": ISSUER},
        {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE},
        {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks": "http://id.example/keys"},
    ],
)
def test_half_a_provider_is_a_wrong_setting(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="oidc_"):
        Settings(**given)
