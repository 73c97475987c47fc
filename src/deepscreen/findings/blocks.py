"""The named blocks of JPEG, PNG and RIFF files, without their picture data. Bounded, and calm about broken files.

*Sources:* ITU-T T.81 (1992) B.1; W3C PNG (third edition, 2025) 5; Microsoft/IBM RIFF (1991).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_BLOCKS = 4_000
MAX_FILL_BYTES = 64 * 1024  # between the segments of a JPEG, all together
MAX_BLOCK_BYTES = 16 * 1024 * 1024  # a C2PA manifest with thumbnails has about 1 MiB
PICTURE_CHUNKS = frozenset({"IDAT", "fdAT", "VP8 ", "VP8L", "ALPH", "ANMF", "data"})
FRAME_HEADERS = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its name (``APP1``, ``tEXt``), where it begins, and its content, cut at ``MAX_BLOCK_BYTES``."""

    name: str
    offset: int
    data: bytes


def blocks_of(file: BinaryIO, format_name: str) -> list[Block]:
    """The blocks in their order; of a broken file those before the damage; of other formats none."""
    walker = {"JPEG": _jpeg, "PNG": _png, "WEBP": _riff, "wav": _riff, "avi": _riff}.get(format_name)
    if walker is None:
        return []
    blocks = []
    for block in walker(file):
        blocks.append(block)
        if len(blocks) == MAX_BLOCKS:
            break
    return blocks


def _jpeg(file: BinaryIO) -> Iterator[Block]:
    """Segments before the first scan."""
    at, fill = 2, 0
    while fill <= MAX_FILL_BYTES:
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            return
        marker, length = head[1], int.from_bytes(head[2:4], "big")
        if marker == 0xFF:  # fill byte
            at, fill = at + 1, fill + 1
            continue
        if marker in (0xDA, 0xD9) or length < 2:
            return
        yield Block(_marker_name(marker), at, file.read(length - 2))
        at += 2 + length


def _marker_name(marker: int) -> str:
    if 0xE0 <= marker <= 0xEF:
        return f"APP{marker - 0xE0}"
    if marker in FRAME_HEADERS:
        return f"SOF{marker - 0xC0}"
    return {0xDB: "DQT", 0xC4: "DHT", 0xDD: "DRI", 0xFE: "COM"}.get(marker, f"{marker:02X}")


def _png(file: BinaryIO) -> Iterator[Block]:
    at, end = 8, file.seek(0, os.SEEK_END)
    while at + 12 <= end:
        file.seek(at)
        head = file.read(8)
        length, name = int.from_bytes(head[:4], "big"), head[4:].decode("latin-1")
        yield Block(name, at, b"" if name in PICTURE_CHUNKS else file.read(min(length, MAX_BLOCK_BYTES)))
        if name == "IEND":
            return
        at += 12 + length


def _riff(file: BinaryIO) -> Iterator[Block]:
    at, end = 12, file.seek(0, os.SEEK_END)
    while at + 8 <= end:
        file.seek(at)
        head = file.read(8)
        name, length = head[:4].decode("latin-1"), int.from_bytes(head[4:], "little")
        yield Block(name, at, b"" if name in PICTURE_CHUNKS else file.read(min(length, MAX_BLOCK_BYTES)))
        at += 8 + length + length % 2
