"""The decoder server: a small process that has the decoders loaded and forks one child per job.

It is started by ``sandbox.Decoder`` as ``python -m deepscreen.media.zygote <socket>`` and never parses media itself. A
job arrives as descriptors: the socket on which its child talks (``wire``), and the media file, of a disk image all its
segments. The server ends when its own socket is closed, that is with the program; children are killed when it ends.
"""

from __future__ import annotations

import base64
import ctypes
import gc
import math
import mmap
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import av.logging
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from deepscreen.errors import MediaError
from deepscreen.findings.finding import Finding
from deepscreen.media.containers.unpack import unpack
from deepscreen.media.decoding import perform
from deepscreen.media.samples import MediaFacts, Pixels
from deepscreen.media.seccomp import can_filter, deny_reaching_out
from deepscreen.media.wire import (
    MAX_FURTHER_FILES,
    MAX_MESSAGE_BYTES,
    MAX_NAME_BYTES,
    MAX_TEXT_CHARACTERS,
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
    RoomWanted,
    SoundOffered,
    Started,
    Written,
    decode_job,
    encode,
)
from deepscreen.settings import Limits

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
MAX_OPEN_FILES = 32
# A child may compute for long while it keeps giving results; this only ends one that nobody watches any more.
CPU_SECONDS_PER_TIMEOUT_SECOND = 30
_libc = ctypes.CDLL(None, use_errno=True)


class PipeOutlet:
    """Sends results over the job's socket; pixels and samples go through buffers that the program provides."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def say(self, message: BaseModel) -> None:
        self._channel.sendall(encode(message))

    def tell_facts(self, facts: MediaFacts) -> None:
        self.say(FactsFound(facts=facts))

    def tell_finding(self, found: Finding) -> None:
        self.say(FindingMade(finding=found))

    def reserve(self, pixels: int) -> Callable[[Callable[[NDArray[np.uint8]], None]], None]:
        wish = RoomWanted(pixels=pixels)
        descriptor = self._ask(wish)
        return lambda write: self._fill(descriptor, wish.size_bytes, write)

    def send_pixels(self, height_px: int, width_px: int, pts_seconds: float, write: Callable[[Pixels], None]) -> None:
        offer = PixelsOffered(height_px=height_px, width_px=width_px, pts_seconds=max(0.0, pts_seconds))
        self._fill(self._ask(offer), offer.size_bytes, lambda buffer: write(buffer.reshape(height_px, width_px, 3)))

    def send_sound(self, samples: NDArray[np.float32]) -> None:
        offer = SoundOffered(count=len(samples))
        self._fill(self._ask(offer), offer.size_bytes, lambda buffer: np.copyto(buffer.view(np.float32), samples))

    def send_bytes(self, content: bytes) -> None:
        offer = BytesOffered(count=len(content))
        self._fill(self._ask(offer), len(content), lambda buffer: np.copyto(buffer, np.frombuffer(content, np.uint8)))

    def is_wanted(self) -> bool:
        """The program's answer to a member that was found."""
        answer = self._channel.recv(1)
        if not answer:
            raise BrokenPipeError("the program wants no more")
        return answer == WANTED

    def _ask(self, wish: Offer | RoomWanted | BytesOffered) -> int:
        """The descriptor of the buffer that the program gives for *wish*."""
        self.say(wish)
        _, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
        if not descriptors:
            raise BrokenPipeError("the program wants no more")
        return descriptors[0]

    def _fill(self, descriptor: int, size_bytes: int, write: Callable[[NDArray[np.uint8]], None]) -> None:
        try:
            # The mapping goes when its last array does. Populated at once: single page faults are slow.
            buffer = mmap.mmap(descriptor, size_bytes, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
        finally:
            os.close(descriptor)
        write(np.frombuffer(buffer, np.uint8))
        self.say(Written())


class MemberOutlet:
    """Sends the members of a container: the ``Sink`` of those who take it apart."""

    def __init__(self, outlet: PipeOutlet) -> None:
        self._outlet = outlet

    def begin(self, name: bytes, size_bytes: int | None, problem: MediaError | None = None) -> bool:
        kind, text = _told(problem)
        name_b64 = base64.b64encode(name[:MAX_NAME_BYTES]).decode("ascii")
        size = None if size_bytes is None else max(0, size_bytes)
        self._outlet.say(MemberFound(name_b64=name_b64, size_bytes=size, problem=kind, text=text))
        return problem is None and self._outlet.is_wanted()

    def write(self, content: bytes) -> None:
        if content:
            self._outlet.send_bytes(content)

    def end(self, problem: MediaError | None = None) -> None:
        kind, text = _told(problem)
        self._outlet.say(MemberEnded(problem=kind, text=text))


def _told(problem: MediaError | None) -> tuple[str | None, str]:
    return (None, "") if problem is None else (type(problem).__name__, _as_text(str(problem)))


def serve(control: socket.socket) -> None:
    """Fork one child for each pair of descriptors that arrives, until the other end is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps children
    av.logging.set_level(None)
    gc.freeze()
    server_pid = os.getpid()
    while True:
        packet, descriptors, _, _ = socket.recv_fds(control, 1, 2 + MAX_FURTHER_FILES)
        if not packet:
            return
        with suppress(OSError):  # no process to be had: the program sees the job's socket close
            if os.fork() == 0:
                control.close()
                _be_child(server_pid, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _be_child(server_pid: int, channel_descriptor: int, *media_descriptors: int) -> None:
    """Do one job and end the process, without any of the clean-up that belongs to the server."""
    try:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == server_pid:
            _run_job(socket.socket(fileno=channel_descriptor), media_descriptors)
    finally:
        os._exit(0)


def _run_job(channel: socket.socket, media_descriptors: Sequence[int]) -> None:
    job = decode_job(channel.recv(MAX_MESSAGE_BYTES))
    own_handle = os.pidfd_open(os.getpid())
    socket.send_fds(channel, [encode(Started())], [own_handle])
    os.close(own_handle)
    confine(job.limits, open_files=len(media_descriptors))
    outlet = PipeOutlet(channel)
    try:
        files = [os.fdopen(descriptor, "rb") for descriptor in media_descriptors]
        if job.container is not None:
            unpack(job.container, files, MemberOutlet(outlet), max_members=job.max_members)
        else:
            perform(job, files[0], outlet)
        outlet.say(Done())
    except (BrokenPipeError, ConnectionError):
        return  # the program has gone, or has had enough
    except Exception as error:
        outlet.say(_failure(error))


def _failure(error: Exception) -> Failed:
    if isinstance(error, MediaError):
        return Failed(error=type(error).__name__, text=_as_text(str(error)))
    if isinstance(error, MemoryError):
        return Failed(error="DecoderCrashed", text="decoding needs more memory than limits.decode_memory_bytes")
    return Failed(error="DecoderCrashed", text=_as_text(f"the decoder failed: {type(error).__name__}: {error}"))


def _as_text(words: str) -> str:
    """Short, and without lone surrogates, which no message can carry; libraries quote bytes of the file."""
    return words.encode("utf-8", "replace").decode()[:MAX_TEXT_CHARACTERS]


def confine(limits: Limits, *, open_files: int = 1) -> None:
    """Give up what decoding does not need: memory, files, writing, core dumps, privileges, network, other processes."""
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    cpu_seconds = math.ceil(limits.decode_timeout_seconds * CPU_SECONDS_PER_TIMEOUT_SECOND)
    bounds = {
        resource.RLIMIT_AS: limits.decode_memory_bytes,
        resource.RLIMIT_CPU: max(10, cpu_seconds),
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: MAX_OPEN_FILES + open_files,
        resource.RLIMIT_CORE: 0,
    }
    for what, bound in bounds.items():
        hard = resource.getrlimit(what)[1]
        bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(what, (bound, bound))
    null = os.open(os.devnull, os.O_RDWR)  # codecs write warnings to stderr
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    if can_filter():
        deny_reaching_out()  # raises where the kernel refuses: then nothing is decoded


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
