"""Clips: cuts of a real recording and the same cut with a swapped face, encoded alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

from deepscreen.faces import Face, FaceLocator
from media_recipes.pictures import Pixels, swap_face
from media_recipes.sounds import RATE_HZ, Samples

BITEXACT = {"fflags": "+bitexact"}  # no random ids or dates in the container
LANDMARK_MEMORY = 0.5  # share of the last frame's landmarks, against jitter


@dataclass(frozen=True, slots=True)
class Encoding:
    """Container and codecs of a clip; bona fide and manipulated clips of one container share one encoding."""

    container: str
    video_codec: str
    video_options: tuple[tuple[str, str], ...]
    audio_codec: str
    audio_rate_hz: int
    audio_frame_samples: int


MP4 = Encoding("mp4", "libx264", (("crf", "21"), ("preset", "slow")), "aac", 44_100, 1024)
WEBM = Encoding("webm", "libvpx-vp9", (("crf", "28"), ("b:v", "0"), ("row-mt", "1")), "libopus", 48_000, 960)


def frames_of(path: Path, start_seconds: float, end_seconds: float) -> Iterator[Pixels]:
    """RGB frames of the stretch [start_seconds, end_seconds)."""
    with av.open(str(path)) as source:
        for frame in source.decode(video=0):
            if frame.time >= end_seconds:
                return
            if frame.time >= start_seconds:
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def swap_in_clip(
    frames: Iterator[Pixels], donor: Pixels, locator: FaceLocator, *, from_frame: int = 0, to_frame: int = 1 << 30
) -> Iterator[Pixels]:
    """The donor's face in frames [from_frame, to_frame); a frame without a face passes as it is."""
    donor_face = locator.locate(donor, max_faces=1)[0]
    last: Face | None = None
    for index, pixels in enumerate(frames):
        found = locator.locate(pixels, max_faces=1)
        last = _steadied(found[0], last) if found else None
        swapped = last is not None and from_frame <= index < to_frame
        yield swap_face(pixels, last, donor, donor_face) if swapped and last else pixels


def write(path: Path, frames: Iterator[Pixels], *, rate: int, sound: Samples | None, encoding: Encoding) -> None:
    """One clip, its sound track cut or padded to nothing: give a sound of the clip's length."""
    with av.open(str(path), "w", format=encoding.container, options=BITEXACT) as target:
        first = next(frames)
        height, width = first.shape[0] & ~1, first.shape[1] & ~1  # 4:2:0 has no odd sizes
        video = cast(
            av.VideoStream, target.add_stream(encoding.video_codec, rate=rate, options=dict(encoding.video_options))
        )
        video.height, video.width, video.pix_fmt = height, width, "yuv420p"
        audio = _sound_stream(target, encoding) if sound is not None else None
        for index, pixels in enumerate(_chain(first, frames)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            target.mux(video.encode(frame))
        target.mux(video.encode(None))
        if audio is not None and sound is not None:
            _write_sound(target, audio, sound, encoding)


def _sound_stream(target: av.container.OutputContainer, encoding: Encoding) -> av.AudioStream:
    stream = target.add_stream(encoding.audio_codec, rate=encoding.audio_rate_hz, options={})
    audio = cast(av.AudioStream, stream)
    audio.layout = "mono"
    return audio


def _write_sound(
    target: av.container.OutputContainer, audio: av.AudioStream, sound: Samples, encoding: Encoding
) -> None:
    frame = av.AudioFrame.from_ndarray(sound[None, :], format="flt", layout="mono")
    frame.sample_rate, frame.pts = RATE_HZ, 0
    resampler = av.AudioResampler(
        format=audio.codec_context.format,
        layout="mono",
        rate=encoding.audio_rate_hz,
        frame_size=encoding.audio_frame_samples,
    )
    for piece in resampler.resample(frame) + resampler.resample(None):
        target.mux(audio.encode(piece))
    target.mux(audio.encode(None))


def _steadied(face: Face, last: Face | None) -> Face:
    """The face with its landmarks drawn towards where they were, so that the swapped face does not tremble."""
    if last is None:
        return face
    steady = LANDMARK_MEMORY * np.array(last.landmarks_px) + (1 - LANDMARK_MEMORY) * np.array(face.landmarks_px)
    return Face(face.box_xyxy_px, tuple((float(x), float(y)) for x, y in steady), face.confidence)


def _chain(first: Pixels, rest: Iterator[Pixels]) -> Iterator[Pixels]:
    yield first
    yield from rest
