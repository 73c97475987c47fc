"""Disk images, raw or Expert Witness (E01): the allocated files of their file systems. Runs in the decoder process.

*Source:* The Sleuth Kit through pytsk3, libewf through its own binding. Nothing is mounted, nothing is written.
Differs from a full examination: deleted and carved files, unallocated space and slack are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyewf
import pytsk3

from deepscreen.errors import EncryptedMember, MediaError, UndecodableMedia, UnpackRefused
from deepscreen.media.containers.sink import Sink, name_problem
from deepscreen.media.wire import PIECE_BYTES

MAX_FOLDER_DEPTH = 128
BITLOCKER = b"-FVE-FS-"
OWN_NAMES = frozenset({b".", b".."})
# $MFT, $LogFile and so on, as large as they like; the root, number 5, is where the walk begins.
NTFS_OWN_BELOW = 12
VOLUME_LABEL = b" (Volume Label Entry)"  # as The Sleuth Kit names the label of FAT and exFAT, which has no content


class Image:
    """A disk as bytes: of one file, or of an Expert Witness image in its segments."""

    def __init__(self, files: Sequence[BinaryIO], *, is_ewf: bool) -> None:
        if is_ewf:
            self._disk: Any = pyewf.handle()
            self._disk.open_file_objects(list(files))
            self.size_bytes: int = self._disk.get_media_size()
        else:
            self._disk = files[0]
            self.size_bytes = self._disk.seek(0, 2)

    def read(self, offset: int, size: int) -> bytes:
        """*size* bytes from *offset* on; fewer at the end."""
        self._disk.seek(offset)
        found: bytes = self._disk.read(min(size, max(0, self.size_bytes - offset)))
        return found


def unpack_disk(files: Sequence[BinaryIO], sink: Sink, *, is_ewf: bool, max_members: int) -> None:
    """The files of every file system, as ``partition 2/DCIM/0001.jpg``; ``DCIM/0001.jpg`` where there is but one."""
    try:
        image = Image(files, is_ewf=is_ewf)
    except OSError as error:
        raise UndecodableMedia(f"the image cannot be read: {error}") from error
    walk = _Walk(sink, max_members)
    volumes = list(_volumes(_TskImage(image)))
    for number, (volume, offset) in enumerate(volumes):
        prefix = b"" if len(volumes) == 1 else f"partition {number + 1}/".encode()
        walk.volume(volume, offset, image, prefix)
    if not volumes:
        raise UndecodableMedia("the image has no partition")


class _TskImage(pytsk3.Img_Info):  # type: ignore[misc]
    """The image as The Sleuth Kit reads it."""

    def __init__(self, image: Image) -> None:
        self._image = image
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def close(self) -> None:
        return None

    def read(self, offset: int, size: int) -> bytes:
        return self._image.read(offset, size)

    def get_size(self) -> int:
        return self._image.size_bytes


def _volumes(disk: Any) -> Iterator[tuple[Any, int]]:
    """The disk with the offset of each allocated partition; with 0 where it has no table."""
    try:
        table = pytsk3.Volume_Info(disk)
    except OSError:
        yield disk, 0
        return
    for partition in table:
        if partition.flags == pytsk3.TSK_VS_PART_FLAG_ALLOC:
            yield disk, partition.start * table.info.block_size


class _Walk:
    """Goes through file systems and gives their files to a sink."""

    def __init__(self, sink: Sink, max_members: int) -> None:
        self._sink, self._max_members, self._members = sink, max_members, 0
        self._own_below = 0  # files with a smaller number are the file system's own

    def volume(self, disk: Any, offset: int, image: Image, prefix: bytes) -> None:
        """All files of the file system at *offset*; one that cannot be read is told as a member with a problem."""
        try:
            if image.read(offset, 512)[3:11] == BITLOCKER:
                raise EncryptedMember("the partition is encrypted (BitLocker)")
            system = pytsk3.FS_Info(disk, offset=offset)
            self._own_below = NTFS_OWN_BELOW if system.info.ftype == pytsk3.TSK_FS_TYPE_NTFS else 0
            self._folder(system.open_dir(path="/"), prefix, frozenset(), 0)
        except OSError as error:
            problem = UndecodableMedia(f"no file system that is read here: {_first_line(error)}")
            self._sink.begin(prefix + b"(file system)", None, problem)
        except EncryptedMember as error:
            self._sink.begin(prefix + b"(file system)", None, error)

    def _folder(self, folder: Any, prefix: bytes, above: frozenset[int], depth: int) -> None:
        for entry in folder:
            name, meta = entry.info.name, entry.info.meta
            if name is None or meta is None or name.name in OWN_NAMES:
                continue
            if not meta.flags & pytsk3.TSK_FS_META_FLAG_ALLOC or not name.flags & pytsk3.TSK_FS_NAME_FLAG_ALLOC:
                continue
            if meta.addr < self._own_below or (meta.size == 0 and name.name.endswith(VOLUME_LABEL)):
                continue
            whole = prefix + name.name
            if meta.type == pytsk3.TSK_FS_META_TYPE_DIR:
                self._below(entry, whole, above, depth)
            elif meta.type == pytsk3.TSK_FS_META_TYPE_REG:
                self._file(entry, whole, meta.size)

    def _below(self, entry: Any, whole: bytes, above: frozenset[int], depth: int) -> None:
        address = entry.info.meta.addr
        if address in above or entry.info.name.name.startswith(b"$OrphanFiles"):
            return  # a folder within itself; or The Sleuth Kit's own list of deleted files
        if depth >= MAX_FOLDER_DEPTH:
            self._sink.begin(whole, None, UnpackRefused(f"folders lie deeper than {MAX_FOLDER_DEPTH}"))
            return
        try:
            folder = entry.as_directory()
        except OSError as error:
            self._sink.begin(whole, None, UndecodableMedia(f"the folder cannot be read: {_first_line(error)}"))
            return
        self._folder(folder, whole + b"/", above | {address}, depth + 1)

    def _file(self, entry: Any, whole: bytes, size: int) -> None:
        self._members += 1
        if self._members > self._max_members:
            raise UnpackRefused(f"more than {self._max_members} files (unpack.max_members)")
        if not self._sink.begin(whole, size, name_problem(whole)):
            return
        at = 0
        problem: MediaError | None = None
        while at < size:
            try:
                piece = entry.read_random(at, min(PIECE_BYTES, size - at))
            except OSError as error:
                problem = UndecodableMedia(f"the content cannot be read: {_first_line(error)}")
                break
            if not piece:
                problem = UndecodableMedia(f"the content ends after {at} of {size} bytes")
                break
            self._sink.write(bytes(piece))
            at += len(piece)
        self._sink.end(problem)


def _first_line(error: OSError) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
