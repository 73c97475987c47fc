"""What goes over the wire: the envelope around a record, the service's statement about itself, and problem bodies."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from deepscreen.record import Screening
from deepscreen.settings import Limits, Profile, VerdictPolicy

OUTGOING_STATEMENT = "Nothing leaves this machine: the service opens no outgoing connection."


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(_Wire):
    """An RFC 9457 problem body."""

    type: str = Field(description="Stable name of the problem, urn:deepscreen:problem:<name>.")
    title: str = Field(description="What this type of problem is; the same for all of its type.")
    status: int = Field(description="The HTTP status, repeated.")
    detail: str = Field(description="What was wrong with this request, and what to do.")
    instance: str = Field(description="urn:deepscreen:request:<id>; the id is also in the header X-Request-Id.")


class EvidenceLink(_Wire):
    """Where a picture that the record names can be fetched."""

    name: str = Field(description="The picture's name in the record.")
    href: str = Field(description="Path of the picture on this service.")
    sha256: str = Field(description="Sha256 of the picture's bytes, as in the record; also its ETag.")
    media_type: Literal["image/png"] = "image/png"


class ScreeningEnvelope(_Wire):
    """A screening record and what is not part of it: id, sender's file name, time, links and durations."""

    id: str = Field(description="Random id of this screening on this service.")
    filename: str | None = Field(description="The name that the sender gave the file; used for nothing else.")
    created_at: datetime = Field(description="When the upload was complete, UTC.")
    screening: Screening
    record_href: str = Field(description="Path of the record as canonical JSON, byte for byte.")
    evidence: tuple[EvidenceLink, ...]
    stage_milliseconds: dict[str, float] = Field(description="How long each stage of this screening took.")


class ScreeningOptions(_Wire):
    """What a request may ask for, in its query; an option that is not known is refused."""

    profile: Profile | None = Field(
        None,
        description="`thorough`: what is decided is re-encoded at three levels, to see whether it stands. "
        "Without it: the service's own, see `/info`.",
    )


class Health(_Wire):
    """A sign of life."""

    status: Literal["alive", "ready"]


class WeightInfo(_Wire):
    """A weights file that was proven at start-up."""

    name: str
    sha256: str


class DetectorInfo(_Wire):
    """A detector's card."""

    name: str
    modality: Literal["image", "video", "audio"]
    version: str
    weights: tuple[str, ...] = Field(description="Rows of the weights manifest that it loads.")
    summary: str


class PlacesInfo(_Wire):
    """The load at this moment."""

    running: int = Field(description="Screenings that run.")
    waiting: int = Field(description="Requests that upload or wait for their turn.")
    max_concurrent: int
    max_waiting: int


class ServiceInfo(_Wire):
    """By what, how and under which limits this service screens."""

    software: str
    schema_version: int = Field(description="Version of the screening record.")
    method_digest: str
    settings_digest: str
    device_class: str
    precision: str
    profile: Profile = Field(description="What is done where a request does not say.")
    weights: tuple[WeightInfo, ...]
    detectors: tuple[DetectorInfo, ...]
    limits: Limits
    policy: VerdictPolicy
    places: PlacesInfo
    outgoing_connections: str = OUTGOING_STATEMENT
