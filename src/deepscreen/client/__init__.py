"""Talks to a running service: ``Client``, or ``AsyncClient`` with the same methods to be awaited.

Loads no network of its own kind: what is screened is screened by the service.
"""

from deepscreen.client.asynchronous import AsyncClient
from deepscreen.client.flows import ClientError, HashMismatch, NotEnded, Refused, Unreachable
from deepscreen.client.synchronous import Client

__all__ = ["AsyncClient", "Client", "ClientError", "HashMismatch", "NotEnded", "Refused", "Unreachable"]
