"""What goes over the wire: the envelope around a record, the service's statement about itself, and problem bodies."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from deepscreen.engine.about import MethodInfo
from deepscreen.record import Screening, Verdict
from deepscreen.settings import Limits, Settings, VerdictPolicy
from deepscreen.store.audit import Entry
from deepscreen.store.computations import State
from deepscreen.store.keys import Role
from deepscreen.store.reviews import Decision

# Text from outside that is kept: Postgres keeps none with the character 0.
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
ReportLanguage = Literal["en", "de"]
ReportFormat = Literal["pdf", "html"]
NOTHING_OUT = "Nothing leaves this machine: the service opens no outgoing connection."


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


class Failure(_Wire):
    """Why a screening failed; the fields of a problem body."""

    type: str
    title: str
    status: int = Field(description="The HTTP status of a request that was answered with this failure.")
    detail: str


class ScreeningEnvelope(_Wire):
    """A screening: id, sender's file name, time, state; once it has ended its record, links and durations."""

    id: str = Field(description="Random id of this screening on this service.")
    state: State = Field(description="queued or running; then done, failed or cancelled.")
    case_id: str | None = Field(None, description="The case that it belongs to.")
    filename: str | None = Field(description="The name that the sender gave the file; used for nothing else.")
    created_at: datetime = Field(description="When the upload was complete, UTC.")
    screening: Screening | None = Field(None, description="The record, once it is done.")
    failure: Failure | None = Field(None, description="The reason, where it failed.")
    review: ReviewInfo | None = Field(None, description="With it the result is final; none: not reviewed yet.")
    record_href: str | None = Field(None, description="Path of the record as canonical JSON, byte for byte.")
    evidence: tuple[EvidenceLink, ...]
    stage_milliseconds: dict[str, float] = Field(description="How long each stage of this screening took.")


class ReviewRequest(_Wire):
    """A reviewer's decision: the verdict stands, or another one does for a reason."""

    decision: Decision
    verdict: Verdict | None = Field(None, description="The verdict that overrides; only with `override`.")
    reason: Text = Field("", max_length=4000, description="Why; needed with `override`.")

    @model_validator(mode="after")
    def _override_says_what_and_why(self) -> ReviewRequest:
        if (self.decision is Decision.OVERRIDE) != (self.verdict is not None):
            raise ValueError("want a verdict with override, and none with accept")
        if self.decision is Decision.OVERRIDE and not self.reason.strip():
            raise ValueError("want a reason with override")
        return self


class ReviewInfo(_Wire):
    """A review: with it the result is final."""

    decision: Decision
    verdict: Verdict
    reason: str
    reviewer: str = Field(description="Id of the reviewer's key.")
    reviewed_at: datetime


class Login(_Wire):
    """What a session is begun with."""

    key: SecretStr = Field(max_length=200, description="An API key, `dsk_...`.")


class SessionInfo(_Wire):
    """Who the caller is, and until when."""

    id: str = Field(description="Id of the key; `local` where no keys are in use.")
    name: str | None
    role: Role
    expires_at: datetime | None = Field(description="End of the session; none without one.")
    csrf_token: str | None = Field(description="For the header `X-CSRF-Token`; none without a session.")


class NewKey(_Wire):
    """A key to be made."""

    name: str = Field(min_length=1, max_length=200, description="Whose it is.")
    role: Role
    days: float | None = Field(90, gt=0, le=3650, description="How long it opens the door; null: until it is revoked.")


class KeyInfo(_Wire):
    """What is known of a key; never its secret."""

    id: str
    name: str
    role: Role
    state: Literal["valid", "expired", "revoked"]
    created_at: datetime
    expires_at: datetime | None


class KeyToken(KeyInfo):
    """A new key."""

    token: str = Field(description="`dsk_...`; shown only now.")


class KeyList(_Wire):
    """All keys there ever were, the oldest first."""

    keys: tuple[KeyInfo, ...]


class NewWebhook(_Wire):
    """Where messages shall go."""

    url: Text = Field(max_length=2000, description="An https URL of one of `webhook_hosts`.")


class WebhookInfo(_Wire):
    """Where messages go."""

    id: str
    url: str
    created_at: datetime
    waiting: int = Field(description="Messages that were not taken and will be sent again.")
    last_error: str | None = Field(description="Why a message was not taken, the last time that one was not.")


class WebhookSecret(WebhookInfo):
    """A new webhook."""

    secret: str = Field(description="`whsec_...`, to verify messages with; shown only now.")


class WebhookList(_Wire):
    """All webhooks, the oldest first."""

    webhooks: tuple[WebhookInfo, ...]


class NewCase(_Wire):
    """A case to be opened."""

    name: Text = Field(min_length=1, max_length=200)
    notes: Text = Field("", max_length=100_000)


class CaseChange(_Wire):
    """What shall be different; what is not given stays."""

    name: Text | None = Field(None, min_length=1, max_length=200)
    notes: Text | None = Field(None, max_length=100_000)
    closed: bool | None = None


class CaseInfo(_Wire):
    """A case."""

    id: str
    name: str
    notes: str
    created_at: datetime
    created_by: str = Field(description="Id of the key that opened it.")
    closed_at: datetime | None
    members: tuple[str, ...] = Field(description="Ids of the keys that work on it.")


class CaseList(_Wire):
    """Cases from the newest to the oldest."""

    cases: tuple[CaseInfo, ...]


class ScreeningSummary(_Wire):
    """A screening in a list."""

    id: str
    state: State
    case_id: str | None
    filename: str | None
    created_at: datetime
    media_sha256: str
    kind: Literal["image", "video", "audio"] | None
    verdict: str | None
    method_digest: str
    href: str


class ScreeningPage(_Wire):
    """Screenings from the newest to the oldest."""

    items: tuple[ScreeningSummary, ...]
    next: str | None = Field(description="Value of `before` for the next page; none on the last.")


class NearDuplicateInfo(_Wire):
    """A screening of a copy."""

    screening: ScreeningSummary
    kinds: tuple[Literal["image", "video", "audio"], ...] = Field(
        description="Of which streams the fingerprints are near; none where the file is the very same."
    )


class NearDuplicates(_Wire):
    """What is a copy of a screening's file in another coding, among what the caller may see of the same case."""

    items: tuple[NearDuplicateInfo, ...] = Field(description="The newest first, 50 at most; each is near one other.")
    compared: tuple[Literal["image", "video", "audio"], ...] = Field(
        description="The streams that have a fingerprint; none of a plain picture, of silence, or of what was screened "
        "before fingerprints were kept."
    )
    is_whole: bool = Field(description="False: the case holds more than is compared or listed.")


class DeletionCertificate(_Wire):
    """What a deletion left: the audit entry that says who removed what, when and why."""

    screening_id: str
    original_removed: bool = Field(description="False: other screenings refer to it, or it is removed later.")
    audit_entry: Entry
    audit_entry_sha256: str


class MethodSummary(_Wire):
    """A method, by its digest."""

    method_digest: str
    about: MethodInfo | None = Field(description="What it consists of; null where that was not kept.")
    first_seen_at: datetime | None
    screened: int = Field(description="Files that have a result by it.")
    queued: int = Field(description="Files that wait for it, or are being computed.")
    live_workers: int


class MethodList(_Wire):
    """Methods, those first that were seen last."""

    methods: tuple[MethodSummary, ...]


class MethodDifference(_Wire):
    """A part that two methods do not share."""

    about: str = Field(description="What kind of part: detector, weights, threshold, ...")
    part: str
    one: str | None = Field(description="As it is in the first; null where that has none.")
    other: str | None


class VerdictCount(_Wire):
    """How many files have this verdict by the one method, and that by the other."""

    one: str
    other: str
    count: int


class MethodPair(_Wire):
    """A file that both methods screened."""

    media_sha256: str
    kind: str | None
    screening_id: str = Field(description="The newest screening of it.")
    filename: str | None
    one_verdict: str
    other_verdict: str
    one_log10_lr: dict[str, float] = Field(description="By modality; none where nothing was calibrated.")
    other_log10_lr: dict[str, float]


class MethodComparison(_Wire):
    """How results moved from one method to another."""

    one: str
    other: str
    differences: tuple[MethodDifference, ...] | None = Field(description="Null where it is not known of both.")
    both: int = Field(description="Files that both screened.")
    moved: int = Field(description="Of these, those whose verdict is another.")
    only_one: int = Field(description="Files that only the first screened.")
    verdicts: tuple[VerdictCount, ...]
    pairs: tuple[MethodPair, ...] = Field(description="Those that moved first, then the newest; 1000 at most.")


class Trial(_Wire):
    """What shall be computed to compare."""

    of_method: str = Field(pattern="^[0-9a-f]{64}$", description="Digest of the method whose files they are.")
    most: int = Field(200, ge=1, le=10_000, description="How many files at most, the newest.")


class TrialQueued(_Wire):
    """What was queued."""

    queued: int


class AuditPage(_Wire):
    """Entries of the audit log, in order."""

    entries: tuple[Entry, ...]


class Health(_Wire):
    """A sign of life."""

    status: Literal["alive", "ready"]


class PlacesInfo(_Wire):
    """The load at this moment."""

    running: int = Field(description="Screenings that run, on all workers.")
    queued: int = Field(description="Screenings that no worker has begun.")
    without_worker: int = Field(description="Of these, how many wait for a method that no live worker has.")
    waiting: int = Field(description="Requests of this process that upload or wait for their result.")
    max_concurrent: int
    max_waiting: int


class ServiceInfo(MethodInfo):
    """By what, how and under which limits this service screens."""

    limits: Limits
    policy: VerdictPolicy
    places: PlacesInfo
    outgoing_connections: str = Field(description="Whom the service calls.")
    timestamps_pending: int | None = Field(
        None, description="Checkpoints that wait for the time-stamping authority; null: none is set."
    )


def outgoing_statement(settings: Settings) -> str:
    """Whom the service calls, by its settings."""
    called = []
    if settings.database_url and not settings.database_url.startswith("sqlite"):
        called.append("everything but files, for the database server")
    if settings.blob_url and "://" in settings.blob_url and not settings.blob_url.startswith(("file://", "local://")):
        scheme = settings.blob_url.partition("://")[0]
        called.append(f"originals, records and evidence, for the object store ({scheme})")
    if settings.timestamp_url is not None:
        called.append("hashes of the audit log, for the time-stamping authority")
    if settings.webhook_hosts:
        called.append(f"messages that a screening has ended, to webhooks at {', '.join(settings.webhook_hosts)}")
    if settings.oidc_jwks and settings.oidc_jwks.startswith("https://"):
        called.append(f"the identity provider's keys are fetched from {settings.oidc_jwks}")
    return f"Only this: {'; '.join(called)}." if called else NOTHING_OUT
