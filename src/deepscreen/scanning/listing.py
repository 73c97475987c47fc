"""Finds the files of the folder, or the one file, that is to be scanned. Nothing is opened but what must be."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import ConfigError, UnreadableMedia
from deepscreen.media.containers.kinds import HEAD_BYTES, container_kind
from deepscreen.media.intake import open_regular
from deepscreen.report.wording import shown


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as the file system lists it; ``way`` is relative to the folder."""

    way: bytes
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts of a folder, numbered from 1: who takes a file is decided by its path alone."""

    number: int
    of: int

    def has(self, way: bytes) -> bool:
        """Whether the file is this part's."""
        return int.from_bytes(hashlib.sha256(way).digest()[:8], "big") % self.of == self.number - 1


def shard_of(text: str) -> Shard:
    """The part that ``2/3`` names; raises ConfigError."""
    number, _, of = text.partition("/")
    if not (number.isascii() and number.isdigit() and of.isascii() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise ConfigError(f"--shard {shown(text)}: want NUMBER/OF, such as 1/3, 2/3 and 3/3 on three machines")
    return Shard(int(number), int(of))


def folder_of(source: Path) -> Path:
    """The folder that ways are relative to: *source*, or the one that it lies in.

    Raises ConfigError where *source* is neither a folder nor a container.
    """
    if source.is_dir():
        return source
    if read_kind(source) is None:
        raise ConfigError(
            f"{shown(str(source))}: not a folder, and no archive, disk image, document or message that is read here; "
            "to screen a single file use `deepscreen screen`"
        )
    return source.parent


def entries(source: Path, shard: Shard | None = None) -> Iterator[Entry]:
    """Everything below *source* that is not a folder, in no order; linked folders are entries. Holds no list."""
    if not source.is_dir():
        yield _entry(source, os.fsencode(source.name))
        return
    root = os.fsencode(source.absolute()).rstrip(b"/")
    open_folders = [root or b"/"]
    while open_folders:
        folder = open_folders.pop()
        try:
            with os.scandir(folder) as found:
                for item in found:
                    if item.is_dir(follow_symlinks=False):
                        open_folders.append(item.path)
                        continue
                    way = item.path[len(root) + 1 :]
                    if shard is None or shard.has(way):
                        facts = item.stat(follow_symlinks=False)
                        yield Entry(way, facts.st_size, facts.st_mtime_ns)
        except FileNotFoundError:
            continue  # gone since its folder was listed, as in a folder that someone works in
        except OSError as error:
            # A folder that cannot be listed must not pass for an empty one.
            raise ConfigError(f"{shown(os.fsdecode(folder))}: cannot be listed ({error.strerror})") from error


def read_kind(path: Path) -> str | None:
    """The kind of container that the file is by its first bytes; None where it is none or cannot be read."""
    try:
        return container_kind(read_head(path))
    except UnreadableMedia:
        return None


def read_head(path: Path) -> bytes:
    """The first bytes of a regular file; raises UnreadableMedia."""
    descriptor = open_regular(path)
    try:
        return os.read(descriptor, HEAD_BYTES)
    except OSError as error:
        raise UnreadableMedia(f"the file cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _entry(path: Path, way: bytes) -> Entry:
    facts = path.lstat()
    return Entry(way, facts.st_size, facts.st_mtime_ns)
