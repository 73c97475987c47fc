"""Open a container with FFmpeg through an already open file: FFmpeg itself never opens, or names, a file.

Runs in the decoder process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NoReturn

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from deepscreen.errors import UndecodableMedia
from deepscreen.media.sniff import Sniffed

IO_BUFFER_BYTES = 256 * 1024


def _refuse_other_files(*_: object) -> NoReturn:
    raise PermissionError("media may not name other files")


@contextmanager
def open_container(file: BinaryIO, sniffed: Sniffed) -> Iterator[InputContainer]:
    """The open container; raises UndecodableMedia when FFmpeg cannot read its header."""
    try:
        # io_open: a container may ask for other files (external tracks); it gets none.
        container = av.open(
            file, "r", format=sniffed.format, buffer_size=IO_BUFFER_BYTES, io_open=_refuse_other_files,
            metadata_errors="replace",
        )  # fmt: skip
    except MemoryError:
        raise
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UndecodableMedia(f"the {sniffed.format} header cannot be read: {reason(error)}") from error
    with container:
        for stream in container.streams.video:
            # Threads conceal damage differently from run to run (seen: H.264, HEVC, MPEG-4, VP9); a record must not.
            stream.codec_context.thread_count = 1
        yield container


def reason(error: BaseException) -> str:
    """The words of an FFmpeg error without the name of the file."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The moving pictures, in order; cover art is none."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def frames_of(stream: VideoStream, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    """What the decoder gives for a packet (None: drain it); nothing for a packet that it cannot decode."""
    try:
        return list(stream.codec_context.decode(packet))
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError):
        return []


def audio_streams(container: InputContainer) -> list[AudioStream]:
    """The sound tracks, in order."""
    return list(container.streams.audio)


def packets(container: InputContainer, *streams: Any) -> Iterator[Packet[Any]]:
    """The packets of *streams* until the end, or until the container breaks: what stands before a break is evidence."""
    reading = container.demux(*streams)
    while True:
        try:
            packet = next(reading)
        except StopIteration:
            return
        except MemoryError:
            raise
        except (av.FFmpegError, OSError):
            return
        if packet.size > 0:  # the empty ones tell a decoder to drain, which is done where decoding is
            yield packet
