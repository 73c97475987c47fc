"""Media files that are broken on purpose: the same ones for the same number, all different."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

from media_factory import (
    CLIP_FORMATS,
    PICTURE_FORMATS,
    SOUND_FORMATS,
    picture,
    save_animation,
    save_clip,
    save_encoded_sound,
    save_picture,
    save_sound,
    tone,
)


def whole_files(folder: Path) -> list[bytes]:
    """One small file of every format that is read."""
    folder.mkdir()
    made = [save_picture(folder / f"p{n}", name, picture(96, 64)) for n, name in enumerate(PICTURE_FORMATS)]
    made += [save_clip(folder / f"c{n}", name, sound=True, seconds=0.4) for n, name in enumerate(CLIP_FORMATS)]
    made += [save_encoded_sound(folder / f"s{n}", name) for n, name in enumerate(SOUND_FORMATS)]
    made += [save_sound(folder / "w", tone(0.4, 16_000), 16_000), save_animation(folder / "g", "GIF", [100, 200, 50])]
    return [path.read_bytes() for path in made]


def mutated(whole: list[bytes], number: int) -> bytes:
    """The broken file *number*."""
    dice = Random(number)
    change = CHANGES[number % len(CHANGES)]
    return change(dice, dice.choice(whole), dice.choice(whole))


def _flip_bits(dice: Random, content: bytes, _: bytes) -> bytes:
    changed = bytearray(content)
    for _flip in range(dice.choice([1, 4, 16, 64, 256])):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _flip_bits_of_the_header(dice: Random, content: bytes, _: bytes) -> bytes:
    changed = bytearray(content)
    for _flip in range(dice.choice([1, 2, 8])):
        changed[dice.randrange(min(len(changed), 200))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _cut(dice: Random, content: bytes, _: bytes) -> bytes:
    return content[: dice.randrange(1, len(content))]


def _cut_out(dice: Random, content: bytes, _: bytes) -> bytes:
    start = dice.randrange(len(content))
    return content[:start] + content[start + dice.randrange(1, 400) :]


def _great_number(dice: Random, content: bytes, _: bytes) -> bytes:
    """Four bytes that may be a length, a size or an offset become as great as can be."""
    changed = bytearray(content)
    start = dice.randrange(max(1, min(len(changed) - 4, 1000)))
    changed[start : start + 4] = dice.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4)])
    return bytes(changed)


def _repeated(dice: Random, content: bytes, _: bytes) -> bytes:
    start = dice.randrange(len(content))
    return content[:start] + content[start : start + 64] * dice.randrange(2, 500) + content[start:]


def _polyglot(dice: Random, content: bytes, other: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../evil.sh", "touch /tmp/owned")
    script = b"<script>fetch('http://127.0.0.1:9/')</script><?php system('id'); ?>"
    return dice.choice([content + other, content + archive.getvalue(), script + content, other[:40] + content[40:]])


def _playlist(dice: Random, content: bytes, _: bytes) -> bytes:
    """Files that ask their reader to open others, or to connect."""
    texts = (
        b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\nfile http://127.0.0.1:9/x\n",
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1:9/x.png"/></svg>',
        b"v=0\r\nc=IN IP4 127.0.0.1\r\nm=video 9 RTP/AVP 96\r\n",
        b'<?xml version="1.0"?><MPD><BaseURL>http://127.0.0.1:9/</BaseURL></MPD>',
    )
    return dice.choice(texts) + dice.choice([b"", content])


def _bomb(dice: Random, _: bytes, __: bytes) -> bytes:
    """A small file that says it is, or becomes, a huge one."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    side = dice.choice([9_000, 30_000, 2**31 - 1])
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    text = zlib.compress(bytes(50_000_000), 9)
    screen, frame = struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0), struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0)
    return dice.choice(
        [
            png + chunk(b"IDAT", zlib.compress(bytes(10_000_000), 9)) + chunk(b"IEND", b""),
            png + chunk(b"zTXt", b"k\0\0" + text) + chunk(b"iCCP", b"p\0\0" + text),
            gzip.compress(bytes(50_000_000)),
            b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
            b"GIF89a" + screen + b"," + frame,
        ]
    )  # fmt: skip


CHANGES: tuple[Callable[[Random, bytes, bytes], bytes], ...] = (
    _flip_bits, _flip_bits_of_the_header, _cut, _cut_out, _great_number, _repeated, _polyglot, _playlist, _bomb,
)  # fmt: skip
