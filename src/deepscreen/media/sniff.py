"""Say what a file is by its content, never by its name. Runs in the decoder process.

FFmpeg would also open playlists, subtitles, text and pictures, and follow what they name; so the demuxer is chosen
here, from a short list, and FFmpeg is never asked to guess.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO, Literal

import puremagic

from deepscreen.errors import UnsupportedMedia
from deepscreen.media.mpeg_audio import mpeg_audio_kind

HEAD_BYTES = 64 * 1024
GSM_FRAME_BYTES = 33
GSM_LEAST_FRAMES = 5  # five magic nibbles by chance: one in a million
MOV = "mov,mp4,m4a,3gp,3g2,mj2"
MATROSKA = "matroska,webm"


@dataclass(frozen=True, slots=True)
class Sniffed:
    """Who reads the file, under which format name (Pillow format or FFmpeg demuxer), and its MIME type."""

    reader: Literal["pillow", "ffmpeg"]
    format: str
    mime: str


def _picture(name: str, subtype: str) -> Sniffed:
    return Sniffed("pillow", name, f"image/{subtype}")


def _stream(demuxer: str, mime: str) -> Sniffed:
    return Sniffed("ffmpeg", demuxer, mime)


STARTS: tuple[tuple[bytes, Sniffed], ...] = (
    (b"\xff\xd8\xff", _picture("JPEG", "jpeg")),
    (b"\x89PNG\r\n\x1a\n", _picture("PNG", "png")),
    (b"GIF87a", _picture("GIF", "gif")),
    (b"GIF89a", _picture("GIF", "gif")),
    (b"II*\0", _picture("TIFF", "tiff")),
    (b"MM\0*", _picture("TIFF", "tiff")),
    (b"II+\0", _picture("TIFF", "tiff")),
    (b"MM\0+", _picture("TIFF", "tiff")),
    (b"fLaC", _stream("flac", "audio/flac")),
    (b"OggS", _stream("ogg", "video/ogg")),
    (b"#!AMR\n", _stream("amr", "audio/amr")),
    (b"#!AMR-WB\n", _stream("amr", "audio/amr-wb")),
    (b"\x00\x00\x01\xba", _stream("mpeg", "video/mpeg")),
)
RIFF_TYPES = {
    b"WEBP": _picture("WEBP", "webp"),
    b"WAVE": _stream("wav", "audio/wav"),
    b"AVI ": _stream("avi", "video/x-msvideo"),
}
AVIF_BRANDS = frozenset({b"avif", b"avis"})
HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
# Boxes with which a QuickTime file without `ftyp` begins.
QUICKTIME_BOXES = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
BMP_HEADER_BYTES = frozenset({12, 40, 52, 56, 64, 108, 124})
FOREIGN_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"%pdf-", "a PDF document"),
    (b"pk\x03\x04", "a ZIP archive or an office document"),
    (b"#extm3u", "an HLS playlist"),
    (b"ffconcat", "an FFmpeg playlist"),
    (b"<svg", "an SVG drawing"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<mpd", "a DASH playlist"),
    (b"{\\rtf", "an RTF document"),
    (b"\x7felf", "a program"),
)


def sniff(file: BinaryIO) -> Sniffed:
    """The file's type; leaves *file* at its start. Raises UnsupportedMedia that says what it looks like."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    tagged = _after_id3(file, head) if head.startswith(b"ID3") else None
    found = tagged or _by_start(head) or _by_box(head) or _by_structure(head)
    file.seek(0)
    if found is None:
        raise UnsupportedMedia(f"no image, video or audio that is read here; the content looks like {describe(head)}")
    return found


def _by_start(head: bytes) -> Sniffed | None:
    if head[:4] in (b"RIFF", b"RF64", b"BW64"):
        return RIFF_TYPES.get(head[8:12])
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _stream(MATROSKA, "video/webm" if b"webm" in head[:64] else "video/x-matroska")
    return next((kind for start, kind in STARTS if head.startswith(start)), None)


def _by_box(head: bytes) -> Sniffed | None:
    """ISO base media files (MP4, MOV, M4A, HEIC, AVIF), by the brands of their first box."""
    if head[4:8] in QUICKTIME_BOXES:
        return _stream(MOV, "video/quicktime")
    if head[4:8] != b"ftyp":
        return None
    length = min(int.from_bytes(head[:4], "big"), 512)
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))]
    if AVIF_BRANDS & set(brands) and brands[0] in AVIF_BRANDS | HEIF_BRANDS:
        return _picture("AVIF", "avif")
    if brands[0] in HEIF_BRANDS:
        return _picture("HEIF", "heic")
    if brands[0] == b"qt  ":
        return _stream(MOV, "video/quicktime")
    return _stream(MOV, "video/3gpp" if brands[0].startswith(b"3g") else "video/mp4")


def _by_structure(head: bytes) -> Sniffed | None:
    """Types without a clear signature: their structure must repeat."""
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BMP_HEADER_BYTES:
        return _picture("BMP", "bmp")
    if _is_transport_stream(head):
        return _stream("mpegts", "video/mp2t")
    if (kind := mpeg_audio_kind(head)) is not None:
        return _stream(kind, "audio/mpeg" if kind == "mp3" else "audio/aac")
    if _is_raw_gsm(head):
        return _stream("gsm", "audio/x-gsm")
    return None


def _is_transport_stream(head: bytes) -> bool:
    """Sync bytes of three packets in a row: 188 bytes each, or 192 with a time code before each (Blu-ray, AVCHD)."""
    return any(head[at : at + 2 * step + 1 : step] == b"GGG" for at, step in ((0, 188), (4, 192)))


def _is_raw_gsm(head: bytes) -> bool:
    """GSM 06.10 has no header: every frame of 33 bytes begins with the nibble 0xD."""
    starts = head[: len(head) - len(head) % GSM_FRAME_BYTES : GSM_FRAME_BYTES]
    return len(starts) >= GSM_LEAST_FRAMES and all(byte >> 4 == 0xD for byte in starts)


def _after_id3(file: BinaryIO, head: bytes) -> Sniffed | None:
    """What follows an ID3v2 tag (its length is written in four bytes of seven bits)."""
    length = 0
    for byte in head[6:10]:
        length = length << 7 | byte & 0x7F
    file.seek(10 + length, io.SEEK_SET)
    rest = file.read(HEAD_BYTES)
    if rest.startswith(b"fLaC"):
        return _stream("flac", "audio/flac")
    kind = mpeg_audio_kind(rest)
    return None if kind is None else _stream(kind, "audio/mpeg" if kind == "mp3" else "audio/aac")


def _is_text(start: bytes) -> bool:
    """Mostly ASCII, in any 8-bit encoding, and no control characters."""
    has_controls = any(byte < 9 or 13 < byte < 32 for byte in start)
    return not has_controls and sum(byte < 128 for byte in start) > 0.7 * len(start)


def describe(head: bytes) -> str:
    """What content that is not read here looks like, in words for the user."""
    start = head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"<?xml"):
        start = start[start.find(b"<", 5) :] if b"<svg" not in start else b"<svg"
    for prefix, words in FOREIGN_STARTS:
        if start.startswith(prefix):
            return words
    if _is_text(head[:1024]):
        return "text"
    try:
        mime = puremagic.from_string(head[:4096], mime=True)
    except (puremagic.PureError, ValueError):
        mime = ""
    return f"data of type {mime}" if mime else "data of an unknown type"
