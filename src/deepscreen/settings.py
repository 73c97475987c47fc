"""Settings, limits and the verdict policy: frozen records, read once at the edge (CLI, ``create_app``)."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from pathlib import Path
from typing import Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from deepscreen.errors import ConfigError

ENV_PREFIX = "DEEPSCREEN_"
# Switches of the test and build recipes, not of the program; they are no settings.
RECIPE_VARIABLES = frozenset({"DEEPSCREEN_REQUIRE_GPU", "DEEPSCREEN_SHARED", "DEEPSCREEN_SOAK"})
MIB = 1024 * 1024
Profile = Literal["default", "thorough"]


class Limits(BaseModel):
    """What a single evidence file may cost. Checked before work is done, and shown in ``/info``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bytes: int = Field(20 * 1024 * MIB, ge=1, description="Largest file that is read, in bytes.")
    max_pixels: int = Field(128_000_000, ge=1, description="Largest picture or video frame, in pixels.")
    max_duration_seconds: float = Field(12 * 3600.0, gt=0, description="Longest video or audio, in seconds.")
    max_frames: int = Field(64, ge=2, description="Most video frames that are scored in one clip.")
    frames_per_second: float = Field(2.0, gt=0, le=30, description="Video sampling rate until max_frames is reached.")
    max_faces: int = Field(8, ge=0, description="Most faces scored in one picture or frame, largest first.")
    decode_memory_bytes: int = Field(3072 * MIB, ge=256 * MIB, description="Address space of the decoder process.")
    decode_timeout_seconds: float = Field(120.0, gt=0, description="Longest wait for the decoder's next piece.")
    overlay_max_pixels: int = Field(800_000, ge=10_000, description="Largest heatmap overlay, in pixels.")


class UnpackLimits(BaseModel):
    """What a container may cost that `scan` meets. They decide what is found, not what is said of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_depth: int = Field(4, ge=1, le=16, description="Containers within containers that are opened.")
    max_members: int = Field(1_000_000, ge=1, description="Most files in one container, with all within it.")
    max_bytes: int = Field(4 * MIB * MIB, ge=1, description="Most bytes unpacked from one container, in all.")
    max_ratio: float = Field(
        200.0, ge=1, description="Most bytes unpacked for each byte of a container, once 64 MiB are out of it."
    )


class VerdictPolicy(BaseModel):
    """When evidence is called support for a hypothesis; between the two lies ``inconclusive``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prior_spoof: float = Field(0.5, gt=0, lt=1, description="Prior under which authenticity_score is stated.")
    spoof_min_log10_lr: float = Field(1.0, gt=0, description="Least log10 LR for spoof_supported.")
    bona_fide_max_log10_lr: float = Field(-1.0, lt=0, description="Greatest log10 LR for bona_fide_supported.")


class Settings(BaseSettings):
    """All settings of the program; each is also an environment variable ``DEEPSCREEN_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid")

    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="Device that runs the networks.")
    precision: Literal["auto", "bf16", "fp32"] = Field("auto", description="Number format of the backbones.")
    profile: Profile = Field(
        "default", description="`thorough`: what was decided is re-encoded at three levels, to see whether it stands."
    )
    weights_cache: Path | None = Field(None, description="Folder of pulled weights (default: see `deepscreen info`).")
    calibration_dir: Path | None = Field(
        None, description="Folder of a lab's own calibrations, from `deepscreen calibrate` (default: the shipped ones)."
    )
    catalogue: Path | None = Field(
        None, description="TOML file of plug-in detectors, see docs/catalogue.md (default: no plug-ins)."
    )
    c2pa_trust_list: Path | None = Field(
        None, description="PEM file of the certificates whose content credentials are trusted (default: nobody's)."
    )
    report_certificate: Path | None = Field(
        None,
        description="PKCS#12 file of the key and certificate that sign PDF reports (default: they are not signed).",
    )
    report_passphrase_file: Path | None = Field(None, description="File that holds the passphrase of that file.")
    audio_aasist: bool = Field(
        False, description="Also asks AASIST as published of wide-band speech; slow, and it never decides."
    )
    host: str = Field("127.0.0.1", description="Address that `serve` binds to; loopback, unless allowed.")
    port: int = Field(8321, ge=0, le=65535, description="Port that `serve` binds to.")
    allow_unauthenticated_network: bool = Field(
        False, description="Lets `serve` bind beyond loopback, without keys: only in a container published on loopback."
    )
    public_names: tuple[str, ...] = Field(
        (), description='Names by which clients may call the service, as JSON: `["deepscreen.lab.example"]`.'
    )
    requests_per_minute: int = Field(1200, ge=1, description="Requests that one API key may send in a minute.")
    session_hours: float = Field(8.0, gt=0, le=24 * 7, description="How long a session at a browser lasts.")
    behind_tls: bool = Field(
        False,
        description="Clients come over TLS, through a proxy: cookies are for TLS only, and browsers insist on it.",
    )
    oidc_issuer: str | None = Field(
        None, description="Identity provider (`iss`) whose tokens are keys too (default: none)."
    )
    oidc_audience: str | None = Field(None, description="What tokens must be made for (`aud`).")
    oidc_jwks: str | None = Field(None, description="Its keys: path of a JWKS file, or an https URL.")
    oidc_role_claim: str = Field("roles", description="Claim that names roles; `a.b` for one within another.")
    oidc_role_prefix: str = Field(
        "", description="What stands before `examiner`, `reviewer`, `admin`, `auditor` there."
    )
    data_dir: Path | None = Field(
        None, description="Folder of database, blobs and signing key (default: a temporary one)."
    )
    database_url: str | None = Field(
        None, description="Database, `postgresql://...` or `sqlite:///...` (default: an SQLite file in data_dir)."
    )
    blob_url: str | None = Field(
        None, description="Where originals and evidence are kept: folder or fsspec URL (default: a folder in data_dir)."
    )
    webhook_hosts: tuple[str, ...] = Field(
        (), description='Hosts that may be told of ends, as JSON: `["hooks.lab.example"]`; none: webhooks are off.'
    )
    webhook_networks: tuple[str, ...] = Field(
        (),
        description='Networks that are not public and may be told too, by http as well: `["10.1.0.0/16"]`.',
    )
    blob_key_file: Path | None = Field(
        None,
        description="File of 64 hex digits, the key that blobs are encrypted with at rest (default: they are not).",
    )
    min_free_bytes: int = Field(
        512 * MIB,
        ge=0,
        description="Space that must stay free on the disks of data_dir and blobs; below it uploads are refused (507).",
    )
    upload_lifetime_hours: float = Field(
        24.0, gt=0, le=24 * 30, description="How long a resumable upload may take; then its bytes are removed."
    )
    retention_days: float | None = Field(
        None,
        gt=0,
        description="Screenings older than that are deleted; in a case, counted from its closing (default: kept).",
    )
    timestamp_url: str | None = Field(
        None, description="Time-stamping authority (RFC 3161) for the audit log; it is sent hashes (default: none)."
    )
    timestamp_ca_file: Path | None = Field(None, description="PEM file of the root certificates of that authority.")
    timestamp_minutes: float = Field(60.0, ge=1, description="How often the audit log is stamped while it grows.")
    worker_lease_seconds: float = Field(
        15.0,
        ge=1,
        le=3600,
        description="For how long a silent worker is believed alive; then others take its work over.",
    )
    max_deaths_alone: int = Field(
        1, ge=1, description="Workers that may die on one file that they screen alone; then it is failed for good."
    )
    max_queued: int = Field(10_000, ge=1, description="Screenings that may wait in the queue; beyond it: 429.")
    wait_seconds: float = Field(
        300.0, ge=0, le=3600, description="Longest time that a request waits for its screening; then the answer is 202."
    )
    max_concurrent: int = Field(2, ge=1, le=64, description="Screenings that the service runs at once.")
    max_waiting: int = Field(16, ge=0, le=4096, description="Requests that may wait for a place; beyond it: 429.")
    limits: Limits = Field(default_factory=Limits, description="Bounds on a single evidence file.")
    unpack: UnpackLimits = Field(default_factory=UnpackLimits, description="Bounds on containers that `scan` meets.")
    policy: VerdictPolicy = Field(default_factory=VerdictPolicy, description="Verdict thresholds and prior.")

    @field_validator("webhook_networks")
    @classmethod
    def _networks_are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ipaddress.ip_network(network)
        return networks

    @model_validator(mode="after")
    def _data_has_a_place(self) -> Settings:
        if self.data_dir is None and (self.database_url or self.blob_url):
            raise ValueError("database_url and blob_url need a data_dir beside them, for the signing key and uploads")
        if self.timestamp_url is not None and self.timestamp_ca_file is None:
            raise ValueError("timestamp_url needs timestamp_ca_file: a token that cannot be proven proves nothing")
        return self

    @model_validator(mode="after")
    def _provider_is_whole(self) -> Settings:
        given = (self.oidc_issuer, self.oidc_audience, self.oidc_jwks)
        if any(given) and not all(given):
            raise ValueError("oidc_issuer, oidc_audience and oidc_jwks belong together")
        if self.oidc_jwks and self.oidc_jwks.startswith("http://"):
            raise ValueError("oidc_jwks: want https, or the path of a file")
        return self

    @property
    def switched_on(self) -> frozenset[str]:
        """Detectors that are off by default and are to run."""
        return frozenset({"audio_aasist"} if self.audio_aasist else ())

    def digest(self) -> str:
        """Sha256 of the settings that can change a record (limits and policy), over canonical JSON."""
        relevant = {"limits": self.limits.model_dump(mode="json"), "policy": self.policy.model_dump(mode="json")}
        return hashlib.sha256(rfc8785.dumps(relevant)).hexdigest()


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, with *overrides* on top; raises ConfigError that names what is wrong."""
    known = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    for variable in os.environ:
        if not variable.startswith(ENV_PREFIX) or variable in RECIPE_VARIABLES:
            continue
        if variable.split("__")[0] not in known:
            raise ConfigError(f"unknown setting {variable}; `deepscreen info` lists the settings")
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"wrong settings: {lines}") from error
