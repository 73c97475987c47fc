"""One job's conversation with its decoder process, as the program holds it: what the child says is checked here."""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import signal
import socket
from contextlib import suppress
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from deepscreen.errors import DecoderCrashed, DecodeTimeout
from deepscreen.findings.finding import Finding
from deepscreen.media.samples import MediaFacts
from deepscreen.media.wire import (
    MAX_MESSAGE_BYTES,
    UNWANTED,
    WANTED,
    BytesOffered,
    Done,
    FactsFound,
    Failed,
    FindingMade,
    MemberEnded,
    MemberFound,
    Offer,
    PixelsOffered,
    Reply,
    RoomWanted,
    SoundOffered,
    Started,
    Written,
    decode_reply,
)

EXIT_WAIT_SECONDS = 5.0
Heard = TypeVar("Heard", bound=Reply)
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class Child:
    """One job's process, as seen from here: what it says, and the power to end it."""

    def __init__(self, channel: socket.socket, timeout_seconds: float) -> None:
        self._channel = channel
        self._channel.settimeout(timeout_seconds)
        self._timeout_seconds = timeout_seconds
        self._handle: int | None = None

    def start(self, packet: bytes) -> None:
        """Send the job, and take the handle that the child sends before it has read any of the file."""
        try:
            self._channel.sendall(packet)
            answer, descriptors, _, _ = socket.recv_fds(self._channel, MAX_MESSAGE_BYTES, 1)
        except TimeoutError as error:
            raise self._timed_out() from error
        except OSError as error:
            raise DecoderCrashed(f"the decoder process could not be started: {error.strerror}") from error
        self._handle = descriptors[0] if descriptors else None
        if self._handle is None or not isinstance(decode_reply(answer or b"{}"), Started):
            raise DecoderCrashed("the decoder process could not be started")

    def first_word(self) -> FactsFound | RoomWanted:
        """What the file is; or, of a picture, how much room it will need."""
        return cast("FactsFound | RoomWanted", self._hear(FactsFound, RoomWanted))

    def expect_facts(self) -> MediaFacts:
        return self._hear(FactsFound).facts

    def next_finding(self) -> Finding | None:
        """What the child has found, or None when it has done."""
        reply = self._hear(FindingMade, Done)
        return reply.finding if isinstance(reply, FindingMade) else None

    def next_member(self) -> MemberFound | None:
        """The next file of a container, to be answered with ``want``, or None when there is none."""
        reply = self._hear(MemberFound, Done)
        return reply if isinstance(reply, MemberFound) else None

    def want(self, is_wanted: bool) -> None:
        """Whether the content of the member that was found is to be given."""
        try:
            self._channel.sendall(WANTED if is_wanted else UNWANTED)
        except TimeoutError as error:
            raise self._timed_out() from error
        except OSError as error:
            raise _died() from error

    def next_piece(self) -> BytesOffered | MemberEnded:
        """More of the member's content, to be received, or its end."""
        return cast("BytesOffered | MemberEnded", self._hear(BytesOffered, MemberEnded))

    def expect_written(self) -> None:
        self._hear(Written)

    def next_offer(self) -> Offer | None:
        """What the child has to give, or None when it has done."""
        reply = self._hear(PixelsOffered, SoundOffered, Done)
        return reply if isinstance(reply, Offer) else None

    def receive(self, offer: Offer | BytesOffered) -> NDArray[np.uint8]:
        """The samples of *offer*, in a buffer made for them. Its size was checked by the caller, and is sealed."""
        buffer = self.provide(offer)
        self.expect_written()
        return buffer

    def provide(self, wish: Offer | RoomWanted | BytesOffered) -> NDArray[np.uint8]:
        """Make a buffer, give it to the child, and map it; what it holds counts once the child has said Written."""
        descriptor = os.memfd_create("deepscreen-samples", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, wish.size_bytes)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
            self._grant(descriptor)
            # Populated at once: single page faults are slow.
            flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
            return np.frombuffer(mmap.mmap(descriptor, wish.size_bytes, flags=flags), np.uint8)
        finally:
            os.close(descriptor)

    def _grant(self, descriptor: int) -> None:
        try:
            socket.send_fds(self._channel, [b"b"], [descriptor])
        except TimeoutError as error:
            raise self._timed_out() from error
        except OSError as error:
            raise _died() from error

    def expect_end(self) -> None:
        """Wait until the child says that it has done, and is gone."""
        self._hear(Done)
        if not self._is_gone(EXIT_WAIT_SECONDS):
            raise self._timed_out()

    def close(self) -> None:
        """End the process if it still runs, and wait for that."""
        self._channel.close()
        if self._handle is None:
            return
        try:
            if not self._is_gone(0):
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._handle, signal.SIGKILL)
                self._is_gone(EXIT_WAIT_SECONDS)
        finally:
            os.close(self._handle)
            self._handle = None

    def _is_gone(self, wait_seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._handle if self._handle is not None else -1, select.POLLIN)
        return bool(poll.poll(wait_seconds * 1000))

    def _hear(self, *expected: type[Heard]) -> Heard:
        try:
            packet = self._channel.recv(MAX_MESSAGE_BYTES)
        except TimeoutError as error:
            raise self._timed_out() from error
        except OSError as error:
            raise _died() from error
        if not packet:
            raise _died()
        reply = decode_reply(packet)
        if isinstance(reply, Failed):
            raise reply.as_error()
        if not isinstance(reply, expected):
            raise DecoderCrashed("the decoder said what was not asked for and was stopped")
        return reply

    def _timed_out(self) -> DecodeTimeout:
        return DecodeTimeout(
            f"no result within {self._timeout_seconds:g} s; the decoder was stopped (limits.decode_timeout_seconds)"
        )


def not_asked_for() -> DecoderCrashed:
    return DecoderCrashed("the decoder offered what was not asked for and was stopped")


def _died() -> DecoderCrashed:
    return DecoderCrashed("the decoder process died: a crash, or more memory or time than it may have")
