"""Pictures and frames in a form that every browser shows, decoded in the sandbox and kept for a while.

A decoder of its own is started with the first one and kept warm: starting it takes 0.5 s, a frame of a warm one 20 to
60 ms. A frame is decoded with those that follow it, for whoever looks at one looks at the next.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deepscreen.api.http_errors import NoSuchResult, ResultDamaged
from deepscreen.errors import BlobDamaged
from deepscreen.evidence.png import encode_jpeg
from deepscreen.evidence.resize import fit
from deepscreen.media.intake import Intake, intake_of_hashed
from deepscreen.media.samples import Frame, Pixels, SamplingPlan
from deepscreen.media.sandbox import Decoder
from deepscreen.record import Media
from deepscreen.settings import Limits
from deepscreen.store.blobs import BlobStore

PICTURE_PIXELS, PICTURE_SIDE_PX, PICTURE_QUALITY = 24_000_000, 16_000, 92
FRAME_PIXELS, FRAME_QUALITY = 1_000_000, 85
STEP_SECONDS, WINDOW_STEPS = 1 / 240, 481  # frames are looked for so densely, two seconds far
FRAMES_AT_ONCE, DECODE_SECONDS = 16, 0.4  # what comes first ends a reading
KEPT_BYTES = 64 * 1024 * 1024
IDLE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """A frame as JPEG, and when it is on the screen: from ``start_seconds`` until before ``end_seconds`` (at least)."""

    jpeg: bytes
    start_seconds: float
    end_seconds: float


class Previews:
    """Decodes on request; any thread may ask. ``rest`` ends a decoder that nobody uses, ``close`` all."""

    def __init__(self, blobs: BlobStore, limits: Limits, *, scratch: Path) -> None:
        self._blobs, self._limits, self._scratch = blobs, limits, scratch
        self._lock = threading.Lock()
        self._decoder: Decoder | None = None
        self._users, self._used_at = 0, 0.0
        self._kept: OrderedDict[tuple[str, float], ShownFrame] = OrderedDict()
        self._kept_bytes = 0

    def picture(self, media: Media) -> bytes:
        """The whole picture as JPEG; raises NoSuchResult, ResultDamaged, MediaError."""
        with self._opened(media) as (decoder, intake):
            still = decoder.examine(intake).still
        if still is None:
            raise NoSuchResult("the file holds no picture any more that can be shown")
        return _jpeg(still.pixels, PICTURE_PIXELS, PICTURE_SIDE_PX, PICTURE_QUALITY)

    def kept_frame(self, media: Media, at_seconds: float) -> ShownFrame | None:
        """The frame that is on the screen at this time, where it was decoded a while ago."""
        with self._lock:
            for key, frame in self._kept.items():
                if key[0] == media.sha256 and frame.start_seconds <= at_seconds < frame.end_seconds:
                    self._kept.move_to_end(key)
                    return frame
        return None

    def frame(self, media: Media, at_seconds: float) -> ShownFrame:
        """The frame that is on the screen at this time, the first or the last one beyond the ends.

        Raises NoSuchResult where there is none, ResultDamaged, MediaError.
        """
        with self._opened(media) as (decoder, intake):
            frames = list(self._frames(decoder, intake, at_seconds))
        if not frames:
            raise NoSuchResult("the file holds no frame that can be shown at this time")
        self._keep(media, frames)
        return frames[0]

    def rest(self) -> None:
        """Ends the decoder where it was not used for a while."""
        with self._lock:
            is_idle = self._users == 0 and time.monotonic() - self._used_at > IDLE_SECONDS
            decoder, self._decoder = (self._decoder, None) if is_idle else (None, self._decoder)
        if decoder is not None:
            decoder.close()

    def close(self) -> None:
        """Ends the decoder; later calls raise DecoderCrashed or start another."""
        with self._lock:
            decoder, self._decoder = self._decoder, None
        if decoder is not None:
            decoder.close()

    @contextmanager
    def _opened(self, media: Media) -> Iterator[tuple[Decoder, Intake]]:
        with self._lock:
            if self._decoder is None:
                self._decoder = Decoder(self._limits)
            decoder, self._users = self._decoder, self._users + 1
        try:
            with self._blobs.as_file(media.sha256, self._scratch) as path:
                yield decoder, intake_of_hashed(path, media.sha256, media.size_bytes, limits=self._limits)
        except BlobDamaged as error:
            raise ResultDamaged(f"{error}") from error
        finally:
            with self._lock:
                self._users, self._used_at = self._users - 1, time.monotonic()

    def _frames(self, decoder: Decoder, intake: Intake, at_seconds: float) -> Iterator[ShownFrame]:
        """Some frames from that time on. Each is told with the next one's start: the last is left out, unless alone."""
        times = SamplingPlan(tuple(at_seconds + k * STEP_SECONDS for k in range(WINDOW_STEPS)))
        deadline = float("inf")  # until the first frame is there, which may lie behind many others
        count, before = 0, None
        with closing(decoder.frames(intake, times)) as frames:
            for frame in frames:
                if before is not None:
                    yield _shown(before, frame.pts_seconds)
                    count += 1
                    if count >= FRAMES_AT_ONCE or time.monotonic() > deadline:
                        return
                else:
                    deadline = time.monotonic() + DECODE_SECONDS
                before = frame
        if before is not None:  # nothing else comes within the window: it stays that long, or to the end
            yield _shown(before, max(times.times_seconds[-1], before.pts_seconds) + STEP_SECONDS)

    def _keep(self, media: Media, frames: list[ShownFrame]) -> None:
        with self._lock:
            for frame in frames:
                key = media.sha256, frame.start_seconds
                if key in self._kept:
                    self._kept_bytes -= len(self._kept.pop(key).jpeg)
                self._kept[key] = frame
                self._kept_bytes += len(frame.jpeg)
            while self._kept_bytes > KEPT_BYTES:
                _, oldest = self._kept.popitem(last=False)
                self._kept_bytes -= len(oldest.jpeg)


def _shown(frame: Frame, end_seconds: float) -> ShownFrame:
    return ShownFrame(_jpeg(frame.pixels, FRAME_PIXELS, PICTURE_SIDE_PX, FRAME_QUALITY), frame.pts_seconds, end_seconds)


def _jpeg(pixels: Pixels, most_pixels: int, most_side_px: int, quality: int) -> bytes:
    return encode_jpeg(fit(pixels, max_pixels=most_pixels, max_side_px=most_side_px).pixels, quality=quality)
