"""The screening record, schema version 1: what was examined, how strongly the evidence speaks, where, when, by what.

The record holds no file name, path, time, id or user: those belong to the envelope around it. The same bytes under the
same method give the same record, byte for byte. Fields are only added within a schema version.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated, Any, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, Field

from deepscreen.absence import Absence
from deepscreen.findings.finding import Finding
from deepscreen.settings import Profile

SCHEMA_VERSION: Literal[1] = 1
ModalityName = Literal["image", "video", "audio"]


class Verdict(StrEnum):
    """What the evidence of one modality, or of all, supports."""

    SPOOF_SUPPORTED = "spoof_supported"
    BONA_FIDE_SUPPORTED = "bona_fide_supported"
    INCONCLUSIVE = "inconclusive"
    NOT_SCREENED = "not_screened"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Stream(_Record):
    """One stream of the file; ``*_claimed`` is what headers say, ``*_measured`` what the content shows."""

    kind: Literal["image", "video", "audio"]
    codec: str
    width_px: int | None = None
    height_px: int | None = None
    rotation_degrees: int = Field(0, description="Clockwise turn that was applied to show it upright.")
    frame_rate_claimed: float | None = None
    frame_count_measured: int | None = None
    variable_frame_rate: bool | None = None
    duration_seconds_claimed: float | None = None
    duration_seconds_measured: float | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None


class Media(_Record):
    """The examined file, by its content only."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int
    kind: ModalityName
    container: str
    mime: str
    streams: tuple[Stream, ...]


class FaithfulnessRecord(_Record):
    """Drop in ``spoof_logit`` when the hottest tenth of the map is masked, beside a random tenth."""

    drop_hottest: float
    drop_random: float
    masked_fraction: float


class SaliencyGrid(_Record):
    """The saliency map itself, before it was drawn: one level a cell, on the scale of its picture."""

    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    levels: str = Field(
        description="Base64 of rows x columns bytes, row by row; 0 stands for scale_low and 255 for scale_high."
    )


class Evidence(_Record):
    """One picture that shows where or when; its bytes lie beside the record under ``name``."""

    name: str = Field(description="File name of the picture, unique within the record.")
    kind: Literal["heatmap", "timeline", "spectrogram"]
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    detector: str
    subject: Literal["whole", "face", "clip", "sound"]
    scale_low: float = Field(description="Value at the cold end of the fixed colour scale.")
    scale_high: float = Field(description="Value at the hot end of the fixed colour scale.")
    scale_unit: str
    faithfulness: FaithfulnessRecord | None = None
    region_px: tuple[tuple[float, float], ...] | None = Field(
        None, description="Corners of the mapped region in source pixels, from top left, clockwise."
    )
    grid: SaliencyGrid | None = Field(
        None, description="Of a heatmap: the map that spans the region; null in records of older versions."
    )
    pts_seconds: float | None = Field(None, description="Presentation time of the frame it is drawn on.")
    start_seconds: float | None = None
    end_seconds: float | None = None


class TimelineSpan(_Record):
    """A stretch [start_seconds, end_seconds) with its local log-odds."""

    start_seconds: float
    end_seconds: float
    spoof_logit: float = Field(
        description="Local log-odds. Of a suspicious span of a clip that is no spoof as a whole: by how much it stands "
        "out from what lies before and after it."
    )
    detector: str | None = Field(None, description="Whose log-odds these are; null in records of older versions.")
    track_id: int | None = Field(None, description="Face track, or null for the whole frame or the sound.")


class CalibratedReading(_Record):
    """One detector's reading and what its calibration makes of it."""

    detector: str
    detector_version: str
    spoof_logit: float
    n_samples: int
    log10_lr: float | None = Field(description="Calibrated; null where no calibration belongs to this detector.")
    log10_lr_low: float | None = None
    log10_lr_high: float | None = None
    stratum: str | None = Field(None, description="The calibration's quality stratum that applied.")


class Unscored(_Record):
    """A detector that gave no reading, and why."""

    detector: str
    absence: Absence
    detail: str


class Caveat(_Record):
    """Something that a reader of the result must know."""

    code: str
    message: str


class RecodedLevel(_Record):
    """What was found in a copy of the item after one more lossy coding."""

    treatment: str = Field(description="Codec and level, such as JPEG quality 50.")
    log10_lr: float | None = Field(description="Of the copy; null where nothing in it could be scored.")
    verdict: Verdict = Field(description="What would have been said of the copy.")


class Stability(_Record):
    """The laundering test: whether a decided verdict stands when the item is re-encoded, from mild to strong."""

    first_verdict: Verdict = Field(description="Of the item as it is.")
    levels: tuple[RecodedLevel, ...]
    log10_lr_spread: float = Field(description="Highest less lowest log10 LR of the item and its scored copies.")
    is_stable: bool = Field(description="False: the verdict is not the same at all levels, and became inconclusive.")


class ModalityResult(_Record):
    """The result for image, video or audio."""

    verdict: Verdict
    authenticity_score: float | None = Field(
        ge=0, le=1, description="P(bona fide) under prior_spoof; null where nothing was scored or calibrated."
    )
    prior_spoof: float
    log10_lr: float | None = Field(description="Log10 likelihood ratio, synthetic or manipulated over bona fide.")
    log10_lr_low: float | None = Field(description="Lower end of the 95 % interval from the calibration data.")
    log10_lr_high: float | None = Field(description="Upper end of the 95 % interval from the calibration data.")
    log10_lr_limit: float | None = Field(description="The most that the validation set's size lets |log10_lr| be.")
    verbal: str = Field(description="ENFSI verbal equivalent of the likelihood ratio.")
    readings: tuple[CalibratedReading, ...] = ()
    timeline: tuple[TimelineSpan, ...] = ()
    suspicious_spans: tuple[TimelineSpan, ...] = ()
    faces_px: tuple[tuple[float, float, float, float], ...] = Field(
        (), description="Of a picture: boxes of the faces found, left, top, right, bottom in source pixels."
    )
    evidence: tuple[Evidence, ...] = ()
    not_scored: tuple[Unscored, ...] = ()
    caveats: tuple[Caveat, ...] = ()
    stability: Stability | None = Field(
        None, description="Null where it was not tested: profile default, or nothing was decided."
    )


class Overall(_Record):
    """The verdict over all modalities and the sentence that explains it."""

    verdict: Verdict
    explanation: str


class LabCalibrationUsed(_Record):
    """The calibration that a lab fitted to its own media, used in place of the shipped one."""

    name: str = Field(description="What the lab called it.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Of its calibration.json, which holds all its digests.")
    fitted_strata: dict[str, tuple[str, ...]] = Field(
        description="By detector or fusion: the strata that were fitted on the lab's media. All others are as shipped."
    )


class Provenance(_Record):
    """By what the result was made; part of the method digest."""

    software: str
    method_digest: str
    weights_sha256: dict[str, str]
    settings_digest: str
    device_class: str
    precision: str
    profile: Profile = Field(
        "default", description="thorough: decided verdicts were tested by re-encoding; default: nothing was."
    )
    lab_calibration: LabCalibrationUsed | None = Field(
        None, description="Null where the shipped calibrations were used, which are among weights_sha256."
    )


class Screening(_Record):
    """The canonical record of one screened file."""

    schema_version: Literal[1] = SCHEMA_VERSION
    media: Media
    modalities: dict[ModalityName, ModalityResult]
    findings: tuple[Finding, ...] = ()
    overall: Overall
    provenance: Provenance
    solve_it_techniques: tuple[Annotated[str, Field(pattern="^DFT-[0-9]{4}$")], ...] = Field(
        (), description="What was done, by ids of the SOLVE-IT catalogue (DFT-...); empty in records of older versions."
    )

    def canonical_json(self) -> bytes:
        """RFC 8785 canonical JSON, UTF-8: the bytes that are hashed, compared and signed."""
        return rfc8785.dumps(self.model_dump(mode="json"))

    def digest(self) -> str:
        """Sha256 of the canonical JSON."""
        return hashlib.sha256(self.canonical_json()).hexdigest()


def json_schema() -> dict[str, Any]:
    """The JSON schema of the record (draft 2020-12), as published in docs/screening.schema.json."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Screening.model_json_schema(mode="serialization"),
    }
