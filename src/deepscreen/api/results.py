"""Results on disk: one folder per screening with its record, its evidence and the circumstances of its making."""

from __future__ import annotations

import fcntl
import hashlib
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from deepscreen.api.http_errors import NoSuchResult, ResultDamaged
from deepscreen.errors import ConfigError
from deepscreen.record import Evidence, Screening
from deepscreen.screened import Screened

ID_BYTES = 16  # 128 random bits: an id cannot be guessed or counted up
ID_PATTERN = re.compile(r"[0-9a-f]{32}")
PRIVATE_FOLDER_MODE = 0o700
RECORD_FILE = "record.json"
CIRCUMSTANCES_FILE = "circumstances.json"


class Circumstances(BaseModel):
    """What belongs to one screening on one service and not to its record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    filename: str | None
    created_at: datetime
    stage_milliseconds: dict[str, float]
    record_sha256: str


@dataclass(frozen=True, slots=True)
class StoredScreening:
    """A result as it was read back."""

    id: str
    record_json: bytes
    screening: Screening
    circumstances: Circumstances

    def evidence(self) -> Iterator[Evidence]:
        """All evidence that the record names."""
        return (evidence for modality in self.screening.modalities.values() for evidence in modality.evidence)


@contextmanager
def open_data_folder(data_dir: Path | None) -> Iterator[Path]:
    """*data_dir*, made and locked for this process; or a temporary folder that is removed at the end.

    Raises ConfigError where it cannot be used or another service uses it.
    """
    if data_dir is None:
        with tempfile.TemporaryDirectory(prefix="deepscreen-") as folder:
            yield Path(folder)
        return
    try:
        data_dir.mkdir(mode=PRIVATE_FOLDER_MODE, parents=True, exist_ok=True)
        lock = (data_dir / "lock").open("w")
    except OSError as error:
        raise ConfigError(f"data_dir {data_dir} cannot be written: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"data_dir {data_dir} is used by another service; stop it or choose another") from error
        yield data_dir


class ResultFolder:
    """Keeps results under ``results/`` and uploads, for as long as they are screened, under ``uploads/``."""

    def __init__(self, data_dir: Path) -> None:
        self._results = data_dir / "results"
        self._uploads = data_dir / "uploads"
        # What a crash left behind: originals must not stay longer than their screening.
        shutil.rmtree(self._uploads, ignore_errors=True)
        self._results.mkdir(mode=PRIVATE_FOLDER_MODE, exist_ok=True)
        self._uploads.mkdir(mode=PRIVATE_FOLDER_MODE)
        for unfinished in self._results.glob(".new-*"):
            shutil.rmtree(unfinished)

    def upload_path(self) -> Path:
        """A new path for an upload; its name owes nothing to the sender."""
        return self._uploads / secrets.token_hex(ID_BYTES)

    def put(self, screened: Screened, *, filename: str | None, created_at: datetime) -> str:
        """Writes a result, whole or not at all; gives its id."""
        result_id = secrets.token_hex(ID_BYTES)
        record_json = screened.screening.canonical_json()
        circumstances = Circumstances(
            filename=filename,
            created_at=created_at,
            stage_milliseconds={name: round(1000 * took, 1) for name, took in screened.stage_seconds.items()},
            record_sha256=hashlib.sha256(record_json).hexdigest(),
        )
        folder = self._results / f".new-{result_id}"
        folder.mkdir(mode=PRIVATE_FOLDER_MODE)
        (folder / RECORD_FILE).write_bytes(record_json)
        (folder / CIRCUMSTANCES_FILE).write_text(circumstances.model_dump_json(), encoding="utf-8")
        for content in screened.artefacts.values():
            # Named by content: whatever a picture is called in the record, it is no path here.
            (folder / hashlib.sha256(content).hexdigest()).write_bytes(content)
        folder.rename(self._results / result_id)
        return result_id

    def get(self, result_id: str) -> StoredScreening:
        """The result with this id; raises NoSuchResult, or ResultDamaged where its files were changed."""
        if not ID_PATTERN.fullmatch(result_id) or not (self._results / result_id).is_dir():
            raise NoSuchResult("there is no screening with this id on this service")
        folder = self._results / result_id
        try:
            record_json = (folder / RECORD_FILE).read_bytes()
            circumstances = Circumstances.model_validate_json((folder / CIRCUMSTANCES_FILE).read_bytes())
            screening = Screening.model_validate_json(record_json)
        except (OSError, ValidationError) as error:
            raise ResultDamaged(f"result {result_id} cannot be read: {error}") from error
        if hashlib.sha256(record_json).hexdigest() != circumstances.record_sha256:
            raise ResultDamaged(f"result {result_id}: {RECORD_FILE} is not what was written")
        return StoredScreening(result_id, record_json, screening, circumstances)

    def evidence(self, result_id: str, name: str) -> tuple[Evidence, bytes]:
        """A picture that the record names, proven by the record's sha256; raises as ``get`` does."""
        entry = next((e for e in self.get(result_id).evidence() if e.name == name), None)
        if entry is None:
            raise NoSuchResult("the record of this screening names no such evidence")
        try:
            content = (self._results / result_id / entry.sha256).read_bytes()
        except OSError as error:
            raise ResultDamaged(f"result {result_id}: evidence {name} cannot be read: {error}") from error
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise ResultDamaged(f"result {result_id}: evidence {name} is not what was written")
        return entry, content
