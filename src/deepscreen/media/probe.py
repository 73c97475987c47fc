"""Measure a container by reading its packets, and keep what it claims apart. Runs in the decoder process."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from deepscreen.errors import MediaTooLarge, UnsupportedMedia
from deepscreen.findings.finding import Finding, finding
from deepscreen.media.container import audio_streams, open_container, packets, video_streams
from deepscreen.media.samples import MediaFacts, MediaKind, StreamFacts
from deepscreen.media.sniff import MATROSKA, MOV, Sniffed
from deepscreen.media.turn import Turn, turn_of
from deepscreen.media.wav_header import wav_claimed_seconds
from deepscreen.settings import Limits

# The other demuxers guess a duration from bit rate or from the last packet; a guess is no claim of the file.
DEMUXERS_THAT_CLAIM_A_DURATION = frozenset({MOV, MATROSKA, "avi", "wav", "flac"})
MISMATCH_SHARE = 0.05
MISMATCH_SECONDS = 0.5
REORDER_DEPTH = 32  # frames are stored at most 16 out of order (H.264, HEVC)
MAX_DISTINCT_STEPS = 1_000
STEP_TOLERANCE_SHARE = 0.1
STEP_TOLERANCE_SECONDS = 0.0015  # Matroska rounds to milliseconds
VARIABLE_SHARE = 0.01
FIRST_FRAME_MAX_PACKETS = 300
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


@dataclass(slots=True)
class PacketClock:
    """Runs along the packets of one stream, in flat memory, and tells count, duration and evenness of its times."""

    time_base: Fraction
    count: int = 0
    first: int | None = None
    end: int | None = None
    _waiting: list[int] = field(default_factory=list)
    _previous: int | None = None
    _steps: Counter[int] = field(default_factory=Counter)

    def see(self, packet: Packet[Any]) -> None:
        if packet.is_discard:
            return
        self.count += 1
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None:
            return
        self.first = time if self.first is None else min(self.first, time)
        end = time + (packet.duration or 0)
        self.end = end if self.end is None else max(self.end, end)
        heapq.heappush(self._waiting, time)
        if len(self._waiting) > REORDER_DEPTH:
            self._step_to(heapq.heappop(self._waiting))

    def finish(self) -> None:
        """Count the steps that still wait; call once, after the last packet."""
        while self._waiting:
            self._step_to(heapq.heappop(self._waiting))

    def _step_to(self, time: int) -> None:
        if self._previous is not None and len(self._steps) < MAX_DISTINCT_STEPS:
            self._steps[time - self._previous] += 1
        self._previous = time

    @property
    def duration_seconds(self) -> float | None:
        """From the first packet's time to the end of the last, or None without any timed packet."""
        last = self._previous
        if self.first is None or self.end is None or last is None:
            return None
        end = self.end if self.end > last else last + self._usual_step()  # some packets say no duration
        return float((end - self.first) * self.time_base)

    @property
    def is_uneven(self) -> bool:
        """True when more than one step, and more than one in a hundred, differs from the usual step."""
        if sum(self._steps.values()) < 2:
            return False
        usual = self._usual_step()
        tolerance = max(usual * STEP_TOLERANCE_SHARE, STEP_TOLERANCE_SECONDS / float(self.time_base))
        odd = sum(n for step, n in self._steps.items() if abs(step - usual) > tolerance)
        return odd >= 2 and odd > VARIABLE_SHARE * sum(self._steps.values())

    def _usual_step(self) -> int:
        middle = sum(self._steps.values()) // 2
        for step in sorted(self._steps):
            middle -= self._steps[step]
            if middle < 0:
                return step
        return 0


def probe_container(file: BinaryIO, sniffed: Sniffed, limits: Limits) -> MediaFacts:
    """What the file is: kind, streams, and facts. Decodes one frame; all else comes from packets.

    Raises UndecodableMedia (broken header), UnsupportedMedia (no picture or sound), MediaTooLarge (pixels, seconds).
    """
    wav_seconds = wav_claimed_seconds(file) if sniffed.format == "wav" else None
    with open_container(file, sniffed) as container:
        videos, audios = video_streams(container), audio_streams(container)
        if not videos and not audios:
            raise UnsupportedMedia(f"the {sniffed.format} file holds no picture and no sound")
        for stream in videos[:1]:
            check_pixels(stream.width, stream.height, limits)
        measured = _Measured.of(container, videos[:1], audios[:1])
        streams = tuple(_video_facts(s, sniffed, measured) for s in videos[:1])
        streams += tuple(_audio_facts(s, sniffed, measured) for s in audios[:1])
    if wav_seconds is not None:
        streams = tuple(replace(s, duration_seconds_claimed=wav_seconds) for s in streams)
    _check_duration(streams, limits)
    facts = tuple(_facts(streams, measured, len(videos), len(audios)))
    kind: MediaKind = "video" if videos else "audio"
    mime = sniffed.mime if videos else sniffed.mime.replace("video/quicktime", "video/mp4").replace("video/", "audio/")
    return MediaFacts(kind, sniffed.format, mime, streams, facts)


def check_pixels(width_px: int, height_px: int, limits: Limits) -> None:
    """Raises MediaTooLarge for a frame beyond the limit."""
    if width_px * height_px > limits.max_pixels:
        raise MediaTooLarge(
            f"frames of {width_px} x {height_px} pixels; at most {limits.max_pixels} are decoded (limits.max_pixels)"
        )


@dataclass(frozen=True, slots=True)
class _Measured:
    clocks: dict[int, PacketClock]  # by stream index
    first_frame: VideoFrame | None

    @classmethod
    def of(cls, container: InputContainer, videos: list[VideoStream], audios: list[AudioStream]) -> _Measured:
        streams = [*videos, *audios]
        clocks = {s.index: PacketClock(s.time_base or Fraction(1, 1_000_000)) for s in streams}
        first_frame, tries = None, FIRST_FRAME_MAX_PACKETS if videos else 0
        for packet in packets(container, *streams):
            clocks[packet.stream.index].see(packet)
            if first_frame is None and tries > 0 and packet.stream.type == "video":
                tries -= 1
                first_frame = _decoded(packet)
        if first_frame is None and videos:
            first_frame = _decoded(None, videos[0])
        for clock in clocks.values():
            clock.finish()
        return cls(clocks, first_frame)


def _decoded(packet: Packet[VideoStream] | None, stream: VideoStream | None = None) -> VideoFrame | None:
    """The first frame that *packet* completes (None drains *stream*), or None: it may come later, or never."""
    try:
        frames = packet.decode() if packet is not None else stream.codec_context.decode(None) if stream else []
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError):
        return None
    return next(iter(frames), None)


def _video_facts(stream: VideoStream, sniffed: Sniffed, measured: _Measured) -> StreamFacts:
    clock, frame = measured.clocks[stream.index], measured.first_frame
    width_px, height_px = (stream.width, stream.height) if frame is None else (frame.width, frame.height)
    turn = Turn() if frame is None else turn_of(frame)
    if turn.swaps_axes:
        width_px, height_px = height_px, width_px
    return StreamFacts(
        kind="video",
        codec=_codec_name(stream),
        width_px=width_px or None,
        height_px=height_px or None,
        rotation_degrees=turn.clockwise_degrees,
        frame_rate_claimed=float(stream.average_rate) if stream.average_rate else None,
        frame_count_measured=clock.count,
        variable_frame_rate=clock.is_uneven,
        duration_seconds_claimed=_claimed_seconds(stream, sniffed),
        duration_seconds_measured=clock.duration_seconds,
    )


def _audio_facts(stream: AudioStream, sniffed: Sniffed, measured: _Measured) -> StreamFacts:
    return StreamFacts(
        kind="audio",
        codec=_codec_name(stream),
        duration_seconds_claimed=_claimed_seconds(stream, sniffed),
        duration_seconds_measured=measured.clocks[stream.index].duration_seconds,
        sample_rate_hz=stream.codec_context.sample_rate if stream.codec_context else None,
        channels=stream.codec_context.channels if stream.codec_context else None,
    )


def _codec_name(stream: VideoStream | AudioStream) -> str:
    return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"


def _claimed_seconds(stream: VideoStream | AudioStream, sniffed: Sniffed) -> float | None:
    if sniffed.format not in DEMUXERS_THAT_CLAIM_A_DURATION:
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    whole = stream.container.duration if isinstance(stream.container, InputContainer) else None
    return whole / av.time_base if whole is not None else None


def _check_duration(streams: tuple[StreamFacts, ...], limits: Limits) -> None:
    longest = max((s.duration_seconds_measured or 0.0 for s in streams), default=0.0)
    if longest > limits.max_duration_seconds:
        raise MediaTooLarge(
            f"{longest:.1f} s long; at most {limits.max_duration_seconds} s are screened (limits.max_duration_seconds)"
        )


def _facts(streams: tuple[StreamFacts, ...], measured: _Measured, videos: int, audios: int) -> list[Finding]:
    facts = [fact for stream in streams if (fact := _mismatch(stream)) is not None]
    if any(s.variable_frame_rate for s in streams):
        facts.append(
            finding(
                "variable_frame_rate",
                "the steps between frames are uneven; frames are taken by their time",
                source="decoding",
            )
        )
    if videos > 1 or audios > 1:
        facts.append(
            finding(
                "several_streams",
                f"{videos} video and {audios} audio streams; the first of each counts",
                source="decoding",
            )
        )
    if measured.first_frame is not None:
        facts += _picture_facts(measured.first_frame)
    elif videos:
        facts.append(
            finding("no_first_frame", "the beginning of the video stream cannot be decoded", source="decoding")
        )
    return facts


def _mismatch(stream: StreamFacts) -> Finding | None:
    claimed, found = stream.duration_seconds_claimed, stream.duration_seconds_measured or 0.0
    if claimed is None or abs(claimed - found) <= max(MISMATCH_SECONDS, MISMATCH_SHARE * max(claimed, found)):
        return None
    return finding(
        "duration_mismatch",
        f"the {stream.kind} stream claims {claimed:.2f} s, its packets last {found:.2f} s",
        source="decoding",
    )


def _picture_facts(frame: VideoFrame) -> list[Finding]:
    facts = []
    turn = turn_of(frame)
    if turn != Turn():
        facts.append(finding("orientation_applied", f"the display matrix was applied: {turn}", source="decoding"))
    if frame.format.components and frame.format.components[0].bits > 8:
        facts.append(
            finding(
                "high_bit_depth_scaled", f"{frame.format.components[0].bits} bits were scaled to 8", source="decoding"
            )
        )
    if frame.color_trc in HDR_TRANSFERS:
        name = HDR_TRANSFERS[frame.color_trc]
        facts.append(
            finding("high_dynamic_range", f"{name} video was converted without tone mapping", source="decoding")
        )
    return facts
