"""The catalogue: a TOML file with one row a plug-in, which pins a local checkpoint and declares how to read it.

Nothing is guessed from a checkpoint: polarity, preprocessing and hashes are in the row, and what contradicts it stops
the start. A row's name, polarity and hashes are part of the method digest; where its folder lies is not.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
    model_validator,
)

from deepscreen.detectors.contract import DetectorCard, Modality
from deepscreen.errors import ManifestInvalid, WeightsMissing
from deepscreen.weights.manifest import MAX_MANIFEST_BYTES, Sha256

CONFIG, PREPROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
READABLE = (CONFIG, PREPROCESSOR, WEIGHTS)
SAMPLE_RATE_HZ = 16_000  # at which all sound is decoded
MIN_SOUND_SECONDS, MAX_WINDOW_SECONDS = 0.6, 30.0
SHOWN_REVISION = 12  # hexadecimal digits: enough to tell versions apart in a table; the digest has all 40
Resampler = Literal["nearest", "lanczos", "bilinear", "bicubic"]
Three = tuple[float, float, float]
PositiveThree = tuple[PositiveFloat, PositiveFloat, PositiveFloat]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PicturePreprocessing(_Record):
    """What the network is given of a picture: ``size_px`` squared, pixels / 255, less ``mean``, over ``std``.

    ``crop``: "whole" brings the picture to the square with both sides scaled apart; "centre" brings its short side to
    ``short_side_px`` (``size_px`` where that is not given) and takes the middle.
    """

    size_px: int = Field(ge=16, le=2048)
    mean: Three
    std: PositiveThree
    resampler: Resampler
    crop: Literal["whole", "centre"] = "whole"
    short_side_px: int | None = Field(None, ge=16, le=2048)

    @property
    def resized_short_side_px(self) -> int:
        """The short side before the middle is taken."""
        return self.short_side_px or self.size_px

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.crop == "whole" and self.short_side_px is not None:
            raise ValueError('short_side_px is for crop = "centre"')
        if self.resized_short_side_px < self.size_px:
            raise ValueError(f"short_side_px must be at least size_px ({self.size_px})")
        return self


class ClipPreprocessing(PicturePreprocessing):
    """What the network is given of a clip: ``frames`` sampled frames in a row, each as a picture."""

    frames: int = Field(ge=2, le=128)


class _SoundPreprocessing(_Record):
    sample_rate_hz: Literal[16000]
    window_seconds: float = Field(ge=MIN_SOUND_SECONDS, le=MAX_WINDOW_SECONDS)

    @property
    def window_samples(self) -> int:
        """Length of a window."""
        return round(self.window_seconds * self.sample_rate_hz)


class WavePreprocessing(_SoundPreprocessing):
    """Windows of samples; ``normalise`` brings each to zero mean and unit variance."""

    normalise: bool


class SpectrogramPreprocessing(_SoundPreprocessing):
    """Windows as log-mel filter banks, less ``mean``, over twice ``std``: the convention of the AST."""

    mean: float
    std: PositiveFloat


class _Row(_Record):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    modality: Modality
    folder: Path
    sha256: dict[str, Sha256]
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    origin: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    spoof_label: Annotated[StrictInt, NonNegativeInt] | StrictStr
    summary: str = Field(min_length=1)

    @field_validator("sha256")
    @classmethod
    def _only_what_is_read(cls, value: dict[str, str]) -> dict[str, str]:
        foreign = sorted(set(value) - set(READABLE))
        if foreign:
            raise ValueError(
                f"{', '.join(foreign)}: never read; a plug-in is {', '.join(READABLE)}, and pickled weights "
                "(.bin, .pt, .ckpt) must be converted to safetensors first"
            )
        missing = [name for name in (CONFIG, WEIGHTS) if name not in value]
        if missing:
            raise ValueError(f"no hash for {', '.join(missing)}; every file that is read has one")
        return value

    @property
    def card(self) -> DetectorCard:
        """The plug-in's identity."""
        shown = self.revision[:SHOWN_REVISION]
        return DetectorCard(self.name, self.modality, shown, tuple(self.hashes), self.summary, is_plugin=True)

    @property
    def hashes(self) -> dict[str, str]:
        """Sha256 of each file, by "name/file"."""
        return {f"{self.name}/{file}": sha256 for file, sha256 in sorted(self.sha256.items())}

    def method_facts(self) -> dict[str, Any]:
        """All that can change a number, as JSON values: the row without the place of its folder."""
        return self.model_dump(mode="json", exclude={"folder"})


class PictureRow(_Row):
    """A plug-in for pictures."""

    modality: Literal["image"]
    architecture: Literal["vit", "siglip"]
    preprocessing: PicturePreprocessing


class ClipRow(_Row):
    """A plug-in for clips."""

    modality: Literal["video"]
    architecture: Literal["videomae"]
    preprocessing: ClipPreprocessing


class WaveRow(_Row):
    """A plug-in for sound that reads samples."""

    modality: Literal["audio"]
    architecture: Literal["wav2vec2"]
    preprocessing: WavePreprocessing


class SpectrogramRow(_Row):
    """A plug-in for sound that reads spectrograms."""

    modality: Literal["audio"]
    architecture: Literal["ast"]
    preprocessing: SpectrogramPreprocessing


PluginRow = PictureRow | ClipRow | WaveRow | SpectrogramRow


class Catalogue(_Record):
    """All rows, by unique name."""

    schema_version: Literal[1] = 1
    plugin: tuple[Annotated[PluginRow, Field(discriminator="architecture")], ...] = ()

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        names = [row.name for row in self.plugin]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"given twice: {', '.join(twice)}")
        return self

    @property
    def cards(self) -> tuple[DetectorCard, ...]:
        """The plug-ins' cards, in the file's order."""
        return tuple(row.card for row in self.plugin)

    @property
    def hashes(self) -> dict[str, str]:
        """Sha256 of every file of every plug-in, by "name/file"."""
        return {key: sha256 for row in self.plugin for key, sha256 in row.hashes.items()}


def load_catalogue(path: Path | None) -> Catalogue:
    """The checked catalogue at *path*, folders taken from where it lies; an empty one for None.

    Raises WeightsMissing where it cannot be read, ManifestInvalid that names the field where it breaks a rule.
    """
    if path is None:
        return Catalogue()
    try:
        with path.open("rb") as file:
            content = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise WeightsMissing(
            f"{path}: the catalogue cannot be read ({error.strerror}); correct or unset DEEPSCREEN_CATALOGUE"
        ) from error
    if len(content) > MAX_MANIFEST_BYTES:
        raise ManifestInvalid(f"{path}: larger than {MAX_MANIFEST_BYTES} bytes; this is no catalogue")
    return _parsed(content, path)


def _parsed(content: bytes, path: Path) -> Catalogue:
    try:
        catalogue = Catalogue.model_validate(tomllib.loads(content.decode()))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ManifestInvalid(f"{path}: not TOML: {error}") from error
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'catalogue'}: {e['msg']}" for e in error.errors())
        raise ManifestInvalid(f"{path}: {lines}") from error
    placed = tuple(row.model_copy(update={"folder": path.parent / row.folder}) for row in catalogue.plugin)
    return catalogue.model_copy(update={"plugin": placed})
