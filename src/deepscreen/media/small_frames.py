"""All frames of a clip in order, thumbnail-small: for looking at how it changes. Runs in the decoder process."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, cast

from av.video.frame import VideoFrame

from deepscreen.media.container import frames_of, open_container, packets, video_streams
from deepscreen.media.samples import Pixels
from deepscreen.media.sniff import Sniffed

# The same share of the same file on every machine; about a minute of full HD, ten of 480p.
MOST_DECODED_PIXELS = 3_000_000_000


def small_frames(
    file: BinaryIO, sniffed: Sniffed, *, side_px: int, least_gap_seconds: float
) -> Iterator[tuple[float, Pixels]]:
    """(Start in seconds from the first frame, RGB of side_px x side_px whatever the frame's shape), ascending.

    Frames that no other refers to may be missing, and those that follow another by less than the gap. What stands
    beyond the first ``MOST_DECODED_PIXELS`` is not looked at. Nothing without a video stream.
    """
    with open_container(file, sniffed) as container:
        streams = video_streams(container)
        if not streams:
            return
        streams[0].codec_context.skip_frame = "NONREF"
        origin, last, decoded_px = None, float("-inf"), 0
        decoded = (frames_of(streams[0], packet) for packet in packets(container, streams[0]))
        for frame in chain.from_iterable(decoded):
            decoded_px += frame.width * frame.height
            if frame.time is None:
                continue
            origin = frame.time if origin is None else origin
            if frame.time - origin >= last + least_gap_seconds:
                last = frame.time - origin
                yield last, _small(frame, side_px)
            if decoded_px >= MOST_DECODED_PIXELS:
                return


def _small(frame: VideoFrame, side_px: int) -> Pixels:
    small = frame.reformat(width=side_px, height=side_px, format="rgb24", interpolation="AREA", threads=1)
    return cast(Pixels, small.to_ndarray())
