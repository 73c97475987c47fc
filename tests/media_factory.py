"""Makes all test media in code: pictures (Pillow), clips (PyAV), sounds (soundfile, PyAV). Small, always the same."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pillow_heif
import soundfile
from numpy.typing import NDArray
from PIL import Image, ImageCms

pillow_heif.register_heif_opener()

# Quadrants of ``picture``: top left, top right, bottom left, bottom right.
QUADRANTS = ((200, 40, 40), (40, 180, 40), (40, 60, 200), (220, 200, 60))
PICTURE_FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "HEIF": "heic", "AVIF": "avif", "TIFF": "tif"} | {
    "GIF": "gif",
    "BMP": "bmp",
}
# container (muxer): (suffix, video codec, audio codec)
CLIP_FORMATS = {
    "mp4": ("mp4", "libx264", "aac"),
    "mov": ("mov", "libx264", "aac"),
    "matroska": ("mkv", "libx264", "libopus"),
    "webm": ("webm", "libvpx-vp9", "libopus"),
    "avi": ("avi", "mpeg4", "libmp3lame"),
    "mpeg": ("mpg", "mpeg1video", "mp2"),
    "mpegts": ("ts", "mpeg2video", "mp2"),
}
# muxer: (suffix, codec, rate in Hz)
SOUND_FORMATS = {
    "mp3": ("mp3", "libmp3lame", 44_100),
    "ogg": ("opus", "libopus", 48_000),
    "ipod": ("m4a", "aac", 44_100),
    "adts": ("aac", "aac", 44_100),
    "amr": ("amr", "libopencore_amrnb", 8_000),
    "flac": ("flac", "flac", 44_100),
}


def picture(width_px: int = 96, height_px: int = 64) -> Image.Image:
    """Four flat quadrants of different colours, so that every turn and mirroring shows."""
    pixels = np.empty((height_px, width_px, 3), np.uint8)
    half_y, half_x = height_px // 2, width_px // 2
    pixels[:half_y, :half_x], pixels[:half_y, half_x:] = QUADRANTS[0], QUADRANTS[1]
    pixels[half_y:, :half_x], pixels[half_y:, half_x:] = QUADRANTS[2], QUADRANTS[3]
    return Image.fromarray(pixels)


def quadrant_colours(pixels: NDArray[np.uint8]) -> tuple[tuple[int, ...], ...]:
    """The colours in the middle of the four quadrants, in the order of ``QUADRANTS``."""
    height, width = pixels.shape[:2]
    points = [(height // 4, width // 4), (height // 4, 3 * width // 4)]
    points += [(3 * height // 4, width // 4), (3 * height // 4, 3 * width // 4)]
    return tuple(tuple(int(v) for v in pixels[y, x]) for y, x in points)


def save_picture(path: Path, format_name: str, image: Image.Image | None = None, **options: object) -> Path:
    """Write *image* (default: ``picture()``) in a format, by default with little or no loss."""
    defaults: dict[str, dict[str, object]] = {
        "JPEG": {"quality": 98, "subsampling": 0},
        "WEBP": {"lossless": True},
        "HEIF": {"quality": 95},
        "AVIF": {"quality": 95},
    }
    (image or picture()).save(path, format_name, **(defaults.get(format_name, {}) | options))
    return path


def save_oriented(path: Path, orientation: int, format_name: str = "JPEG") -> Path:
    """A picture stored so that applying the EXIF *orientation* gives ``picture()``."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = picture() if orientation == 1 else picture().transpose(undo[orientation])
    exif = Image.Exif()
    exif[274] = orientation
    return save_picture(path, format_name, stored, exif=exif.tobytes() if format_name != "TIFF" else exif)


def save_cmyk_jpeg(path: Path) -> Path:
    """A CMYK JPEG with Adobe's inversion, as Photoshop writes it."""
    return save_picture(path, "JPEG", picture().convert("CMYK"))


def save_animation(path: Path, format_name: str, steps_ms: Sequence[int], size: tuple[int, int] = (48, 32)) -> Path:
    """An animation whose frame k is grey ``level_of(k)``."""
    frames = [Image.new("RGB", size, (level_of(k),) * 3) for k in range(len(steps_ms))]
    if format_name == "GIF":
        frames = [frame.convert("L") for frame in frames]
    options: dict[str, object] = {"lossless": True} if format_name == "WEBP" else {}
    frames[0].save(
        path, format_name, save_all=True, append_images=frames[1:], duration=list(steps_ms), loop=0, **options
    )
    return path


def save_png_header_bomb(path: Path, width_px: int = 30_000, height_px: int = 30_000) -> Path:
    """A tiny PNG whose header claims a picture of 900 megapixels, and whose data begin accordingly."""
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(1 + 3 * width_px) * 10)
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


def srgb_profile() -> bytes:
    """An ICC profile to embed."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def level_of(index: int) -> int:
    """The grey level that marks frame *index* (0 to 25) of a test clip."""
    return 20 + 8 * (index % 26)


def index_of(pixels: NDArray[np.uint8]) -> int:
    """The frame number (0 to 25) that a test clip's frame was marked with."""
    return round((float(pixels.mean()) - 20) / 8)


def tone(seconds: float, sample_rate_hz: int, channels: int = 1, hz: float = 440.0) -> NDArray[np.float32]:
    """A sine of amplitude 0.5 on every channel, (samples, channels) float32."""
    time = np.arange(round(seconds * sample_rate_hz)) / sample_rate_hz
    wave = (0.5 * np.sin(2 * np.pi * hz * time)).astype(np.float32)
    return np.repeat(wave[:, np.newaxis], channels, axis=1)


def save_sound(
    path: Path, samples: NDArray[np.float32], sample_rate_hz: int, *, subtype: str = "PCM_16", container: str = "WAV"
) -> Path:
    """Write (samples, channels) with libsndfile: WAV, FLAC, raw GSM 06.10 (``subtype="GSM610", container="RAW"``)."""
    soundfile.write(path, samples, sample_rate_hz, subtype=subtype, format=container)
    return path


def save_encoded_sound(path: Path, muxer: str, seconds: float = 1.0) -> Path:
    """A mono 440 Hz tone in one of ``SOUND_FORMATS``."""
    _, codec, rate_hz = SOUND_FORMATS[muxer]
    with av.open(path, "w", format=muxer) as container:
        stream = container.add_stream(codec, rate=rate_hz, layout="mono")
        encode_tone(container, stream, seconds, rate_hz)
    return path


def save_clip(
    path: Path,
    muxer: str = "mp4",
    *,
    times_ms: Sequence[int] | None = None,
    seconds: float = 1.0,
    size: tuple[int, int] = (64, 48),
    sound: bool = False,
    rotation_degrees: int | None = None,
    image: Image.Image | None = None,
    key_interval: int = 12,
    codec: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A clip at 25 frames/s, or with frames at *times_ms*. Frame k is grey ``level_of(k)``, or shows *image*."""
    times = list(range(0, round(seconds * 1000), 40)) if times_ms is None else list(times_ms)
    with av.open(path, "w", format=muxer) as container:
        video = container.add_stream(codec or CLIP_FORMATS[muxer][1], rate=25)
        video.width, video.height, video.pix_fmt = (
            *(image.size if image else size),
            "yuvj420p" if codec == "mjpeg" else "yuv420p",
        )
        video.gop_size = key_interval
        video.options = options or ({"preset": "ultrafast", "crf": "10"} if video.codec.name == "libx264" else {})
        if times_ms is not None:
            video.codec_context.time_base = Fraction(1, 1000)
        if rotation_degrees is not None:
            video.set_display_rotation(rotation_degrees)
        if sound:
            audio = container.add_stream(CLIP_FORMATS[muxer][2], rate=48_000, layout="mono")
            encode_tone(container, audio, max(times) / 1000 + 0.04, 48_000)
        for index, time_ms in enumerate(times):
            frame = _frame(index, (video.width, video.height), image)
            frame.pts = time_ms if times_ms is not None else index
            frame.time_base = Fraction(1, 1000) if times_ms is not None else Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode())
    return path


def _frame(index: int, size: tuple[int, int], image: Image.Image | None) -> av.VideoFrame:
    shown = image or Image.new("RGB", size, (level_of(index),) * 3)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(np.asarray(shown.convert("RGB"))), format="rgb24")


def encode_tone(container: av.container.OutputContainer, stream: av.AudioStream, seconds: float, rate_hz: int) -> None:
    samples = tone(seconds, rate_hz).T
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
    resampler = av.AudioResampler(
        format=stream.codec_context.format, layout="mono", rate=rate_hz, frame_size=stream.codec_context.frame_size
    )
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))
