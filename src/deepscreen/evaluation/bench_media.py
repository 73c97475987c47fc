"""The files that the benchmark screens, made from ``sample_media/``: the same bytes from the same libraries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from deepscreen.media.samples import Pixels

PHOTOGRAPH_SIZE_PX = (4000, 3000)
CLIP_SIZE_PX = (1280, 720)
CLIP_FRAME_RATE = 30
CLIP_SOUND_RATE_HZ = 48_000
SPEECH_RATE_HZ = 16_000
NOISE_SEED = 20260101
PHOTOGRAPH_NOISE = (
    6.0  # standard deviation in levels, as of a camera in poor light: a picture only enlarged is too easy to decode
)
CLIP_NOISE = 8.0
NOISE_FIELDS = 8
PAN_PERIOD_SECONDS = 7.0
LOOP_GAP_SECONDS = Fraction(1, 20)  # an AAC track begins before zero and ends after the picture
Sound = NDArray[np.int16]


def make_photograph(portrait: Path, target: Path, *, size_px: tuple[int, int] = PHOTOGRAPH_SIZE_PX) -> None:
    """A JPEG of *size_px* (width, height) with the one face of *portrait*, enlarged, with a camera's noise."""
    picture = cv2.resize(_landscape(_read(portrait), size_px), size_px, interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(NOISE_SEED).standard_normal(picture.shape, dtype=np.float32)
    noisy = np.clip(picture + PHOTOGRAPH_NOISE * noise, 0, 255).astype(np.uint8)
    cv2.imwrite(str(target), noisy[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])


def make_clip(portrait: Path, speech: Sequence[Path], target: Path, *, seconds: int) -> None:
    """An MP4 (H.264 720p at 30 frames a second, AAC 48 kHz) that moves over *portrait*, with *speech* as its sound."""
    with av.open(str(target), "w") as container:
        video = container.add_stream("libx264", rate=CLIP_FRAME_RATE, options={"preset": "veryfast", "crf": "24"})
        video.width, video.height = CLIP_SIZE_PX
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=CLIP_SOUND_RATE_HZ, layout="mono")
        for pixels in _moving(_read(portrait), seconds * CLIP_FRAME_RATE):
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
        for sound in _sound_frames(
            joined_speech(speech, seconds=seconds, rate_hz=CLIP_SOUND_RATE_HZ), CLIP_SOUND_RATE_HZ
        ):
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))


def make_looped(source: Path, target: Path, *, times: int) -> None:
    """*source* played *times* times, packets copied, nothing encoded again."""
    with av.open(str(source)) as media, av.open(str(target), "w") as container:
        copies = {stream.index: container.add_stream_from_template(stream) for stream in media.streams}
        length_seconds = Fraction(media.duration or 0, av.time_base) + LOOP_GAP_SECONDS
        for round_number in range(times):
            media.seek(0)
            for packet in media.demux():
                if packet.dts is None or packet.pts is None:  # the empty packet that ends a stream
                    continue
                later = round(length_seconds * round_number / packet.time_base)
                packet.pts, packet.dts = packet.pts + later, packet.dts + later
                packet.stream = copies[packet.stream.index]
                container.mux(packet)


def make_speech(speech: Sequence[Path], target: Path, *, seconds: int) -> None:
    """A 16 kHz mono FLAC of *speech*, repeated until it lasts *seconds*."""
    with av.open(str(target), "w") as container:
        stream = container.add_stream("flac", rate=SPEECH_RATE_HZ, layout="mono", format="s16")
        for sound in _sound_frames(joined_speech(speech, seconds=seconds, rate_hz=SPEECH_RATE_HZ), SPEECH_RATE_HZ):
            container.mux(stream.encode(sound))
        container.mux(stream.encode(None))


def joined_speech(speech: Sequence[Path], *, seconds: int, rate_hz: int) -> Sound:
    """The sound of all files in turn, mono at *rate_hz*, repeated and cut to *seconds*; (n,) int16."""
    once = np.concatenate([_decoded(path, rate_hz) for path in speech])
    return np.resize(once, seconds * rate_hz)


def _decoded(path: Path, rate_hz: int) -> Sound:
    resampler = AudioResampler(format="s16", layout="mono", rate=rate_hz)
    with av.open(str(path)) as container:
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    return np.concatenate([f.to_ndarray()[0] for f in (*frames, *resampler.resample(None))])


def _sound_frames(samples: Sound, rate_hz: int) -> Iterator[av.AudioFrame]:
    size = 1024
    for start in range(0, len(samples), size):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + size], format="s16", layout="mono")
        frame.sample_rate = rate_hz
        frame.pts = start
        yield frame


def _moving(portrait: Pixels, n_frames: int) -> Iterator[Pixels]:
    """Frames that swing from side to side over the enlarged picture, its face always in view, with fresh noise."""
    width, height = CLIP_SIZE_PX
    wide = cv2.resize(
        _landscape(portrait, CLIP_SIZE_PX), (width * 5 // 4, height * 5 // 4), interpolation=cv2.INTER_CUBIC
    )
    rng = np.random.default_rng(NOISE_SEED)
    fields = [np.rint(CLIP_NOISE * rng.standard_normal(wide.shape)).astype(np.int16) for _ in range(NOISE_FIELDS)]
    for index in range(n_frames):
        swing = 0.5 + 0.5 * np.sin(2 * np.pi * index / (PAN_PERIOD_SECONDS * CLIP_FRAME_RATE))
        left, top = int(swing * (wide.shape[1] - width)), int((1 - swing) * (wide.shape[0] - height))
        part = wide[top : top + height, left : left + width]
        noise = fields[index % NOISE_FIELDS][:height, :width]
        yield np.clip(part + noise, 0, 255).astype(np.uint8)


def _landscape(portrait: Pixels, size_px: tuple[int, int]) -> Pixels:
    """The upper part of an upright portrait, where the face is, in the proportions of *size_px*."""
    height, width = portrait.shape[:2]
    return portrait[: min(height, width * size_px[1] // size_px[0])]


def _read(path: Path) -> Pixels:
    stored = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if stored is None:
        raise ValueError(f"{path}: no picture that OpenCV reads; the benchmark is made from sample_media/")
    return np.asarray(stored[:, :, ::-1], dtype=np.uint8)
