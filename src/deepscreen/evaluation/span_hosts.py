"""Minute-long clips with one manipulated second, and their untouched twins, made from labelled clips.

A host is joined from bona fide clips of one source, again and again until it is long enough. Its twin is coded in
groups of one second that know nothing of each other; of the manipulated host only the groups that the second touches
are coded anew, by the same coder. So both have the same joins, and what lies outside is the same bit for bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
from av.bitstream import BitStreamFilterContext
from numpy.typing import NDArray

from deepscreen.media.samples import Pixels
from deepscreen.training.labelled import LabelledFile

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

FRAME_RATE = 15
HOST_FRAMES, SPAN_FRAMES = 60 * FRAME_RATE, FRAME_RATE
LONG_SIDE_PX = 480
CLIPS_PER_HOST = 5
MAX_CLIP_FRAMES = HOST_FRAMES // CLIPS_PER_HOST
MIN_MATERIAL_FRAMES = 4 * FRAME_RATE  # a host of less would be the same few pictures all over
# No scene cuts, no frames that look ahead: a group of pictures depends on its own frames alone.
GROUP = FRAME_RATE
CODER = {"qp": "24", "g": str(GROUP), "bf": "0", "sc_threshold": "0", "preset": "veryfast", "threads": "1"}
TICK = Fraction(1, FRAME_RATE)
Size = tuple[int, int]  # width, height, both even


@dataclass(frozen=True, slots=True)
class Host:
    """Bona fide clips of one source that are joined in this order; ``fold``: of all its pieces."""

    name: str
    clips: tuple[LabelledFile, ...]
    fold: int

    @property
    def source(self) -> str:
        """The source of all its clips."""
        return self.clips[0].source


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames [first, last) of a host show the clip from its beginning."""

    clip: LabelledFile
    first: int
    last: int


@dataclass(frozen=True, slots=True, repr=False)
class Footage:
    """A host's frames: those of its clips are held once, at one size."""

    size: Size
    clips: tuple[tuple[Pixels, ...], ...]
    stretches: tuple[Stretch, ...]
    clip_numbers: tuple[int, ...]  # of each stretch

    @classmethod
    def of(cls, host: Host) -> Footage | None:
        """None where the clips are too short to make a host."""
        size = host_size(host)
        clips = tuple(tuple(islice(clip_frames(c.path, size), MAX_CLIP_FRAMES)) for c in host.clips)
        if sum(map(len, clips)) < MIN_MATERIAL_FRAMES:
            return None
        stretches, numbers = [], []
        first = 0
        for number, frames in cycle(enumerate(clips)):
            last = min(HOST_FRAMES, first + len(frames))
            stretches.append(Stretch(host.clips[number], first, last))
            numbers.append(number)
            first = last
            if first == HOST_FRAMES:
                return cls(size, clips, tuple(stretches), tuple(numbers))
        return None

    def frames(self, first: int = 0, last: int = HOST_FRAMES) -> Iterator[Pixels]:
        """Frames [first, last) of the host."""
        for stretch, number in zip(self.stretches, self.clip_numbers, strict=True):
            low, high = max(first, stretch.first), min(last, stretch.last)
            yield from self.clips[number][max(0, low - stretch.first) : max(0, high - stretch.first)]


def hosts_of(
    clips: Sequence[LabelledFile], folds: NDArray[np.int64], clips_per_host: int = CLIPS_PER_HOST
) -> list[Host]:
    """Hosts of up to *clips_per_host* bona fide clips each, from every source that has one."""
    by_source: dict[str, list[tuple[LabelledFile, int]]] = {}
    for clip, fold in zip(clips, folds, strict=True):
        if clip.label == 0:
            by_source.setdefault(clip.source, []).append((clip, int(fold)))
    hosts = []
    for source, own in sorted(by_source.items()):
        for number, start in enumerate(range(0, len(own), clips_per_host)):
            batch = own[start : start + clips_per_host]
            hosts.append(Host(f"{source}#{number}", tuple(clip for clip, _ in batch), batch[0][1]))
    return hosts


def host_size(host: Host) -> Size:
    """The size of its first clip, brought to at most ``LONG_SIDE_PX``, in even numbers."""
    with av.open(str(host.clips[0].path)) as container:
        stream = container.streams.video[0]
        width, height = stream.width, stream.height
    scale = min(1.0, LONG_SIDE_PX / max(width, height))
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def clip_frames(path: Path, size: Size) -> Iterator[Pixels]:
    """The clip at ``FRAME_RATE`` and *size*: what does not fit is cut off at the sides, nothing is distorted."""
    shown: Pixels | None = None
    k, end_seconds = 0, 0.0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        origin: float | None = None
        for frame in container.decode(stream):
            origin = frame.time if origin is None else origin
            start_seconds = (frame.time or 0.0) - (origin or 0.0)
            while shown is not None and k * TICK < start_seconds:
                yield shown
                k += 1
            shown = covering(np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8), size)
            end_seconds = start_seconds + 1 / float(stream.average_rate or FRAME_RATE)
    while shown is not None and k * TICK < end_seconds:
        yield shown
        k += 1


def covering(pixels: NDArray[np.uint8], size: Size) -> Pixels:
    """The middle of the picture at *size*, without distortion."""
    height, width = pixels.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    inner = (max(size[0], round(width * scale)), max(size[1], round(height * scale)))
    large = np.asarray(cv2.resize(pixels, inner, interpolation=method), dtype=np.uint8)
    left, top = (inner[0] - size[0]) // 2, (inner[1] - size[1]) // 2
    return np.ascontiguousarray(large[top : top + size[1], left : left + size[0]])


def write_twin(target: Path, footage: Footage) -> None:
    """The untouched host as MP4, H.264; moved into place when it is whole."""
    temporary = target.with_suffix(".part")
    with av.open(str(temporary), "w", format="mp4") as container:
        stream = _coder(container, footage.size)
        for packet in _coded(stream, footage.frames(), first=0):
            container.mux(packet)
    temporary.rename(target)


def write_spliced(target: Path, twin: Path, footage: Footage, altered: Sequence[Pixels], first: int) -> None:
    """The twin with *altered* in place of its frames from *first* on."""
    start = first // GROUP * GROUP
    end = min(HOST_FRAMES, -(-(first + len(altered)) // GROUP) * GROUP)
    frames = [*footage.frames(start, first), *altered, *footage.frames(first + len(altered), end)]
    temporary = target.with_suffix(".part")
    with av.open(str(twin)) as source, av.open(str(temporary), "w", format="mp4") as container:
        stream, whole = _coder(container, footage.size), source.streams.video[0]
        fresh = list(_coded(stream, iter(frames), first=start))
        as_coded = BitStreamFilterContext("h264_mp4toannexb", whole)  # as the coder gives them, not as MP4 keeps them
        for packet in source.demux(whole):
            if packet.pts is None or packet.time_base is None:
                continue
            inside = start <= round(packet.pts * packet.time_base * FRAME_RATE) < end
            for one in [fresh.pop(0)] if inside else as_coded.filter(packet):
                one.stream = stream
                container.mux(one)
    temporary.rename(target)


def _coder(container: OutputContainer, size: Size) -> VideoStream:
    stream = container.add_stream("libx264", rate=FRAME_RATE)
    stream.options, stream.pix_fmt = dict(CODER), "yuv420p"
    stream.width, stream.height = size
    return stream


def _coded(stream: VideoStream, frames: Iterator[Pixels], *, first: int) -> Iterator[Packet[VideoStream]]:
    for number, pixels in enumerate(frames, start=first):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = number, TICK
        yield from stream.encode(frame)
    yield from stream.encode(None)


def file_name(*words: object) -> str:
    """A name for what these words describe."""
    return hashlib.sha256("|".join(map(str, words)).encode()).hexdigest()[:24] + ".mp4"
