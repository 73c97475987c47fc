"""All pulled weights in one tar, for machines without network; proven file by file before anything is installed."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from tarfile import TarFile, TarInfo

from deepscreen.errors import WeightsMissing, WeightsUnavailable
from deepscreen.weights.manifest import MAX_MANIFEST_BYTES, WeightsRow
from deepscreen.weights.staging import install, prove, staging_folder
from deepscreen.weights.store import MANIFEST_NAME, WeightsStore

MAX_LICENCE_BYTES = 1024 * 1024
_WEIGHTS_FOLDER = "weights/"


def write_bundle(store: WeightsStore, out: Path) -> None:
    """Writes manifest, weights and licence texts to *out*; the same files give the same bytes.

    Raises WeightsMissing or WeightsMismatch where the cache is not complete and proven.
    """
    partial = out.with_name(f".{out.name}.partial")
    try:
        with tarfile.open(partial, "w:", format=tarfile.USTAR_FORMAT) as tar:
            _add(tar, MANIFEST_NAME, store.shipped_dir / MANIFEST_NAME)
            for name in _licences(store):
                _add(tar, name, store.shipped_dir / name)
            for row in sorted(store.manifest.pulled, key=lambda row: row.file):
                _add(tar, _WEIGHTS_FOLDER + row.file, store.locate(row.name).path)
        partial.replace(out)
    except OSError as error:
        raise WeightsUnavailable(f"{error.filename or out}: the bundle cannot be written ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)


def import_bundle(store: WeightsStore, bundle: Path, on_wait: Callable[[], None]) -> tuple[WeightsRow, ...]:
    """Installs the weights of *bundle*, all or none, by the digests of the *installed* manifest; gives their rows.

    Raises WeightsUnavailable for anything that is no complete bundle (links, strange, double or absent members, cut
    short), WeightsMismatch for a file that is not the manifest's. The licence texts in it are for the reader.
    """
    with staging_folder(store.cache_dir, on_wait) as staging:
        try:
            with tarfile.open(bundle, "r:") as tar:  # "r:" is uncompressed only: no bomb
                staged = _stage(store, tar, bundle, staging)
        except (tarfile.TarError, OSError, ValueError) as error:
            raise WeightsUnavailable(f"{bundle}: not a readable weights bundle ({error})") from error
        for row, path in staged:
            prove(path, row.sha256, f"{bundle}: {_WEIGHTS_FOLDER}{row.file}")
        for row, path in staged:
            install(path, row, store.cache_dir)
    return tuple(row for row, _ in staged)


def _stage(store: WeightsStore, tar: TarFile, bundle: Path, staging: Path) -> list[tuple[WeightsRow, Path]]:
    rows = {_WEIGHTS_FOLDER + row.file: row for row in store.manifest.pulled}
    # What each member may be, with its greatest size: all else is refused before a byte of it is written.
    allowed = {name: row.bytes for name, row in rows.items()} | dict.fromkeys(_licences(store), MAX_LICENCE_BYTES)
    allowed[MANIFEST_NAME] = MAX_MANIFEST_BYTES
    staged: list[tuple[WeightsRow, Path]] = []
    for member in tar:
        _check_member(member, allowed, bundle)
        del allowed[member.name]
        if member.name in rows:
            row = rows[member.name]
            staged.append((row, _extract(tar, member, staging / row.file)))
    if allowed:
        raise WeightsUnavailable(f"{bundle}: cut short, or not a whole bundle; absent: {', '.join(sorted(allowed))}")
    return staged


def _check_member(member: TarInfo, allowed: dict[str, int], bundle: Path) -> None:
    if member.name not in allowed:
        raise WeightsUnavailable(f"{bundle}: member {member.name!r} is double or does not belong into a weights bundle")
    if not member.isreg() or member.issparse():
        raise WeightsUnavailable(f"{bundle}: member {member.name!r} is no plain file")
    if member.size > allowed[member.name]:
        raise WeightsUnavailable(
            f"{bundle}: member {member.name!r} claims {member.size} bytes, at most {allowed[member.name]} are expected;"
            " was the bundle made by another release?"
        )


def _extract(tar: TarFile, member: TarInfo, target: Path) -> Path:
    source = tar.extractfile(member)
    if source is None:
        raise tarfile.ReadError(f"{member.name} cannot be read")
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file, 1024 * 1024)
    return target


def _licences(store: WeightsStore) -> list[str]:
    return sorted({row.licence_file for row in store.manifest.pulled if row.licence_file})


def _add(tar: TarFile, name: str, path: Path) -> None:
    # Name and size alone: owner, time and mode of this machine's files would make every bundle another one.
    info = TarInfo(name)
    info.mode = 0o644
    try:
        with path.open("rb") as file:
            info.size = file.seek(0, io.SEEK_END)
            file.seek(0)
            tar.addfile(info, file)
    except FileNotFoundError as error:
        raise WeightsMissing(f"{path}: needed for the bundle, but not there; reinstall deepscreen") from error
