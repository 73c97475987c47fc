"""Lossy copies of decoded samples: the same content after one more trip through an ordinary codec.

Nothing of a file is parsed here: what is decoded was coded here, from samples that are bounded already, so this needs
no process of its own. The same samples give the same copy.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from types import MappingProxyType
from typing import cast

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from deepscreen.media.samples import Pixels

Sound = NDArray[np.float32]
SOUND_RATE_HZ = 16_000
MIN_CODED_SAMPLES = 1_600  # 0.1 s: a codec's frames are shorter


def through_jpeg(pixels: Pixels, quality: int) -> Pixels:
    """A copy through JPEG (4:2:0) at *quality* in [1, 100]. Beside it there is never more than one copy of the size."""
    coded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return _as_pixels(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB))


def through_h264(pixels: Pixels, crf: int) -> Pixels:
    """A copy through x264 as a key frame at constant rate factor *crf* in [0, 51].

    The codec wants even sides: an odd last row or column is lost.
    """
    height, width = (side // 2 * 2 for side in pixels.shape[:2])
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    encoder.thread_count = 1  # the number of threads changes what x264 writes
    encoder.options = {"crf": str(crf), "preset": "veryfast"}
    whole = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
    packets = [*encoder.encode(whole.reformat(format="yuv420p")), *encoder.encode(None)]
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    frames = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    return _as_pixels(frames[0].to_ndarray(format="rgb24"))


def through_sound_codec(samples: Sound, codec: str, container: str, bit_rate: int) -> Sound:
    """A copy of mono 16 kHz *samples* (n,) through FFmpeg's encoder *codec* in *container*; as long as they are."""
    padded = np.pad(samples, (0, max(0, MIN_CODED_SAMPLES - len(samples))))
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = cast(av.AudioStream, out.add_stream(codec, rate=SOUND_RATE_HZ, layout="mono"))
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(np.clip(padded, -1, 1)[None], format="flt", layout="mono")
        frame.sample_rate = SOUND_RATE_HZ
        frame.time_base = Fraction(1, SOUND_RATE_HZ)
        frame.pts = 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    file.seek(0)
    decoded = _decoded_sound(file)[: len(samples)]
    return np.pad(decoded, (0, len(samples) - len(decoded)))


def _decoded_sound(file: io.BytesIO) -> Sound:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SOUND_RATE_HZ)
    with av.open(file, "r") as source:
        frames = [*source.decode(audio=0), None]
        return np.concatenate([piece.to_ndarray()[0] for frame in frames for piece in resampler.resample(frame)])


def _as_pixels(decoded: object) -> Pixels:
    if not isinstance(decoded, np.ndarray):
        raise ValueError(f"re-encoding gave {type(decoded).__name__}, want pixels")
    return np.ascontiguousarray(decoded, dtype=np.uint8)


# What the laundering test does to each kind of sample, from mild to strong; the names stand in records.
PICTURE_TREATMENTS: Mapping[str, Callable[[Pixels], Pixels]] = MappingProxyType(
    {f"JPEG quality {quality}": partial(through_jpeg, quality=quality) for quality in (90, 70, 50)}
)
FRAME_TREATMENTS: Mapping[str, Callable[[Pixels], Pixels]] = MappingProxyType(
    {f"H.264 crf {crf}": partial(through_h264, crf=crf) for crf in (23, 29, 35)}
)
SOUND_TREATMENTS: Mapping[str, Callable[[Sound], Sound]] = MappingProxyType(
    {
        f"Opus {rate // 1000} kbit/s": partial(through_sound_codec, codec="libopus", container="ogg", bit_rate=rate)
        for rate in (48_000, 24_000, 16_000)
    }
)
