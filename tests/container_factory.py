"""Containers for tests: archives, documents, messages and disk images around contents that are given, by name."""

from __future__ import annotations

import io
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path

import py7zr

Contents = Mapping[str, bytes]
SECTOR = 512


def save_zip(path: Path, contents: Contents) -> Path:
    """A ZIP archive; names are written as they are."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return path


def save_tar(path: Path, contents: Contents, compression: str = "", links: Mapping[str, str] | None = None) -> Path:
    """A tar archive. ``compression``: "", gz, bz2 or xz. ``links``: symbolic links in it."""
    with tarfile.open(path, f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return path


def save_7z(path: Path, contents: Contents, password: str | None = None) -> Path:
    """A 7z archive."""
    with py7zr.SevenZipFile(path, "w", password=password) as archive:
        for name, content in contents.items():
            archive.writestr(content, name)
    return path


def save_mail(path: Path, contents: Contents) -> Path:
    """A message with a text, and *contents* attached."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "pictures"
    message["Date"] = "Wed, 01 Jan 2020 00:00:00 +0000"
    message.set_content("see there")
    for name, content in contents.items():
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    path.write_bytes(bytes(message))
    return path


def save_docx(path: Path, contents: Contents) -> Path:
    """What a text processor writes: parts of XML, and *contents* as its media."""
    parts = {
        "[Content_Types].xml": b"<Types/>",
        "_rels/.rels": b"<Relationships/>",
        "word/document.xml": b"<document/>",
    }
    return save_zip(path, {**parts, **{f"word/media/{name}": content for name, content in contents.items()}})


def save_pdf(path: Path, jpeg: bytes, width_px: int, height_px: int) -> Path:
    """A document of one page that shows *jpeg*, which lies in it as it is."""
    drawing = f"q {width_px} 0 0 {height_px} 0 0 cm /P Do Q".encode()
    picture = f"/Type /XObject /Subtype /Image /Width {width_px} /Height {height_px} /BitsPerComponent 8"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width_px} {height_px}] /Contents 4 0 R "
        "/Resources << /XObject << /P 5 0 R >> >> >>".encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
        f"<< {picture} /ColorSpace /DeviceRGB /Filter /DCTDecode /Length {len(jpeg)} >>\nstream\n".encode()
        + jpeg
        + b"\nendstream",
    ]
    file, places = io.BytesIO(), []
    file.write(b"%PDF-1.4\n")
    for number, content in enumerate(objects, 1):
        places.append(file.tell())
        file.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    table_at = file.tell()
    file.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    file.writelines(b"%010d 00000 n \n" % place for place in places)
    file.write(b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table_at))
    path.write_bytes(file.getvalue())
    return path


def save_ext4(path: Path, contents: Contents, work: Path) -> Path:
    """An ext4 file system as an image; *work* is a folder for the files that go in."""
    source = work / f"{path.name} files"
    for name, content in contents.items():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-d", str(source), str(path), "4M"], check=True, capture_output=True)
    return path


def save_partitioned(path: Path, volume: bytes) -> Path:
    """A disk with a master boot record and *volume* as its two partitions."""
    sectors, first = len(volume) // SECTOR, 64
    entries = b"".join(
        struct.pack("<B3sB3sII", 0, b"\0\0\0", 0x83, b"\0\0\0", first + k * sectors, sectors) for k in range(2)
    )
    record = b"\0" * 446 + entries + b"\0" * 32 + b"\x55\xaa"
    path.write_bytes(record.ljust(first * SECTOR, b"\0") + volume + volume)
    return path


def save_ewf(path: Path, disk: bytes) -> Path:
    """*disk* as an Expert Witness image (E01) in two segments, ``.E01`` and ``.E02``.

    *Source:* the format as libewf's documentation gives it (Expert Witness Compression Format, 2018).
    """
    chunk_bytes = 64 * SECTOR
    chunks = [zlib.compress(disk[at : at + chunk_bytes]) for at in range(0, len(disk), chunk_bytes)]
    half = len(chunks) // 2
    volume = struct.pack("<B3xIIIQ", 1, len(chunks), 64, SECTOR, len(disk) // SECTOR).ljust(1048, b"\0")
    head = [("header", zlib.compress(b"1\nmain\nc\tn\n\t\n\n")), ("volume", _summed(volume))]
    path.write_bytes(_segment(1, head, chunks[:half], last="next"))
    path.with_suffix(".E02").write_bytes(_segment(2, [("data", _summed(volume))], chunks[half:], last="done"))
    return path


def _segment(number: int, sections: list[tuple[str, bytes]], chunks: list[bytes], *, last: str) -> bytes:
    file = bytearray(b"EVF\x09\x0d\x0a\xff\x00\x01" + struct.pack("<HH", number, 0))
    for name, content in sections:
        file += _section(name, content, len(file))
    sectors_at = len(file)
    file += _section("sectors", b"".join(chunks), sectors_at)
    places, at = [], sectors_at + 76
    for chunk in chunks:
        places.append(at | 0x80000000)  # compressed
        at += len(chunk)
    offsets = struct.pack(f"<{len(places)}I", *places)
    table = _summed(struct.pack("<I16x", len(places))) + offsets + struct.pack("<I", zlib.adler32(offsets))
    for name in ("table", "table2"):
        file += _section(name, table, len(file))
    return bytes(file + _section(last, b"", len(file)))


def _section(name: str, content: bytes, at: int) -> bytes:
    size = 76 + len(content)
    following = at if name in ("next", "done") else at + size
    return _summed(struct.pack("<16sQQ40x", name.encode(), following, size)) + content


def _summed(content: bytes) -> bytes:
    return content + struct.pack("<I", zlib.adler32(content))
