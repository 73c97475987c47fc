"""The store as a whole: database, blobs and the key that signs, as the settings name them."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from deepscreen.errors import StorageFull
from deepscreen.settings import Settings
from deepscreen.store.audit import Signer
from deepscreen.store.blobs import BlobStore
from deepscreen.store.database import Database, sqlite_url
from deepscreen.store.disk_errors import told_as_store_errors
from deepscreen.store.sealing import Sealer
from deepscreen.store.tables import screenings

DATABASE_NAME, BLOBS_NAME, SIGNING_KEY_NAME = "deepscreen.db", "blobs", "signing-key.pem"
SCRATCH_NAME, SCRATCH_SECONDS = "scratch", 86_400.0


@dataclass(frozen=True, slots=True)
class Store:
    """Where everything lies that must outlive the process."""

    database: Database
    blobs: BlobStore
    data_dir: Path
    min_free_bytes: int

    @classmethod
    def open(cls, settings: Settings, data_dir: Path) -> Store:
        """Opens what is there and makes what is missing; raises ConfigError or StoreError."""
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = Database(settings.database_url or sqlite_url(data_dir / DATABASE_NAME))
        try:
            database.migrate()
            sealer = Sealer.from_file(settings.blob_key_file) if settings.blob_key_file is not None else None
            scratch = data_dir / SCRATCH_NAME
            scratch.mkdir(mode=0o700, exist_ok=True)
            blobs = BlobStore(
                settings.blob_url or str(data_dir / BLOBS_NAME),
                sealer,
                scratch=scratch,
                expected_empty=_holds_nothing(database),
            )
        except BaseException:
            database.close()
            raise
        return cls(database, blobs, data_dir, settings.min_free_bytes)

    def signer(self) -> Signer:
        """The key for checkpoints; raises ConfigError where its file cannot be used."""
        return Signer(self.data_dir / SIGNING_KEY_NAME)

    def scratch(self) -> Path:
        """Where copies lie while they are read; what a process that was killed left there is removed a day later."""
        folder = self.data_dir / SCRATCH_NAME
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        latest = time.time() - SCRATCH_SECONDS
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                if path.is_file() and path.stat().st_mtime < latest:
                    path.unlink(missing_ok=True)
        return folder

    def check_space(self, wanted_bytes: int) -> None:
        """Raises StorageFull where uploads of *wanted_bytes* would leave too little free, or StoreUnavailable.

        An upload lies in *data_dir* first. There it becomes a blob by a second name, or, sealed, by a second copy.
        """
        copies = 1 if self.blobs.sealer is None else 2
        with told_as_store_errors(full="no space is left", refused="the data folder cannot be looked at"):
            free_bytes = shutil.disk_usage(self.data_dir).free
        self._check_free(free_bytes, copies * wanted_bytes)
        self._check_free(self.blobs.free_bytes(), wanted_bytes)

    def _check_free(self, free_bytes: int | None, wanted_bytes: int) -> None:
        if free_bytes is not None and free_bytes - wanted_bytes < self.min_free_bytes:
            raise StorageFull(
                f"{free_bytes} bytes are free, {self.min_free_bytes} must stay so; make room and try again"
            )

    def close(self) -> None:
        """Closes the database's connections."""
        self.database.close()


def _holds_nothing(database: Database) -> bool:
    """Whether the database refers to no original."""
    with database.read() as connection:
        kept = select(screenings.c.id).where(screenings.c.deleted_at.is_(None)).limit(1)
        return connection.execute(kept).first() is None
