"""Brings messages to webhooks: looks for those that are due, now and then, until it is stopped."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from deepscreen.api.webhook_sender import WebhookSender, ended_message
from deepscreen.errors import StoreError
from deepscreen.store.computations import State
from deepscreen.store.keys import Caller, Role
from deepscreen.store.screenings import NotThere, Screenings
from deepscreen.store.webhooks import Message, Webhooks

logger = logging.getLogger(__name__)

SERVICE = Caller("service", Role.ADMIN)
LOOK_SECONDS = 1.0
AT_ONCE = 4  # slow receivers hold up each other, and nobody else


class WebhookDelivery:
    """Tells webhooks of screenings that have ended; what could not be told is tried again, later each time."""

    def __init__(self, webhooks: Webhooks, screenings: Screenings, sender: WebhookSender) -> None:
        self._webhooks, self._screenings, self._sender = webhooks, screenings, sender

    async def run(self) -> None:
        """Until it is cancelled; returns at once where webhooks are off."""
        if not self._sender.is_on:
            return
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhooks") as threads:
            while True:
                try:
                    messages = await loop.run_in_executor(threads, lambda: self._webhooks.claim(limit=AT_ONCE))
                    await asyncio.gather(*(loop.run_in_executor(threads, self._deliver, m) for m in messages))
                except StoreError as error:
                    logger.warning("webhooks wait for the store: %s", error)
                    messages = []
                except Exception:  # one message's fault must not silence all others
                    logger.exception("webhooks go on after an error that nobody foresaw")
                    messages = []
                if not messages:
                    await asyncio.sleep(LOOK_SECONDS)

    def _deliver(self, message: Message) -> None:
        try:
            item = self._screenings.get(message.screening_id, SERVICE)
        except NotThere:
            self._webhooks.drop(message)
            return
        if item.state in {State.QUEUED, State.RUNNING}:  # a result that is not shown yet is not told of either
            self._webhooks.put_off(message, LOOK_SECONDS)
            return
        error = self._send(message, ended_message(item))
        if error is not None:
            logger.info("webhook message %s was not taken: %s", message.id, error)
        self._webhooks.tried(message, error=error)

    def _send(self, message: Message, body: str) -> str | None:
        try:
            secret = self._webhooks.secret_of(message)
        except StoreError as error:
            return str(error)
        return self._sender.send(message.url, secret, message.id, body)
