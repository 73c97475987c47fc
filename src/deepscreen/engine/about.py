"""By what a desk screens: told by the service that has it, and by workers to those that have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from deepscreen.media.isolation import IsolationKind, isolation
from deepscreen.record import SCHEMA_VERSION, LabCalibrationUsed
from deepscreen.settings import Limits, Profile, VerdictPolicy

if TYPE_CHECKING:  # what a worker tells is read by those that load no network: the client
    from deepscreen.screening import ScreeningDesk


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WeightInfo(_Told):
    """A weights file that was proven at start-up."""

    name: str
    sha256: str


class DetectorInfo(_Told):
    """A detector's card."""

    name: str
    modality: Literal["image", "video", "audio"]
    version: str
    weights: tuple[str, ...] = Field(description="Rows of the weights manifest that it loads.")
    summary: str


class MethodInfo(_Told):
    """The method, and what it consists of."""

    software: str
    schema_version: int = Field(description="Version of the screening record.")
    method_digest: str
    settings_digest: str
    device_class: str
    precision: str
    profile: Profile = Field(description="thorough: what is decided is re-encoded at three levels.")
    weights: tuple[WeightInfo, ...]
    detectors: tuple[DetectorInfo, ...]
    lab_calibration: LabCalibrationUsed | None = Field(
        None, description="Null where the shipped calibrations are used."
    )
    limits: Limits | None = Field(None, description="Null where a worker of an earlier version told it.")
    policy: VerdictPolicy | None = Field(None, description="Null where a worker of an earlier version told it.")
    decoder_isolation: IsolationKind | Literal["unknown"] = Field(
        "unknown",
        description="What stands around the decoders: bubblewrap (no network, no files), namespaces (no network), or "
        "limits on memory, time and files alone.",
    )
    decoder_syscall_filter: bool = Field(
        False, description="Whether decoders are refused network, programs and other processes by a system call filter."
    )


def method_info(desk: ScreeningDesk) -> MethodInfo:
    """What *desk* screens by."""
    known_by, shut_in = desk.provenance, isolation()
    return MethodInfo(
        software=known_by.software,
        schema_version=SCHEMA_VERSION,
        method_digest=known_by.method_digest,
        settings_digest=known_by.settings_digest,
        device_class=known_by.device_class,
        precision=known_by.precision,
        profile=known_by.profile,
        weights=tuple(WeightInfo(name=n, sha256=s) for n, s in sorted(known_by.weights_sha256.items())),
        detectors=tuple(
            DetectorInfo(name=c.name, modality=c.modality, version=c.version, weights=c.weights, summary=c.summary)
            for c in desk.cards
        ),
        lab_calibration=known_by.lab_calibration,
        limits=desk.settings.limits,
        policy=desk.settings.policy,
        decoder_isolation=shut_in.kind,
        decoder_syscall_filter=shut_in.has_syscall_filter,
    )
