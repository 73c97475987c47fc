"""Sends a message to a webhook, and to nowhere else: allowed names only, at an address that was checked and is kept.

A name is resolved once, each of its addresses is checked, and the connection goes to that address: what the name means
a moment later (DNS rebinding), and where the answer redirects to, changes nothing.
"""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

import httpx
from standardwebhooks import Webhook as Signer

from deepscreen.settings import Settings
from deepscreen.store.screenings import Item

TIMEOUT_SECONDS = 10.0
PORTS = {"https": 443, "http": 80}
# Addresses within these lead to an IPv4 address that is not the one that was checked: NAT64, 6to4, Teredo.
TRANSLATED = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NotAllowed(Exception):
    """The webhook's URL leads to where this service does not send."""


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook's URL and the address that it was found to mean."""

    url: SplitResult
    address: Address


class WebhookSender:
    """Signs messages and sends them where the settings allow it."""

    def __init__(self, settings: Settings) -> None:
        self._hosts = frozenset(host.lower() for host in settings.webhook_hosts)
        self._networks: tuple[Network, ...] = tuple(map(ipaddress.ip_network, settings.webhook_networks))

    @property
    def is_on(self) -> bool:
        """Whether anything is allowed at all."""
        return bool(self._hosts)

    def check(self, url: str) -> SplitResult:
        """The URL in parts, before its name is resolved; raises NotAllowed with the reason."""
        if not self._hosts:
            raise NotAllowed("webhooks are off; name the hosts that may be told in webhook_hosts")
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            raise NotAllowed(f"no URL: {error}") from error
        if parts.scheme not in PORTS or not parts.hostname or parts.username is not None or parts.fragment:
            raise NotAllowed("want an https URL with neither user nor fragment")
        if parts.hostname not in self._hosts:
            raise NotAllowed(f"host {parts.hostname!r} is not one of webhook_hosts")
        return parts

    def resolve(self, url: str) -> Target:
        """Where the URL leads at this moment; raises NotAllowed where any of its addresses is not allowed."""
        parts = self.check(url)
        port = parts.port or PORTS[parts.scheme]
        try:
            found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NotAllowed(f"host {parts.hostname!r} is not known: {error.strerror}") from error
        addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
        for address in addresses:
            self._check_address(address, is_encrypted=parts.scheme == "https")
        return Target(parts, addresses[0])

    def send(self, url: str, secret: str, message_id: str, body: str) -> str | None:
        """Signs and sends *body*; None where it was taken, else why not."""
        now = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Signer(secret).sign(message_id, now, body),
        }
        try:
            status = _post(self.resolve(url), body.encode(), headers)
        except NotAllowed as error:
            return str(error)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        return None if 200 <= status < 300 else f"answered {status}"

    def _check_address(self, address: Address, *, is_encrypted: bool) -> None:
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        address = mapped or address
        if _is_in(address, self._networks):
            return
        if not address.is_global or address.is_multicast or _is_in(address, TRANSLATED):
            raise NotAllowed(f"address {address} is not a public one, and in none of webhook_networks")
        if not is_encrypted:
            raise NotAllowed("http goes to addresses in webhook_networks only; use https")


def ended_message(item: Item) -> str:
    """What is told of a screening that has ended: that it has. What was found is for those who may read it."""
    data = {"screening_id": item.id, "case_id": item.case_id, "state": item.state.value}
    data["href"] = f"/v1/screenings/{item.id}"
    return json.dumps({"type": "screening.ended", "timestamp": datetime.now(UTC).isoformat(), "data": data})


def _post(target: Target, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer, of which nothing else is read. No proxies, no redirects, no cookies."""
    parts, address = target.url, target.address
    host = f"[{address}]" if address.version == 6 else str(address)
    port = parts.port or PORTS[parts.scheme]
    url = httpx.URL(scheme=parts.scheme, host=host, port=port, raw_path=_raw_path(parts))
    named = {**headers, "Host": parts.netloc}
    extensions = {"sni_hostname": parts.hostname}  # the certificate must be the name's, not the address's
    with (
        httpx.Client(trust_env=False, follow_redirects=False, timeout=TIMEOUT_SECONDS) as client,
        client.stream("POST", url, content=body, headers=named, extensions=extensions) as response,
    ):
        return response.status_code


def _raw_path(parts: SplitResult) -> bytes:
    path = parts.path or "/"
    return (f"{path}?{parts.query}" if parts.query else path).encode("ascii", "ignore")


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
