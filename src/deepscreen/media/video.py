"""Sample a clip by presentation time, decoding no more than that needs. Runs in the decoder process.

The container is read once from front to back, without seeking: indexes lie, and packets are cheap. Packets are taken in
chunks that begin at a key frame; a chunk is skipped when the next key frame already comes at or before the time that is
looked for, and within a chunk frames that are neither shown nor referred to are not decoded.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Any, BinaryIO, TypeVar, cast

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from deepscreen.errors import UndecodableMedia
from deepscreen.media.container import frames_of, open_container, packets, video_streams
from deepscreen.media.samples import Pixels
from deepscreen.media.sniff import Sniffed
from deepscreen.media.turn import turn_of

CHUNK_MAX_PACKETS = 1_000
CHUNK_MAX_BYTES = 64 * 1024 * 1024
ROUNDING_TICKS = 1e-6
Picture = TypeVar("Picture")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive packets from a key frame on. ``next_key``: the time of the key frame that follows, if it is known."""

    packets: tuple[Packet[VideoStream], ...]
    next_key: int | None
    is_last: bool

    @property
    def times(self) -> list[int]:
        return sorted(t for p in self.packets if (t := time_of(p)) is not None and not p.is_discard)


def shown_at(frames: Iterable[tuple[float, Picture]], times: Sequence[float]) -> Iterator[tuple[float, Picture]]:
    """For each time the frame that is shown then: the last one that begins at or before it, or else the first frame.

    ``frames``: (start, picture), ascending, in the same unit as the ascending *times*. A frame that is shown at
    several of the times is given once.
    """
    waiting = deque(times)
    shown: tuple[float, Picture] | None = None
    for frame in frames:
        if shown is not None and waiting[0] < frame[0]:
            yield shown
            while waiting and waiting[0] < frame[0]:
                waiting.popleft()
        if not waiting:
            return
        shown = frame
    if shown is not None:
        yield shown


def clip_frames(
    file: BinaryIO, sniffed: Sniffed, times_seconds: tuple[float, ...]
) -> Iterator[tuple[float, VideoFrame]]:
    """Start in seconds from the first frame, and decoded frame, for the ascending *times_seconds* (see ``shown_at``).

    Nothing when there is no video stream or it has no packets; UndecodableMedia when not one of its frames decodes.
    What stands before a break of the file is given.
    """
    with open_container(file, sniffed) as container:
        streams = video_streams(container)
        chunks = chunked(packets(container, streams[0])) if streams else iter(())
        first = next((chunk for chunk in chunks if chunk.times), None)
        if first is None or not times_seconds:
            return
        search = _Search.over(streams[0], times_seconds, origin=first.times[0])
        for pts, frame in shown_at(search.all_frames(chain((first,), chunks)), search.wanted):
            yield float((int(pts) - search.origin) * search.time_base), frame
        if search.latest < search.origin:
            raise UndecodableMedia("not one frame of the video stream can be decoded")


def chunked(stream_packets: Iterator[Packet[VideoStream]]) -> Iterator[Chunk]:
    """Cut a stream before its key frames, and where a chunk would grow too large to be kept."""
    kept: list[Packet[VideoStream]] = []
    size_bytes = 0
    for packet in stream_packets:
        is_full = len(kept) >= CHUNK_MAX_PACKETS or size_bytes >= CHUNK_MAX_BYTES
        if kept and (packet.is_keyframe or is_full):
            yield Chunk(tuple(kept), time_of(packet) if packet.is_keyframe else None, is_last=False)
            kept, size_bytes = [], 0
        kept.append(packet)
        size_bytes += packet.size
    if kept:
        yield Chunk(tuple(kept), None, is_last=True)


def time_of(item: Packet[Any] | VideoFrame) -> int | None:
    """Presentation time in units of the stream's time base; the decoding time where a container gives no other."""
    return item.pts if item.pts is not None else item.dts


@dataclass(slots=True)
class _Search:
    """The decoder and the times that are still looked for, in units of the time base."""

    stream: VideoStream
    time_base: Fraction
    origin: int
    wanted: list[int]
    latest: int
    is_fresh: bool = True  # the decoder holds no frames, so that it may begin at any key frame

    @classmethod
    def over(cls, stream: VideoStream, times_seconds: tuple[float, ...], *, origin: int) -> _Search:
        time_base = stream.time_base or Fraction(1, 1_000_000)
        # A time is a rounded decimal: a frame that begins at 0.3 s is shown at 0.3 s, whatever its last binary digit.
        wanted = [origin + math.floor(t / float(time_base) + ROUNDING_TICKS) for t in times_seconds]
        return cls(stream, time_base, origin, wanted, latest=origin - 1)

    def all_frames(self, chunks: Iterable[Chunk]) -> Iterator[tuple[int, VideoFrame]]:
        """At least the frames that ``shown_at`` picks, ascending; others between them may be missing."""
        for chunk in chunks:
            yield from self._frames_in(chunk)

    def _frames_in(self, chunk: Chunk) -> Iterator[tuple[int, VideoFrame]]:
        if not self._can_skip(chunk):
            self.is_fresh = False
            yield from self._in_order(self._feed(chunk))
        if chunk.is_last or self._can_skip(chunk):
            yield from self._restart()

    def _can_skip(self, chunk: Chunk) -> bool:
        """All times that are looked for lie at or after the next key frame, or none is left."""
        pending = self._pending()
        return pending is None or (chunk.next_key is not None and chunk.next_key <= pending)

    def _pending(self) -> int | None:
        """The first time whose frame is not yet certain: no later frame was seen."""
        place = bisect_right(self.wanted, self.latest - 1)
        return self.wanted[place] if place < len(self.wanted) else None

    def _feed(self, chunk: Chunk) -> Iterator[VideoFrame]:
        times = chunk.times
        needed = {times[max(0, bisect_right(times, t) - 1)] for t in self.wanted} if times else set()
        for packet in chunk.packets:
            if self._can_skip(chunk):
                return
            is_needed = packet.pts is None or packet.pts in needed
            self.stream.codec_context.skip_frame = "DEFAULT" if is_needed else "NONREF"
            yield from frames_of(self.stream, packet)

    def _restart(self) -> Iterator[tuple[int, VideoFrame]]:
        """Take the frames that the decoder still holds, and make it ready for another key frame."""
        if self.is_fresh:
            return
        yield from self._in_order(frames_of(self.stream, None))
        self.stream.codec_context.flush_buffers()
        self.is_fresh = True

    def _in_order(self, frames: Iterable[VideoFrame]) -> Iterator[tuple[int, VideoFrame]]:
        for frame in frames:
            pts = time_of(frame)
            if pts is not None and pts > self.latest:  # else damaged, or before the first frame that is shown
                self.latest = pts
                yield pts, frame


def frame_pixels(frame: VideoFrame) -> Pixels:
    """The frame as upright RGB, full range, by its own colour space. One thread: see ``container``."""
    rgb = frame.reformat(format="rgb24", dst_color_range="JPEG", threads=1)
    return turn_of(frame).apply(cast(Pixels, rgb.to_ndarray()))
