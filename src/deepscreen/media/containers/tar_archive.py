"""Tar archives, compressed or not, and single compressed files. Runs in the decoder process."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable
from typing import BinaryIO, Literal, cast

from deepscreen.errors import MediaError, UndecodableMedia, UnsafeMember
from deepscreen.media.containers.sink import Sink, copy_member, name_problem

Compression = Literal["tar", "gzip", "bzip2", "xz"]
BROKEN = (tarfile.TarError, EOFError, OSError, lzma.LZMAError, ValueError)
OPENERS: dict[Compression, Callable[[BinaryIO], BinaryIO]] = {
    "tar": lambda file: file,
    "gzip": lambda file: cast("BinaryIO", gzip.GzipFile(fileobj=file)),
    "bzip2": lambda file: cast("BinaryIO", bz2.BZ2File(file)),
    "xz": lambda file: cast("BinaryIO", lzma.LZMAFile(file)),  # noqa: SIM115
}
SINGLE_NAME = b"content"  # of the one file in a compressed file that is no archive


def unpack_tar(file: BinaryIO, sink: Sink, *, compression: Compression) -> None:
    """Every regular file of the archive; of a compressed file that holds no archive, the one file in it."""
    try:
        # Read as a stream: never back, so a compressed archive is decompressed once.
        archive = tarfile.open(fileobj=OPENERS[compression](file), mode="r|")  # noqa: SIM115
    except BROKEN as error:
        if compression == "tar":
            raise UndecodableMedia(f"not a whole tar archive: {error}") from error
        _give_single(file, sink, compression)
        return
    with archive:
        try:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # the library would keep them all
                if not member.isdir():
                    _give(archive, member, sink)
        except BROKEN as error:
            raise UndecodableMedia(f"the archive breaks off: {error}") from error


def _give_single(file: BinaryIO, sink: Sink, compression: Compression) -> None:
    file.seek(0)
    if sink.begin(SINGLE_NAME, None):
        copy_member(OPENERS[compression](file), sink)


def _give(archive: tarfile.TarFile, member: tarfile.TarInfo, sink: Sink) -> None:
    name = member.name.encode("utf-8", "surrogateescape")
    problem: MediaError | None = name_problem(name)
    if not member.isreg():
        problem = UnsafeMember("the member is a link or a special file")
    if not sink.begin(name, member.size, problem):
        return
    stream = archive.extractfile(member)
    if stream is None:
        sink.end(UndecodableMedia("the member has no content"))
    elif not copy_member(cast("BinaryIO", stream), sink):
        # What comes behind it cannot be found any more, and must not pass for nothing.
        raise UndecodableMedia("the archive breaks off within a member")
