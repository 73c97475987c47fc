"""Uploads that survive a broken line: their bytes so far, who sends them, and until when they are kept.

The offset of an upload is the length of its file: whatever was killed at whatever moment, there are not two truths.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from deepscreen.api.data_folder import PRIVATE_FOLDER_MODE, told_of_uploads
from deepscreen.api.http_errors import NoSuchResult, UploadBusy
from deepscreen.errors import Overloaded

ID = re.compile(r"[0-9a-f]{32}")
PIECE_BYTES = 1024 * 1024
MOST_FOR_ONE_KEY = 64  # uploads that one key may have under way


class PartialUpload(BaseModel):
    """What is known of an upload besides its bytes; a JSON file beside them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    owner: str  # id of the key that began it
    length_bytes: int
    filename: str | None
    case_id: str | None
    expires_at: float  # seconds since 1970
    screening_id: str | None = None  # once it is complete and was handed over; its bytes are gone from here then


class ResumableUploads:
    """The uploads under way in a folder; one process at a time has it."""

    def __init__(self, data_dir: Path, *, lifetime_seconds: float) -> None:
        self._folder = data_dir / "resumable"
        self._folder.mkdir(mode=PRIVATE_FOLDER_MODE, exist_ok=True)
        self._lifetime_seconds = lifetime_seconds
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._hashes: dict[str, Hashed] = {}

    def begin(self, owner: str, *, length_bytes: int, filename: str | None, case_id: str | None) -> PartialUpload:
        """A new upload without a byte; raises Overloaded where its owner has too many under way."""
        if sum(upload.owner == owner and upload.screening_id is None for upload in self._all()) >= MOST_FOR_ONE_KEY:
            raise Overloaded(
                f"this key has {MOST_FOR_ONE_KEY} uploads under way; end or delete some", retry_after_seconds=60
            )
        upload = PartialUpload(
            id=secrets.token_hex(16),
            owner=owner,
            length_bytes=length_bytes,
            filename=filename,
            case_id=case_id,
            expires_at=time.time() + self._lifetime_seconds,
        )
        with told_of_uploads():
            self.path_of(upload).touch(mode=0o600, exist_ok=False)
            self._write(upload)
        return upload

    def find(self, upload_id: str, owner: str) -> PartialUpload:
        """The upload that *owner* began; raises NoSuchResult for anybody else's, and for one that has expired."""
        upload = self._read(upload_id) if ID.fullmatch(upload_id) else None
        if upload is None or upload.owner != owner or upload.expires_at <= time.time():
            raise NoSuchResult("there is no upload with this id under this key, or it has expired; begin another")
        return upload

    def offset(self, upload: PartialUpload) -> int:
        """How many bytes have arrived."""
        return self.path_of(upload).stat().st_size if upload.screening_id is None else upload.length_bytes

    def promised_bytes(self) -> int:
        """How much space the uploads under way will still take."""
        promised = 0
        for upload in self._all():
            with suppress(FileNotFoundError):  # it is being removed
                promised += upload.length_bytes - self.offset(upload)
        return promised

    def path_of(self, upload: PartialUpload) -> Path:
        """Where its bytes lie."""
        return self._folder / f"{upload.id}.part"

    @contextmanager
    def hold(self, upload: PartialUpload) -> Iterator[PartialUpload]:
        """The upload as it stands, with others kept away; raises UploadBusy where somebody else holds it."""
        with self._lock:
            if upload.id in self._busy:
                raise UploadBusy(
                    "another request sends bytes of this upload; wait for its end, then ask for the offset"
                )
            self._busy.add(upload.id)
        try:
            yield self.find(upload.id, upload.owner)
        finally:
            with self._lock:
                self._busy.discard(upload.id)

    def append(self, upload: PartialUpload, pieces: list[bytes]) -> None:
        """Adds bytes at the end; raises StorageFull or StoreUnavailable. The upload is held."""
        data = b"".join(pieces)
        if not data:  # a whole upload may be a blob already, which is not to be written to
            return
        hashed = self._hashed(upload)
        with told_of_uploads(), self.path_of(upload).open("ab", buffering=0) as file:
            view = memoryview(data)
            while view:  # an unbuffered file may take less than it was given
                taken = file.write(view)
                hashed.add(view[:taken])
                view = view[taken:]

    def sync(self, upload: PartialUpload) -> None:
        """Returns when what has arrived is on the disk: an offset that was told must hold after a power cut."""
        with told_of_uploads(), self.path_of(upload).open("rb") as file:
            os.fsync(file.fileno())

    def sha256(self, upload: PartialUpload) -> str:
        """Hash of all bytes that have arrived. The upload is held."""
        return self._hashed(upload).digest.hexdigest()

    def hand_over(self, upload: PartialUpload, screening_id: str) -> PartialUpload:
        """Notes the screening that the upload became, and lets go of its bytes."""
        ended = upload.model_copy(update={"screening_id": screening_id})
        with told_of_uploads():
            self._write(ended)
            self.path_of(upload).unlink(missing_ok=True)
        self._hashes.pop(upload.id, None)
        return ended

    def remove(self, upload: PartialUpload) -> None:
        """Ends the upload; raises UploadBusy while bytes arrive."""
        with self.hold(upload):
            self._remove(upload.id)

    def remove_expired(self) -> None:
        """Removes what was abandoned, and what a crash left between two steps."""
        now = time.time()
        for path in list(self._folder.iterdir()):
            upload = self._read(path.stem)
            with suppress(FileNotFoundError):  # it went with a file of the same upload
                expires_at = upload.expires_at if upload else path.stat().st_mtime + self._lifetime_seconds
                if expires_at <= now and path.stem not in self._busy:
                    self._remove(path.stem)

    def _remove(self, upload_id: str) -> None:
        self._hashes.pop(upload_id, None)
        for suffix in (".json", ".part", ".new"):
            (self._folder / f"{upload_id}{suffix}").unlink(missing_ok=True)

    def _hashed(self, upload: PartialUpload) -> Hashed:
        """The running hash; read from the disk again after a restart, or where a write was cut short."""
        found = self._hashes.get(upload.id)
        if found is None or found.size_bytes != self.offset(upload):
            found = Hashed()
            with self.path_of(upload).open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    found.add(piece)
            self._hashes[upload.id] = found
        return found

    def _all(self) -> list[PartialUpload]:
        found = (self._read(path.stem) for path in self._folder.glob("*.json"))
        return [upload for upload in found if upload is not None]

    def _record_of(self, upload_id: str) -> Path:
        return self._folder / f"{upload_id}.json"

    def _read(self, upload_id: str) -> PartialUpload | None:
        try:
            return PartialUpload.model_validate_json(self._record_of(upload_id).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def _write(self, upload: PartialUpload) -> None:
        unfinished = self._folder / f"{upload.id}.new"
        unfinished.touch(mode=0o600)
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(upload.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._record_of(upload.id))
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # bytes that are on the disk are nobody's without this record
        finally:
            os.close(folder)


class Hashed:
    """A running sha256 and how many bytes are in it."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def add(self, piece: bytes | memoryview) -> None:
        """Adds the next bytes."""
        self.digest.update(piece)
        self.size_bytes += len(piece)
