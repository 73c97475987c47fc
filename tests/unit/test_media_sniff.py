"""Type by content: what is read, what is refused, and in which words."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

import media_factory
from deepscreen.errors import UnsupportedMedia
from deepscreen.media.sniff import describe, sniff

MASTER_PLAYLIST = b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:10,\nfile:///etc/passwd\n"


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("photo.jpg", b"\xff\xd8\xff")
    return buffer.getvalue()


FOREIGN = {
    "a PDF document": b"%PDF-1.7\n1 0 obj\n",
    "a ZIP archive": _zip(),
    "an HLS playlist": MASTER_PLAYLIST,
    "an FFmpeg playlist": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "an SVG drawing": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "an HTML page": b"\xef\xbb\xbf<!DOCTYPE html><html></html>",
    "a DASH playlist": b'<?xml version="1.0"?>\n<MPD></MPD>',
    "a program": b"\x7fELF\x02\x01\x01" + bytes(64),
    "text": b"1\n00:00:01,000 --> 00:00:02,000\nSubtitle\n",
    "data of type": b"\x1f\x8b\x08" + bytes(range(64)),
    "data of an unknown type": bytes(range(200, 256)) * 4,
}


@pytest.mark.parametrize("words", list(FOREIGN))
def test_sniff_refuses_what_is_no_media_and_says_what_it_looks_like(words: str) -> None:
    with pytest.raises(UnsupportedMedia, match=f"looks like {words}"):
        sniff(io.BytesIO(FOREIGN[words]))


@pytest.mark.parametrize("format_name", list(media_factory.PICTURE_FORMATS))
def test_sniff_names_each_picture_format(tmp_path: Path, format_name: str) -> None:
    path = media_factory.save_picture(tmp_path / "lies.wav", format_name)
    with path.open("rb") as file:
        found = sniff(file)
        assert file.tell() == 0
    assert (found.reader, found.format) == ("pillow", format_name)


@pytest.mark.parametrize("junk", [b"", b"\0" * 417, b"\xff" * 30])
def test_sniff_finds_mp3_after_what_is_left_of_a_cut_frame(tmp_path: Path, junk: bytes) -> None:
    path = media_factory.save_encoded_sound(tmp_path / "s", "mp3")
    data = path.read_bytes()
    body = data[10 + int.from_bytes(data[6:10], "big") :] if data.startswith(b"ID3") else data
    assert sniff(io.BytesIO(junk + body)).format == "mp3"


def test_sniff_looks_behind_an_id3_tag_of_any_length(tmp_path: Path) -> None:
    body = media_factory.save_encoded_sound(tmp_path / "s", "adts").read_bytes()
    tag = b"ID3\x04\0\0" + bytes([0, 0x0A, 0, 0]) + bytes(0x0A << 14)
    assert sniff(io.BytesIO(tag + body)).format == "aac"
    with pytest.raises(UnsupportedMedia):
        sniff(io.BytesIO(tag + b"no sound"))
    with pytest.raises(UnsupportedMedia):
        sniff(io.BytesIO(b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(100)))


def test_sniff_takes_raw_gsm_only_when_every_frame_begins_as_gsm(tmp_path: Path) -> None:
    path = media_factory.save_sound(
        tmp_path / "s", media_factory.tone(1.0, 8_000), 8_000, subtype="GSM610", container="RAW"
    )
    data = bytearray(path.read_bytes())
    assert sniff(io.BytesIO(data)).format == "gsm"
    data[33 * 7] = 0xA0
    with pytest.raises(UnsupportedMedia):
        sniff(io.BytesIO(data))


def test_describe_gives_no_control_characters_of_the_file() -> None:
    assert describe(b"\x00\x01\x02\x1b[31mred").isprintable()
