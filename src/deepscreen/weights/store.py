"""Where weight files lie, and the proof that each is the one that the manifest names. Never downloads."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from deepscreen.errors import WeightsMismatch, WeightsMissing
from deepscreen.settings import Settings
from deepscreen.weights.manifest import Manifest, WeightsRow, load_manifest

if TYPE_CHECKING:
    import torch

MANIFEST_NAME = "manifest.toml"
_HOW_TO_PULL = "run `deepscreen weights pull`, or on a machine without network `deepscreen weights import BUNDLE.tar`"
_HOW_TO_RESTORE = "it travels with the code: restore it from the repository, or reinstall deepscreen"


@dataclass(frozen=True, slots=True)
class VerifiedWeights:
    """A weight file whose full sha256 was found to be the manifest's."""

    name: str
    path: Path
    sha256: str

    def read_bytes(self) -> bytes:
        """The file's bytes, hashed again as they were read, so that a swap after the check is noticed."""
        content = _read(self.path, self.name)
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise WeightsMismatch(
                f"{self.path}: changed while it was in use; expected sha256 {self.sha256}, found {found}"
            )
        return content


@dataclass(frozen=True, slots=True)
class WeightsStore:
    """The manifest with the two folders that its files lie in: shipped with the code, and pulled into the cache."""

    manifest: Manifest
    shipped_dir: Path
    cache_dir: Path

    @classmethod
    def from_settings(cls, settings: Settings) -> WeightsStore:
        """The installed manifest and the cache folder that *settings* name."""
        shipped = shipped_dir()
        return cls(load_manifest(shipped / MANIFEST_NAME), shipped, cache_dir(settings))

    def path(self, row: WeightsRow) -> Path:
        """Where the file of *row* belongs, whether it is there or not."""
        return (self.shipped_dir if row.is_shipped else self.cache_dir) / row.file

    def locate(self, name: str) -> VerifiedWeights:
        """The file of row *name*, its full digest checked (once per process and file).

        Raises WeightsMissing or WeightsMismatch, which name the file, expected and found hash, and what to do.
        """
        row = self.manifest.row(name)
        path = self.path(row)
        how = _HOW_TO_RESTORE if row.is_shipped else _HOW_TO_PULL
        try:
            facts = path.stat()
            found = _sha256_of(path, facts.st_size, facts.st_mtime_ns, facts.st_ino)
        except OSError as error:
            raise WeightsMissing(
                f"{path}: weights {name!r} cannot be read ({error.strerror}); expected sha256 {row.sha256}; {how}"
            ) from error
        if found != row.sha256:
            size = "" if facts.st_size == row.bytes else f" ({facts.st_size} bytes instead of {row.bytes})"
            raise WeightsMismatch(f"{path}: expected sha256 {row.sha256}, found {found}{size}; {how}")
        return VerifiedWeights(name, path, row.sha256)


def locate_weights(name: str, settings: Settings) -> VerifiedWeights:
    """The installed weights *name*, proven; see ``WeightsStore.locate``."""
    return WeightsStore.from_settings(settings).locate(name)


def load_tensors(verified: VerifiedWeights) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file by name, on the CPU, from bytes that were hashed as they were read."""
    from safetensors.torch import load

    tensors: dict[str, torch.Tensor] = load(verified.read_bytes())
    return tensors


def shipped_dir() -> Path:
    """The folder of manifest, heads and calibrations: ``weights/`` of a checkout, else inside the package."""
    checkout = _checkout()
    return checkout / "weights" if checkout else Path(__file__).resolve().parents[1] / "_shipped"


def cache_dir(settings: Settings) -> Path:
    """The folder of pulled weights: the setting, else ``weights/cache`` of a checkout, else the user's cache."""
    if settings.weights_cache is not None:
        return settings.weights_cache
    checkout = _checkout()
    if checkout:
        return checkout / "weights" / "cache"
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path there is invalid and to be ignored.
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "deepscreen" / "weights"


def file_sha256(path: Path) -> str:
    """Hex sha256 of the file's bytes, read now."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=256)
def _sha256_of(path: Path, _size: int, _mtime_ns: int, _inode: int) -> str:
    return file_sha256(path)


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsMissing(f"{path}: weights {name!r} cannot be read ({error.strerror}); {_HOW_TO_PULL}") from error


@lru_cache(maxsize=1)
def _checkout() -> Path | None:
    root = Path(__file__).resolve().parents[3]
    return root if (root / "pyproject.toml").is_file() and (root / "weights" / MANIFEST_NAME).is_file() else None
