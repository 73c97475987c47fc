"""ZIP archives, and the documents that are such: Office Open XML and OpenDocument. Runs in the decoder process."""

from __future__ import annotations

import stat
import zipfile
import zlib
from typing import BinaryIO

from deepscreen.errors import EncryptedMember, MediaError, UndecodableMedia, UnpackRefused, UnsafeMember
from deepscreen.media.containers.sink import Sink, copy_member, name_problem

ENCRYPTED_FLAG = 0x1
# Parts of a document that only say how it is put together, and are no files that someone put in: by name and content.
DOCUMENT_PARTS = (".xml", ".rels", ".vml")
BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, OSError)
MARKUP_STARTS = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe<", b"\xfe\xff\0<")
DOCUMENT_MARKS = frozenset({"[Content_Types].xml", "content.xml"})


def unpack_zip(file: BinaryIO, sink: Sink, *, max_members: int) -> None:
    """Every file of the archive; of an office document the pictures, recordings and embedded files."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise UndecodableMedia(f"not a whole ZIP archive: {error}") from error
    with archive:
        members = archive.infolist()
        if len(members) > max_members:
            raise UnpackRefused(f"{len(members)} members; at most {max_members} are read (unpack.max_members)")
        is_document = not DOCUMENT_MARKS.isdisjoint(archive.namelist())
        for member in members:
            if member.is_dir() or (is_document and _is_part(archive, member)):
                continue
            _give(archive, member, sink)


def _is_part(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    if not member.filename.lower().endswith(DOCUMENT_PARTS) or _problem(member) is not None:
        return False
    try:
        with archive.open(member) as part:
            return part.read(64).lstrip(b" \t\r\n").startswith(MARKUP_STARTS)
    except BROKEN:
        return False


def _give(archive: zipfile.ZipFile, member: zipfile.ZipInfo, sink: Sink) -> None:
    # orig_filename: the name as it is written, before the library cuts it at a NUL byte.
    name = member.orig_filename.encode("utf-8", "surrogateescape")
    problem = name_problem(name) or _problem(member)
    if not sink.begin(name, member.file_size, problem):
        return
    try:
        stream = archive.open(member)
    except BROKEN as error:
        sink.end(UndecodableMedia(f"the member cannot be opened: {error}"))
        return
    with stream:
        copy_member(stream, sink)  # type: ignore[arg-type]


def _problem(member: zipfile.ZipInfo) -> MediaError | None:
    if member.flag_bits & ENCRYPTED_FLAG:
        return EncryptedMember("the member is encrypted")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind and not stat.S_ISREG(kind):
        return UnsafeMember("the member is a link or a special file")
    return None
