"""What a file says of itself in EXIF, XMP, IPTC and text blocks, read once for all that look at it.

Values are kept as text, bounded, and never believed. Of personal data (position, names, serial numbers) no value is
kept, only that it is there.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from PIL import ExifTags, Image, IptcImagePlugin

from deepscreen.findings.blocks import Block, blocks_of
from deepscreen.findings.boxes import C2PA_UUID, Box, boxes_of

MAX_TEXT_BYTES = 256 * 1024
MAX_EXIF_BYTES = 4 * 1024 * 1024
ISO_MEDIA = frozenset({"HEIF", "AVIF", "mov,mp4,m4a,3gp,3g2,mj2"})
XMP_MARK, EXIF_MARK = b"http://ns.adobe.com/xap/1.0/\0", b"Exif\0\0"
XMP_EXTENSION_MARK = b"http://ns.adobe.com/xmp/extension/\0"
XMP_EXTENSION_HEAD_BYTES = 40  # digest, whole length, offset
PNG_XMP_KEY = "XML:com.adobe.xmp"
# IPTC record 2 ("application") data sets that say when, with what and how. IPTC-NAA IIM 4.2.
IPTC_NAMES = {
    55: "DateCreated",
    60: "TimeCreated",
    62: "DigitalCreationDate",
    65: "OriginatingProgram",
    70: "ProgramVersion",
}
JUMBF_HEAD_BYTES = 8  # "JP", box instance (2), packet number (4)
IFDS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.IFD1)


@dataclass(frozen=True, slots=True)
class Metadata:
    """All statements of one file; empty where it makes none."""

    exif: Mapping[str, str] = field(default_factory=dict)  # by tag name, of the main, EXIF and GPS directories
    has_exif_block: bool = False  # also where nothing in it can be read
    thumbnail: bytes = b""  # the JPEG that EXIF embeds
    xmp: str = ""
    iptc: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)  # PNG text chunks and comments, by keyword
    manifest: bytes = b""  # the C2PA manifest store (JUMBF)
    blocks: tuple[Block, ...] = ()
    boxes: tuple[Box, ...] = ()

    def xmp_value(self, name: str) -> str:
        """The first value of the XMP property *name*, with any prefix, as attribute or element; "" without one.

        No XML parser is given hostile text: two patterns that take linear time find what is asked for.
        """
        attribute = rf"""\w:{name}\s*=\s*["']([^"'<]{{0,400}})"""
        element = rf"<[\w-]{{1,40}}:{name}\b[^>]{{0,200}}>\s*(?:<rdf:\w+>\s*)?(?:<rdf:li[^>]{{0,80}}>)?([^<]{{0,400}})"
        match = re.search(f"{attribute}|{element}", self.xmp)
        return (match.group(1) or match.group(2) or "").strip() if match else ""


def read_metadata(file: BinaryIO, format_name: str) -> Metadata:
    """Everything that can be read; what is broken is left out."""
    blocks = tuple(blocks_of(file, format_name))
    boxes = tuple(boxes_of(file)) if format_name in ISO_MEDIA else ()
    image = _opened(file, format_name)
    raw_exif, xmp = _raw_exif(blocks, image), _xmp(blocks, boxes, image)
    exif, thumbnail = exif_of(raw_exif, image)
    return Metadata(
        exif=exif,
        has_exif_block=bool(raw_exif),
        thumbnail=thumbnail,
        xmp=xmp[:MAX_TEXT_BYTES].decode("utf-8", "replace"),
        iptc=_iptc(image),
        texts=_texts(blocks, image),
        manifest=_manifest(blocks, boxes),
        blocks=blocks,
        boxes=boxes,
    )


def _opened(file: BinaryIO, format_name: str) -> Image.Image | None:
    """The picture, opened and not decoded; None for what Pillow does not read."""
    if format_name.lower() == format_name:  # a demuxer of FFmpeg
        return None
    file.seek(0)
    with suppress(Exception):
        return Image.open(file, formats=["JPEG", "MPO"] if format_name == "JPEG" else [format_name])
    return None


def _raw_exif(blocks: Iterable[Block], image: Image.Image | None) -> bytes:
    for block in blocks:
        if block.name == "APP1" and block.data.startswith(EXIF_MARK):
            return block.data[len(EXIF_MARK) :]
        if block.name in ("eXIf", "EXIF"):
            return block.data.removeprefix(EXIF_MARK)
    raw = image.info.get("exif", b"") if image is not None else b""
    return raw.removeprefix(EXIF_MARK) if isinstance(raw, bytes) else b""


def exif_of(raw: bytes, image: Image.Image | None) -> tuple[dict[str, str], bytes]:
    """Named values of the directories, and the embedded thumbnail."""
    exif = Image.Exif()
    try:
        if raw:
            exif.load(raw[:MAX_EXIF_BYTES])
        elif image is not None and image.format == "TIFF":
            exif = image.getexif()
        values = {_tag_name(tag): _text(value) for tag, value in exif.items()}
        directories = {ifd: exif.get_ifd(ifd) for ifd in IFDS}
    except Exception:  # Pillow's reader raises almost anything on broken directories
        return {}, b""
    for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        names = ExifTags.GPSTAGS if ifd == ExifTags.IFD.GPSInfo else ExifTags.TAGS
        values |= {names.get(tag, f"tag {tag}"): _text(value) for tag, value in directories[ifd].items()}
    return {name: value for name, value in values.items() if value}, _thumbnail(raw, directories[ExifTags.IFD.IFD1])


def _tag_name(tag: int) -> str:
    return ExifTags.TAGS.get(tag, f"tag {tag}")


def _thumbnail(raw: bytes, directory: Mapping[int, Any]) -> bytes:
    at, length = directory.get(ExifTags.Base.JpegIFOffset), directory.get(ExifTags.Base.JpegIFByteCount)
    if not isinstance(at, int) or not isinstance(length, int) or at < 0 or length < 0:
        return b""
    thumbnail = raw[at : at + length]
    return thumbnail if thumbnail.startswith(b"\xff\xd8") else b""


def _text(value: Any) -> str:
    """A value as text; user comments begin with the name of their encoding."""
    if isinstance(value, bytes):
        return _decoded(value[:MAX_TEXT_BYTES])
    return str(value)[:MAX_TEXT_BYTES].strip("\0 ")


def _decoded(raw: bytes) -> str:
    if raw.startswith(b"UNICODE\0"):
        body = raw[8:]
        # No byte order is laid down; text that is mostly ASCII has its zero bytes first (big) or second (little).
        return body.decode("utf-16-be" if body[:1] == b"\0" else "utf-16-le", "replace").strip("\0 ")
    return raw.removeprefix(b"ASCII\0\0\0").decode("utf-8", "replace").strip("\0 ")


def _xmp(blocks: Iterable[Block], boxes: Iterable[Box], image: Image.Image | None) -> bytes:
    parts = []
    for block in blocks:
        if block.name == "APP1" and block.data.startswith(XMP_MARK):
            parts.append(block.data[len(XMP_MARK) :])
        elif block.name == "APP1" and block.data.startswith(XMP_EXTENSION_MARK):
            parts.append(block.data[len(XMP_EXTENSION_MARK) + XMP_EXTENSION_HEAD_BYTES :])
        elif block.name == "XMP ":
            parts.append(block.data)
        elif block.name == "iTXt" and block.data.startswith(PNG_XMP_KEY.encode()):
            parts.append(_png_text(block)[1].encode())
    parts += [box.content[16:] for box in boxes if box.name == "uuid" and b"<x:xmpmeta" in box.content[:2000]]
    if not parts and image is not None:
        found = image.info.get("xmp", b"")
        parts.append(found if isinstance(found, bytes) else str(found).encode())
    return b"".join(parts)


def _iptc(image: Image.Image | None) -> dict[str, str]:
    with suppress(Exception):
        found = IptcImagePlugin.getiptcinfo(image) if image is not None else None  # type: ignore[arg-type]
        return {
            name: _text(value[0] if isinstance(value, list) else value)
            for number, name in IPTC_NAMES.items()
            if (value := (found or {}).get((2, number)))
        }
    return {}


def _texts(blocks: Iterable[Block], image: Image.Image | None) -> dict[str, str]:
    texts = dict(_png_text(block) for block in blocks if block.name in ("tEXt", "zTXt", "iTXt"))
    comments = [_decoded(block.data) for block in blocks if block.name == "COM"]
    if comments:
        texts["comment"] = " ".join(comments)
    comment = image.info.get("comment") if image is not None and image.format == "GIF" else None
    if isinstance(comment, bytes):
        texts["comment"] = _decoded(comment[:MAX_TEXT_BYTES])
    return {name: text for name, text in texts.items() if name and text}


def _png_text(block: Block) -> tuple[str, str]:
    """Keyword and text of a chunk, decompressed up to a bound."""
    keyword, _, rest = block.data.partition(b"\0")
    if block.name == "tEXt":
        raw, encoding = rest, "latin-1"
    elif block.name == "zTXt":
        raw, encoding = _inflated(rest[1:]), "latin-1"
    else:
        is_packed, (_, _, text) = rest[:1] == b"\1", _split(rest[2:])
        raw, encoding = (_inflated(text) if is_packed else text), "utf-8"
    try:  # several programs write UTF-8 where Latin-1 is laid down
        return keyword.decode("latin-1"), raw[:MAX_TEXT_BYTES].decode("utf-8").strip("\0 ")
    except UnicodeDecodeError:
        return keyword.decode("latin-1"), raw[:MAX_TEXT_BYTES].decode(encoding, "replace").strip("\0 ")


def _split(rest: bytes) -> tuple[bytes, bytes, bytes]:
    """Language, translated keyword and text of an ``iTXt`` chunk."""
    language, _, rest = rest.partition(b"\0")
    translated, _, text = rest.partition(b"\0")
    return language, translated, text


def _inflated(packed: bytes) -> bytes:
    with suppress(zlib.error):
        return zlib.decompressobj().decompress(packed, MAX_TEXT_BYTES)
    return b""


def _manifest(blocks: Iterable[Block], boxes: Iterable[Box]) -> bytes:
    """The C2PA manifest store as embedded. *Source:* C2PA 2.2, appendix A.3 (embedding)."""
    parts = []
    for block in blocks:
        if block.name == "APP11" and block.data.startswith(b"JP"):
            parts.append(block.data[JUMBF_HEAD_BYTES:])
        elif block.name in ("caBX", "C2PA"):
            parts.append(block.data)
    parts += [box.content[16:] for box in boxes if box.name == "uuid" and box.content.startswith(C2PA_UUID)]
    return b"".join(parts)
