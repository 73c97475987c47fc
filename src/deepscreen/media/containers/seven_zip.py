"""7z archives. Runs in the decoder process."""

from __future__ import annotations

from typing import BinaryIO

import py7zr
from py7zr.exceptions import ArchiveError, PasswordRequired, UnsupportedCompressionMethodError
from py7zr.io import Py7zIO, WriterFactory
from py7zr.py7zr import ArchiveFile

from deepscreen.errors import EncryptedMember, MediaError, UndecodableMedia, UnpackRefused, UnsafeMember
from deepscreen.media.containers.sink import Sink, name_problem
from deepscreen.media.wire import PIECE_BYTES

PROTECTED = EncryptedMember("the archive is encrypted")


def unpack_7z(file: BinaryIO, sink: Sink, *, max_members: int) -> None:
    """Every file of the archive, in the order in which it was packed: each block is decompressed once."""
    try:
        with py7zr.SevenZipFile(file) as archive:
            _give_all(archive, sink, max_members)
    except (PasswordRequired, UnsupportedCompressionMethodError) as error:
        raise PROTECTED if isinstance(error, PasswordRequired) else UndecodableMedia(str(error)) from error
    except (BrokenPipeError, ConnectionError):
        raise
    except (ArchiveError, EOFError, OSError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        # The library checks little of what headers say, and fails on it in many ways.
        raise UndecodableMedia(f"not a whole 7z archive: {type(error).__name__}: {error}") from error


def _give_all(archive: py7zr.SevenZipFile, sink: Sink, max_members: int) -> None:
    members = list(archive.files)
    if len(members) > max_members:
        raise UnpackRefused(f"{len(members)} members; at most {max_members} are read (unpack.max_members)")
    wanted: list[str] = []
    for member in members:
        problem = _problem(member, archive)
        if problem is not None:
            sink.begin(_name(member.filename), member.uncompressed, problem)
        elif not member.is_directory:
            wanted.append(member.filename)
    if wanted:
        sizes = {member.filename: member.uncompressed for member in members}
        archive.extract(targets=wanted, factory=_Contents(sink, sizes))


def _problem(member: ArchiveFile, archive: py7zr.SevenZipFile) -> MediaError | None:
    if archive.password_protected:
        return PROTECTED
    if member.is_symlink or member.is_junction or member.is_socket:
        return UnsafeMember("the member is a link or a special file")
    return None if member.is_directory else name_problem(_name(member.filename))


def _name(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


class _Content(Py7zIO):
    """One member's content on its way to the sink; only written to."""

    def __init__(self, sink: Sink, is_wanted: bool) -> None:
        self._sink, self._is_wanted, self._size = sink, is_wanted, 0

    def write(self, s: bytes | bytearray) -> int:
        self._size += len(s)
        for at in range(0, len(s) if self._is_wanted else 0, PIECE_BYTES):
            self._sink.write(bytes(s[at : at + PIECE_BYTES]))
        return len(s)

    def close(self) -> None:
        if self._is_wanted:
            self._sink.end()

    def read(self, size: int | None = None) -> bytes:  # noqa: ARG002
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:  # noqa: ARG002
        return 0

    def flush(self) -> None:
        return None

    def size(self) -> int:
        return self._size


class _Contents(WriterFactory):
    """Asks the sink, member by member as they are decompressed, whether it wants the content."""

    def __init__(self, sink: Sink, sizes: dict[str, int]) -> None:
        self._sink, self._sizes = sink, sizes

    def create(self, filename: str) -> Py7zIO:
        return _Content(self._sink, self._sink.begin(_name(filename), self._sizes.get(filename)))
