"""Decode untrusted files in child processes; nothing of a file's content is parsed in the program itself.

``Decoder`` keeps one warm server process (``zygote``) and has it fork a confined child for every job. A child can do no
more than send typed messages (``wire``) and fill buffers that are allocated here, after its claims were checked.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

import deepscreen
from deepscreen.errors import DecoderCrashed, DecodeTimeout, MediaError, UnreadableMedia
from deepscreen.findings.finding import Finding
from deepscreen.findings.inspectors import not_inspected
from deepscreen.media.intake import Intake, open_taken
from deepscreen.media.isolation import isolation
from deepscreen.media.samples import Frame, MediaFacts, SamplingPlan, Still, Waveform
from deepscreen.media.wire import (
    MAX_FINDINGS,
    MAX_MESSAGE_BYTES,
    Done,
    FactsFound,
    Failed,
    FindingMade,
    Job,
    Offer,
    PixelsOffered,
    Reply,
    RoomWanted,
    SoundOffered,
    Started,
    Written,
    decode_reply,
    encode,
)
from deepscreen.settings import Limits

EXIT_WAIT_SECONDS = 5.0
CLOSE_WAIT_SECONDS = 2.0
# The server parses hostile bytes in its children: it inherits nothing that could be a secret.
INHERITED_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "PYTHONHOME")
# One thread and few heaps: an address space of a few hundred MiB instead of several GiB.
# Large pages for large blocks (glibc; others ignore it): a fresh child's first touch of 48 MB takes 5 ms, not 25.
SERVER_VARIABLES = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
Heard = TypeVar("Heard", bound=Reply)
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


@dataclass(frozen=True, slots=True)
class Examined:
    """What a file is; ``still`` is its picture when ``facts.kind`` is "image", else None."""

    facts: MediaFacts
    still: Still | None


class Decoder:
    """Decodes files in confined processes. One for the life of the program; any thread may use it at any time.

    Every method raises MediaError: UnsupportedMedia, MediaTooLarge, UndecodableMedia, UnreadableMedia (the file has
    gone or changed), DecodeTimeout (no result for ``limits.decode_timeout_seconds``), DecoderCrashed.
    """

    def __init__(self, limits: Limits, *, trust_list: Path | None = None) -> None:
        """``trust_list``: PEM file of the certificates whose content credentials are trusted; None trusts nobody."""
        self._limits = limits
        self._trust_list = trust_list
        self._lock = threading.Lock()
        self._server: _Server | None = _Server()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the server and with it every job that still runs. Later calls raise DecoderCrashed."""
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.stop()

    def examine(self, intake: Intake) -> Examined:
        """What the file is, by its content, and the decoded picture where it is one."""
        with self._conversation(intake, Job(operation="examine", limits=self._limits)) as child:
            beginning = child.first_word()
            if isinstance(beginning, FactsFound):
                return Examined(beginning.facts, None)
            if beginning.pixels > self._limits.max_pixels:
                raise _not_asked_for()
            buffer = child.provide(beginning)
            facts = child.expect_facts()
            child.expect_written()
            child.expect_end()  # from here on nobody else can change the pixels
        stream = facts.stream("image")
        height_px, width_px = (stream.height_px or 0, stream.width_px or 0) if stream is not None else (0, 0)
        if height_px * width_px != beginning.pixels:
            raise _not_asked_for()
        pixels = buffer.reshape(height_px, width_px, 3)
        return Examined(facts, Still(pixels))

    def inspect(self, intake: Intake) -> tuple[Finding, ...]:
        """Findings on metadata, structure, content credentials and sound.

        Raises nothing that is about the file's content: what could not be looked at is a finding too.
        """
        found: list[Finding] = []
        try:
            with self._conversation(
                intake, Job(operation="inspect", limits=self._limits, trust_list=self._trust_list)
            ) as child:
                while len(found) < MAX_FINDINGS and (one := child.next_finding()) is not None:
                    found.append(one)
        except UnreadableMedia:
            raise
        except MediaError as error:
            found.append(not_inspected("remaining structure", type(error).__name__))
        return tuple(found)

    def frames(self, intake: Intake, plan: SamplingPlan) -> Generator[Frame]:
        """The frames that are shown at the times of *plan*, each once, in order; the same ones every time.

        Of a damaged clip, those before the damage. Nothing for a file without video frames. Closing the iterator
        early ends its process.
        """
        times_seconds = tuple(sorted(plan.times_seconds))
        job = Job(operation="frames", limits=self._limits, times_seconds=times_seconds)
        with self._conversation(intake, job) as child:
            for index in range(len(times_seconds)):
                offer = child.next_offer()
                if offer is None:
                    return
                pixels = self._pixels(child, offer).copy()  # the child still has the buffer
                yield Frame(pixels, offer.pts_seconds if isinstance(offer, PixelsOffered) else 0.0, index)

    def sound(
        self, intake: Intake, *, sample_rate_hz: int = 16_000, block_seconds: float = 30.0
    ) -> Generator[Waveform]:
        """Consecutive mono blocks of the first sound track, the last one shorter; nothing when there is no track.

        ``start_seconds`` counts samples from the start of the track. Of a damaged track, what can be decoded.
        """
        job = Job(
            operation="sound", limits=self._limits, sample_rate_hz=sample_rate_hz, block_seconds=float(block_seconds)
        )
        most_samples = max(1, round(block_seconds * sample_rate_hz))
        samples_before = 0
        with self._conversation(intake, job) as child:
            while samples_before <= self._limits.max_duration_seconds * sample_rate_hz:
                offer = child.next_offer()
                if offer is None:
                    return
                if not isinstance(offer, SoundOffered) or offer.count > most_samples:
                    raise _not_asked_for()
                samples = child.receive(offer).view(np.float32).copy()
                yield Waveform(samples, sample_rate_hz, samples_before / sample_rate_hz)
                samples_before += len(samples)

    def _pixels(self, child: _Child, offer: Offer) -> NDArray[np.uint8]:
        if not isinstance(offer, PixelsOffered) or offer.height_px * offer.width_px > self._limits.max_pixels:
            raise _not_asked_for()
        return child.receive(offer).reshape(offer.height_px, offer.width_px, 3)

    @contextmanager
    def _conversation(self, intake: Intake, job: Job) -> Iterator[_Child]:
        packet = encode(job)
        media_descriptor = open_taken(intake)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with closing(_Child(ours, self._limits.decode_timeout_seconds)) as child:
            try:
                self._hand_over(media_descriptor, theirs.fileno())
            finally:
                os.close(media_descriptor)
                theirs.close()
            child.start(packet)
            yield child

    def _hand_over(self, *descriptors: int) -> None:
        """Give a job's descriptors to the server; one that was killed (out of memory) is replaced."""
        with self._lock:
            if self._server is None:
                raise DecoderCrashed("the decoder is closed")
            if self._server.has_ended():
                self._server.stop()
                self._server = _Server()
            self._server.hand_over(*descriptors)


class _Server:
    """The warm process that forks children, and the socket to it."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [*isolation().prefix, sys.executable, "-P", "-m", "deepscreen.media.zygote", str(theirs.fileno())],
                env=_server_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C in the terminal is for the program
            )
        # Also when a Decoder is dropped without being closed, and at the end of the program.
        self.stop = weakref.finalize(self, _stop, self._control, self._process)

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def hand_over(self, *descriptors: int) -> None:
        try:
            socket.send_fds(self._control, [b"j"], list(descriptors))
        except OSError as error:
            raise DecoderCrashed(f"the decoder server has ended: {error.strerror}") from error


def _stop(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    control.close()  # the server reads the end of its socket and exits
    try:
        process.wait(CLOSE_WAIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _server_environment() -> dict[str, str]:
    """The few variables that the server needs, with a path on which it finds this very package."""
    kept = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    package_folder = str(Path(deepscreen.__file__).resolve().parent.parent)
    paths = [package_folder, *filter(None, [kept.get("PYTHONPATH")])]
    return kept | SERVER_VARIABLES | {"PYTHONPATH": os.pathsep.join(paths)}


class _Child:
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

    def expect_written(self) -> None:
        self._hear(Written)

    def next_offer(self) -> Offer | None:
        """What the child has to give, or None when it has done."""
        reply = self._hear(PixelsOffered, SoundOffered, Done)
        return reply if isinstance(reply, Offer) else None

    def receive(self, offer: Offer) -> NDArray[np.uint8]:
        """The samples of *offer*, in a buffer made for them. Its size was checked by the caller, and is sealed."""
        buffer = self.provide(offer)
        self.expect_written()
        return buffer

    def provide(self, wish: Offer | RoomWanted) -> NDArray[np.uint8]:
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


def _not_asked_for() -> DecoderCrashed:
    return DecoderCrashed("the decoder offered what was not asked for and was stopped")


def _died() -> DecoderCrashed:
    return DecoderCrashed("the decoder process died: a crash, or more memory or time than it may have")
