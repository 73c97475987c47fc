"""Blobs: write-once files named by their sha256, in a folder or in an object store, proven whenever they are read."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from deepscreen.errors import BlobDamaged, ConfigError, StoreError, StoreUnavailable
from deepscreen.store.disk_errors import told_as_store_errors
from deepscreen.store.sealing import Sealer

PIECE_BYTES = 1024 * 1024
SYNCS_AT_ONCE = 8
SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")
FILE_MODE, FOLDER_MODE = 0o400, 0o700
SEALED = ".sealed"
SUFFIXES = ("", SEALED)
UNFINISHED, UNFINISHED_SECONDS = ".new-", 86_400.0
MARKER = "deepscreen-blobs"  # a file in the folder: an empty mount point has none
# Libraries below fsspec whose errors of a line that is cut are no OSError.
CLIENTS_OF_OBJECT_STORES = frozenset({"botocore", "aiobotocore", "aiohttp"})


def sha256_of(content: bytes) -> str:
    """The name under which *content* is kept."""
    return hashlib.sha256(content).hexdigest()


class BlobStore:
    """Content-addressed files below *url*: a path, or what fsspec knows, such as ``s3://bucket/folder``.

    With a *sealer* new blobs are sealed, and named by their sha256 all the same. Those from before stay as they are.
    In *scratch* lies what is sealed before it is sent elsewhere: as large as the file, too large for a /tmp in memory.
    A folder that is not *expected_empty* and holds nothing raises StoreUnavailable: its disk is not mounted, perhaps.
    """

    def __init__(
        self,
        url: str,
        sealer: Sealer | None = None,
        *,
        scratch: Path | None = None,
        expected_empty: bool = True,
    ) -> None:
        self.sealer, self._scratch = sealer, scratch
        try:
            self._fs, self._root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise ConfigError(f"blob_url {url!r} cannot be used: {error}") from error
        # Object stores: what another process wrote or removed must be seen at once.
        self._fs.use_listings_cache = False
        self._is_local = isinstance(self._fs, LocalFileSystem)
        if self._is_local:
            with _told_as_store_errors():
                self._mark(expected_empty=expected_empty)

    def put(self, content: bytes) -> str:
        """Keeps *content*; gives its sha256. Kept already, it is not written again."""
        sha256 = sha256_of(content)
        self.put_all({sha256: content})
        return sha256

    def put_all(self, contents: Mapping[str, bytes]) -> None:
        """Keeps contents by their sha256; together, so that the disk is waited for once and not for each."""
        self._keep([_Incoming(sha256, content) for sha256, content in contents.items()])

    def put_file(self, path: Path, sha256: str) -> None:
        """Keeps a copy of the file at *path*, whose sha256 the caller has measured."""
        self._keep([_Incoming(sha256, path)])

    def has(self, sha256: str) -> bool:
        """Whether there is such a blob; its content is not looked at."""
        with _told_as_store_errors():
            is_there = self._find(sha256) is not None
        if not is_there:
            self._check_mounted()
        return is_there

    def read(self, sha256: str) -> bytes:
        """A blob's content; raises BlobDamaged where it is gone or is not what was written."""
        with self.opened(sha256) as file:
            content: bytes = file.read()
        if sha256_of(content) != sha256:
            raise _changed(sha256)
        return content

    def prove(self, sha256: str) -> int:
        """Reads a whole blob in pieces and gives its size in bytes; raises BlobDamaged as ``read`` does."""
        digest, size_bytes = hashlib.sha256(), 0
        with self.opened(sha256) as file:
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
                size_bytes += len(piece)
        if digest.hexdigest() != sha256:
            raise _changed(sha256)
        return size_bytes

    @contextmanager
    def as_file(self, sha256: str, folder: Path) -> Iterator[Path]:
        """A proven blob as a file that must not be written to.

        It is copied into *folder*, and removed there in the end, where it is sealed or the store is elsewhere.
        """
        if self._is_local and self._find(sha256) == self._path(sha256):
            self.prove(sha256)
            yield Path(self._path(sha256))
            return
        path = folder / secrets.token_hex(16)
        try:
            digest = hashlib.sha256()
            with self.opened(sha256) as source, path.open("xb") as copy:
                while piece := source.read(PIECE_BYTES):
                    digest.update(piece)
                    copy.write(piece)
            if digest.hexdigest() != sha256:
                raise _changed(sha256)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def remove(self, sha256: str) -> None:
        """Removes a blob; it may be gone already."""
        self._check_mounted()
        for suffix in SUFFIXES:
            with _told_as_store_errors(), contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(self._path(sha256) + suffix)

    def older_than(self, seconds: float) -> Iterator[str]:
        """The blobs that were written longer ago than that, in no order."""
        self._check_mounted()
        latest = time.time() - seconds
        with _told_as_store_errors():
            found = self._fs.find(self._root, detail=True)
        for path, info in found.items():
            sha256 = path.rpartition("/")[2].removesuffix(SEALED)
            if SHA256_PATTERN.fullmatch(sha256) and _written_at(info) < latest:
                yield sha256

    def size(self) -> tuple[int, int]:
        """How many blobs there are, and their bytes as they lie there; all are listed for it."""
        self._check_mounted()
        with _told_as_store_errors():
            found = self._fs.find(self._root, detail=True)
        names = (path.rpartition("/")[2].removesuffix(SEALED) for path in found)
        sizes = [
            info["size"] for name, info in zip(names, found.values(), strict=True) if SHA256_PATTERN.fullmatch(name)
        ]
        return len(sizes), sum(sizes)

    def clear_unfinished(self) -> None:
        """Removes what writers that died a day ago left half done; object stores do that themselves."""
        if not self._is_local:
            return
        latest = time.time() - UNFINISHED_SECONDS
        with _told_as_store_errors():
            for path in Path(self._root).glob(f"{UNFINISHED}*"):
                if path.stat().st_mtime < latest:
                    path.unlink(missing_ok=True)

    def free_bytes(self) -> int | None:
        """Space left for more, None where nobody can tell (object stores)."""
        return shutil.disk_usage(self._root).free if self._is_local else None

    def _mark(self, *, expected_empty: bool) -> None:
        root = Path(self._root)
        _make_folders(root)
        # Blobs without a marker are those of before there was one.
        if not (root / MARKER).exists() and (expected_empty or any(root.glob("??/??/*"))):
            (root / MARKER).touch(mode=FILE_MODE)
        self._check_mounted()

    def _check_mounted(self) -> None:
        """Raises StoreUnavailable where the folder is not the one that was filled: nothing is gone, or to be filled."""
        if self._is_local and not Path(self._root, MARKER).exists():
            raise StoreUnavailable(
                f"the folder of blobs {self._root} has no file {MARKER}: mount its disk; only if what it held is lost "
                "for good, make that file by hand"
            )

    def _path(self, sha256: str) -> str:
        if not SHA256_PATTERN.fullmatch(sha256):
            raise StoreError(f"{sha256!r} is no sha256")
        return f"{self._root}/{sha256[:2]}/{sha256[2:4]}/{sha256}"

    @contextmanager
    def opened(self, sha256: str) -> Iterator[IO[bytes]]:
        """A blob to be read from front to end; *what is read is not proven*. Raises BlobDamaged where it is gone."""
        with _told_as_store_errors():
            path = self._find(sha256)
            try:
                if path is None:
                    self._check_mounted()
                    raise FileNotFoundError
                with self._fs.open(path, "rb") as file:
                    yield self._unsealed(file, sha256) if path.endswith(SEALED) else file
            except FileNotFoundError as error:
                raise BlobDamaged(f"blob {sha256} is gone") from error

    def _unsealed(self, file: IO[bytes], sha256: str) -> IO[bytes]:
        if self.sealer is None:
            raise StoreError(f"blob {sha256} is sealed, and no blob_key_file is set")
        return self.sealer.open(file, sha256)

    def _find(self, sha256: str) -> str | None:
        """The file of a blob, sealed or not; None where there is none."""
        paths = (self._path(sha256) + suffix for suffix in SUFFIXES)
        return next((path for path in paths if self._fs.exists(path)), None)

    def _keep(self, incoming: list[_Incoming]) -> None:
        """Keeps what is not there yet."""
        self._check_mounted()
        with _told_as_store_errors():
            missing = [each for each in incoming if self._find(each.sha256) is None]
            if self._is_local:
                self._link_in(missing)
                return
            for each in missing:
                self._send(each)

    def _send(self, each: _Incoming) -> None:
        final = self._path(each.sha256)
        if self.sealer is not None:
            # First to a file: an object that is sent while it is made would be half there after an error.
            descriptor, sealed = tempfile.mkstemp(prefix="sealed-", dir=self._scratch)
            os.close(descriptor)
            try:
                each.seal_to(Path(sealed), self.sealer)
                self._fs.put_file(sealed, final + SEALED)
            finally:
                Path(sealed).unlink(missing_ok=True)
        elif isinstance(each.source, Path):
            self._fs.put_file(str(each.source), final)
        else:
            self._fs.pipe_file(final, each.source)

    def _link_in(self, incoming: list[_Incoming]) -> None:
        """Each file under its name as a whole and on the disk, or not at all."""
        finals = [Path(self._path(each.sha256) + (SEALED if self.sealer else "")) for each in incoming]
        unfinished = [Path(self._root) / f"{UNFINISHED}{secrets.token_hex(16)}" for _ in incoming]
        try:
            for each, path in zip(incoming, unfinished, strict=True):
                path.touch(mode=0o600, exist_ok=False)
                each.write_to(path, self.sealer)
                path.chmod(FILE_MODE)
            _sync(unfinished)
            for path, final in zip(unfinished, finals, strict=True):
                _make_folders(final.parent)
                path.replace(final)
            _sync({final.parent for final in finals})
        finally:
            for path in unfinished:
                path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Incoming:
    """What is to be kept: bytes, or a file."""

    sha256: str
    source: bytes | Path

    def write_to(self, path: Path, sealer: Sealer | None) -> None:
        if sealer is not None:
            self.seal_to(path, sealer)
        elif isinstance(self.source, Path):
            _link_or_copy(self.source, path)
        else:
            path.write_bytes(self.source)

    def seal_to(self, path: Path, sealer: Sealer) -> None:
        opened = self.source.open("rb") if isinstance(self.source, Path) else io.BytesIO(self.source)
        with opened as content, path.open("wb") as file:
            sealer.seal(content, file, self.sha256)


def _make_folders(folder: Path) -> None:
    for missing in reversed(
        [f for f in (folder, *folder.parents) if not f.exists()]
    ):  # a mode is for the last one only
        missing.mkdir(mode=FOLDER_MODE, exist_ok=True)


def _link_or_copy(source: Path, target: Path) -> None:
    """A second name for the same content costs nothing; where the file system has none, a copy."""
    target.unlink()
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def _sync(paths: Collection[Path]) -> None:
    """Returns when files and folders are on the disk. At the same time, several take little longer than one."""
    if len(paths) == 1:
        _sync_one(*paths)
        return
    with ThreadPoolExecutor(SYNCS_AT_ONCE) as threads:
        list(threads.map(_sync_one, paths))


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written_at(info: dict[str, Any]) -> float:
    """When a file was written, as folders, S3 and fsspec's memory tell it."""
    found = next((info[name] for name in ("mtime", "LastModified", "created") if info.get(name)), None)
    if isinstance(found, datetime):
        return found.timestamp()
    return float(found) if found is not None else time.time()  # unknown: as if it were new


def _changed(sha256: str) -> BlobDamaged:
    return BlobDamaged(f"blob {sha256} is not what was written")


@contextmanager
def _told_as_store_errors() -> Iterator[None]:
    try:
        with told_as_store_errors(full="the blob store is full", refused="the blob store does not take or give files"):
            yield
    except Exception as error:
        if CLIENTS_OF_OBJECT_STORES.isdisjoint(kind.__module__.partition(".")[0] for kind in type(error).__mro__):
            raise
        raise StoreUnavailable(f"the object store does not answer: {error}") from error
