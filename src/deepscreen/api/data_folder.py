"""The data folder of a service, and where uploads lie until they are in the blob store."""

from __future__ import annotations

import fcntl
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from deepscreen.errors import ConfigError
from deepscreen.store.disk_errors import told_as_store_errors

NAME_BYTES = 16
PRIVATE_FOLDER_MODE = 0o700


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


def told_of_uploads() -> AbstractContextManager[None]:
    """Raises StorageFull or StoreUnavailable for what the disk refuses while uploads are written or read."""
    return told_as_store_errors(full="no space is left for uploads", refused="the folder of uploads cannot be written")


class UploadFolder:
    """Files on their way in or out. What a crash left of one is removed at the next start."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "uploads"
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(mode=PRIVATE_FOLDER_MODE)

    def new_path(self) -> Path:
        """A path for an upload; its name owes nothing to the sender."""
        return self.path / secrets.token_hex(NAME_BYTES)
