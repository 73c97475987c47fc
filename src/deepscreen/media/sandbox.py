"""Decode untrusted files in child processes; nothing of a file's content is parsed in the program itself.

``Decoder`` keeps one warm server process (``zygote``) and has it fork a confined child for every job. A child can do no
more than send typed messages (``wire``) and fill buffers that are allocated here, after its claims were checked.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from deepscreen.errors import DecoderCrashed, MediaError, UnreadableMedia
from deepscreen.findings.finding import Finding
from deepscreen.findings.inspectors import not_inspected
from deepscreen.media.containers.kinds import ContainerKind
from deepscreen.media.conversation import Child, not_asked_for
from deepscreen.media.intake import Intake, open_regular, open_taken
from deepscreen.media.isolation import isolation
from deepscreen.media.members import Members
from deepscreen.media.samples import Frame, MediaFacts, SamplingPlan, Still, Waveform
from deepscreen.media.wire import (
    MAX_FINDINGS,
    FactsFound,
    Job,
    Offer,
    PixelsOffered,
    SoundOffered,
    encode,
)
from deepscreen.process import end_or_kill, python_path
from deepscreen.settings import Limits

BeforeRoom = Callable[[int], None]
CLOSE_WAIT_SECONDS = 2.0
# The server parses hostile bytes in its children: it inherits nothing that could be a secret.
INHERITED_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "PYTHONHOME")
# One thread and few heaps: an address space of a few hundred MiB instead of several GiB.
# Large pages for large blocks (glibc; others ignore it): a fresh child's first touch of 48 MB takes 5 ms, not 25.
SERVER_VARIABLES = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


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
        self._trust_anchors = trust_list.read_text("ascii") if trust_list is not None else ""
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

    def examine(self, intake: Intake, *, before_room: BeforeRoom = lambda _: None) -> Examined:
        """What the file is, by its content, and the decoded picture where it is one.

        ``before_room``: is told how many pixels a picture has before memory for it is taken, and may wait.
        """
        with self._conversation(intake, Job(operation="examine", limits=self._limits)) as child:
            beginning = child.first_word()
            if isinstance(beginning, FactsFound):
                return Examined(beginning.facts, None)
            if beginning.pixels > self._limits.max_pixels:
                raise not_asked_for()
            before_room(beginning.pixels)
            buffer = child.provide(beginning)
            facts = child.expect_facts()
            child.expect_written()
            child.expect_end()  # from here on nobody else can change the pixels
        stream = facts.stream("image")
        height_px, width_px = (stream.height_px or 0, stream.width_px or 0) if stream is not None else (0, 0)
        if height_px * width_px != beginning.pixels:
            raise not_asked_for()
        pixels = buffer.reshape(height_px, width_px, 3)
        return Examined(facts, Still(pixels))

    def inspect(self, intake: Intake) -> tuple[Finding, ...]:
        """Findings on metadata, structure, content credentials and sound.

        Raises nothing that is about the file's content: what could not be looked at is a finding too.
        """
        found: list[Finding] = []
        try:
            with self._conversation(
                intake, Job(operation="inspect", limits=self._limits, trust_anchors=self._trust_anchors)
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
                    raise not_asked_for()
                samples = child.receive(offer).view(np.float32).copy()
                yield Waveform(samples, sample_rate_hz, samples_before / sample_rate_hz)
                samples_before += len(samples)

    @contextmanager
    def members(
        self, intake: Intake, kind: ContainerKind, *, further: Sequence[Path] = (), max_members: int = 1_000_000
    ) -> Iterator[Members]:
        """The files within a container, one after the other. ``further``: the other segments of an E01 image.

        What is wrong with a member is raised where its content is read; what is wrong with the container as a whole
        where the next member is asked for.
        """
        job = Job(
            operation="unpack",
            limits=self._limits,
            container=kind,
            max_members=max_members,
            further_files=len(further),
        )
        with self._conversation(intake, job, further) as child:
            yield Members(child)

    def _pixels(self, child: Child, offer: Offer) -> NDArray[np.uint8]:
        if not isinstance(offer, PixelsOffered) or offer.height_px * offer.width_px > self._limits.max_pixels:
            raise not_asked_for()
        return child.receive(offer).reshape(offer.height_px, offer.width_px, 3)

    @contextmanager
    def _conversation(self, intake: Intake, job: Job, further: Sequence[Path] = ()) -> Iterator[Child]:
        packet = encode(job)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with closing(Child(ours, self._limits.decode_timeout_seconds)) as child:
            with theirs, ExitStack() as opened:
                files = [open_taken(intake)]
                opened.callback(os.close, files[0])
                for path in further:
                    files.append(open_regular(path))
                    opened.callback(os.close, files[-1])
                self._hand_over(theirs.fileno(), *files)
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
    end_or_kill(process, patience_seconds=CLOSE_WAIT_SECONDS)


def _server_environment() -> dict[str, str]:
    """The few variables that the server needs, with a path on which it finds this very package."""
    kept = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    return kept | SERVER_VARIABLES | {"PYTHONPATH": python_path()}
