"""An example of everything that the routes take and give, shown with the schemas of the OpenAPI document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from deepscreen.api.examples import EXAMPLE_DIGEST, EXAMPLE_ID, EXAMPLE_MEDIA_SHA256, example_envelope
from deepscreen.api.wire import (
    NOTHING_OUT,
    AuditPage,
    CaseInfo,
    CaseList,
    DeletionCertificate,
    Health,
    KeyInfo,
    KeyList,
    MethodComparison,
    MethodDifference,
    MethodList,
    MethodPair,
    MethodSummary,
    NearDuplicateInfo,
    NearDuplicates,
    NewCase,
    NewKey,
    NewWebhook,
    PlacesInfo,
    ReviewRequest,
    ScreeningPage,
    ScreeningSummary,
    ServiceInfo,
    SessionInfo,
    Trial,
    TrialQueued,
    VerdictCount,
    WebhookInfo,
    WebhookList,
    WebhookSecret,
)
from deepscreen.api.wire_misuse import (
    MisuseChange,
    MisuseDetail,
    MisuseImported,
    MisuseInfo,
    MisusePage,
    NewMisuse,
)
from deepscreen.engine.about import DetectorInfo, MethodInfo, WeightInfo
from deepscreen.engine.differences import DETECTOR
from deepscreen.record import Verdict
from deepscreen.register.entry import Misuse, Statement, Status, Tlp, ToolKind
from deepscreen.settings import Limits, VerdictPolicy
from deepscreen.store import audit
from deepscreen.store.acts import SCREENING_DELETED
from deepscreen.store.audit import FIRST_PREVIOUS, Entry
from deepscreen.store.computations import State
from deepscreen.store.keys import Role
from deepscreen.store.reviews import Decision

AT = datetime(2026, 11, 3, 14, 5, 9, tzinfo=UTC)
KEY_ID, CASE_ID, WEBHOOK_ID = "4f0d1c6be2a39870", "c0b5a1f29e834d7695d1e07b3f6a8c42", "9b1e64d0f7c25a3881d4e6a0b3c7f512"
MISUSE_ID = "5f2d8c9a-41b0-4e66-98d1-f0a29c7b4e15"
WEBHOOK_URL = "https://hooks.lab.example/deepscreen"

CASE = CaseInfo(
    id=CASE_ID,
    name="2026-117",
    notes="Portrait from a chat, sent on 1 November.",
    created_at=AT,
    created_by=KEY_ID,
    closed_at=None,
    members=(KEY_ID,),
)
KEY = KeyInfo(id=KEY_ID, name="ada", role=Role.EXAMINER, state="valid", created_at=AT, expires_at=None)
WEBHOOK = WebhookInfo(id=WEBHOOK_ID, url=WEBHOOK_URL, created_at=AT, waiting=0, last_error=None)
SUMMARY = ScreeningSummary(
    id=EXAMPLE_ID,
    state=State.DONE,
    case_id=CASE_ID,
    filename="portrait.jpg",
    created_at=AT,
    media_sha256=EXAMPLE_MEDIA_SHA256,
    kind="image",
    verdict=Verdict.SPOOF_SUPPORTED,
    method_digest=EXAMPLE_DIGEST,
    href=f"/v1/screenings/{EXAMPLE_ID}",
)
COPY = NearDuplicateInfo(screening=SUMMARY, kinds=("image",))
ENTRY = Entry(
    seq=1,
    at=AT.isoformat(timespec="microseconds"),
    actor=KEY_ID,
    act=SCREENING_DELETED,
    subject=EXAMPLE_ID,
    details={"media_sha256": EXAMPLE_MEDIA_SHA256, "reason": "asked for by the sender", "was_last": True},
    previous_sha256=FIRST_PREVIOUS,
)
MISUSE = MisuseInfo(
    id=MISUSE_ID,
    revision=2,
    created_at=AT,
    revised_at=AT,
    kind="image",
    media_sha256=EXAMPLE_MEDIA_SHA256,
    fingerprint="bWsa86lWxSnHnKPSUG/KgzTUGWyBxv0E3gomr4VfyZs=",
    tool="FaceSwapper 3",
    tool_kind=ToolKind.FACE_SWAP,
    misuse=Misuse.FRAUD,
    modus_operandi="Video call of a false manager, then an order to pay.",
    case_reference="2026-117",
    status=Status.CONFIRMED,
    tlp=Tlp.GREEN,
    created_by=KEY_ID,
    revised_by=KEY_ID,
    reason="The tool was found on a seized computer.",
    screening_id=EXAMPLE_ID,
    origin=None,
    campaign=None,
)
INFO = ServiceInfo(
    software="deepscreen 0.1.0",
    schema_version=1,
    method_digest=EXAMPLE_DIGEST,
    settings_digest=EXAMPLE_DIGEST,
    device_class="cpu",
    precision="bf16",
    profile="default",
    weights=(WeightInfo(name="clip-vit-b16-vision", sha256=EXAMPLE_DIGEST),),
    detectors=(
        DetectorInfo(
            name="image_clip",
            modality="image",
            version="4",
            weights=("clip-vit-b16-vision",),
            summary="Whole pictures, by a frozen CLIP backbone and a head of our own.",
        ),
    ),
    decoder_isolation="bubblewrap",
    decoder_syscall_filter=True,
    limits=Limits(),
    policy=VerdictPolicy(),
    places=PlacesInfo(running=1, queued=3, without_worker=0, waiting=2, max_concurrent=2, max_waiting=16),
    outgoing_connections=NOTHING_OUT,
    timestamps_pending=None,
)
METHOD = MethodSummary(
    method_digest=EXAMPLE_DIGEST,
    about=MethodInfo(**{name: getattr(INFO, name) for name in MethodInfo.model_fields}),
    first_seen_at=AT,
    screened=412,
    queued=0,
    live_workers=1,
)
DIFFERENCE = MethodDifference(about=DETECTOR, part="image_clip", one="version 4", other="version 5")
MOVED = VerdictCount(one="inconclusive", other="bona_fide_supported", count=3)
PAIR = MethodPair(
    media_sha256=EXAMPLE_MEDIA_SHA256, kind="image", screening_id=EXAMPLE_ID, filename="portrait.jpg",
    one_verdict="inconclusive", other_verdict="bona_fide_supported",
    one_log10_lr={"image": -0.77}, other_log10_lr={"image": -1.07},
)  # fmt: skip
COMPARISON = MethodComparison(
    one=EXAMPLE_DIGEST, other=EXAMPLE_MEDIA_SHA256, differences=(DIFFERENCE,), both=3, moved=3, only_one=409,
    verdicts=(MOVED,), pairs=(PAIR,),
)  # fmt: skip
EXAMPLES: tuple[BaseModel, ...] = (
    METHOD,
    MethodList(methods=(METHOD,)),
    DIFFERENCE,
    MOVED,
    PAIR,
    COMPARISON,
    Trial(of_method=EXAMPLE_DIGEST, most=200),
    TrialQueued(queued=200),
    CASE,
    CaseList(cases=(CASE,)),
    NewCase(name="2026-117", notes="Portrait from a chat, sent on 1 November."),
    SUMMARY,
    ScreeningPage(items=(SUMMARY,), next=None),
    COPY,
    NearDuplicates(items=(COPY,), compared=("image",), is_whole=True),
    example_envelope(),
    ReviewRequest(decision=Decision.OVERRIDE, verdict=Verdict.INCONCLUSIVE, reason="A screenshot of a screenshot."),
    DeletionCertificate(
        screening_id=EXAMPLE_ID,
        original_removed=True,
        audit_entry=ENTRY,
        audit_entry_sha256=audit.sha256_of(ENTRY),
    ),
    AuditPage(entries=(ENTRY,)),
    SessionInfo(id=KEY_ID, name="ada", role=Role.EXAMINER, expires_at=AT, csrf_token=EXAMPLE_DIGEST),
    NewKey(name="ada", role=Role.EXAMINER, days=90),
    KEY,
    KeyList(keys=(KEY,)),
    NewWebhook(url=WEBHOOK_URL),
    WEBHOOK,
    WebhookSecret(**dict(WEBHOOK), secret="whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
    WebhookList(webhooks=(WEBHOOK,)),
    NewMisuse(screening_id=EXAMPLE_ID, **{name: getattr(MISUSE, name) for name in Statement.model_fields}),
    MisuseChange(revision=1, reason=MISUSE.reason, status=Status.CONFIRMED),
    MISUSE,
    MisuseDetail(**dict(MISUSE), earlier=(MISUSE.model_copy(update={"revision": 1, "reason": ""}),)),
    MisusePage(entries=(MISUSE,), next=None),
    MisuseImported(added=12, amended=1, known=3, refused=(MISUSE_ID,)),
    INFO,
    Health(status="alive"),
)
LOGIN = {
    "key": "dsk_4f0d1c6be2a39870_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
}  # a secret is not printed by its model


def schema_examples() -> dict[str, Any]:
    """Examples by the name of their schema."""
    found: dict[str, Any] = {type(each).__name__: each.model_dump(mode="json") for each in EXAMPLES}
    secret = KEY.model_dump(mode="json") | {"token": LOGIN["key"]}
    return found | {"CaseChange": {"closed": True}, "Login": LOGIN, "KeyToken": secret}
