"""A small, valid screening and problem bodies, shown as examples in the OpenAPI document."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

from deepscreen.api.http_errors import (
    ForeignOrigin,
    HostNotAllowed,
    MalformedUpload,
    NoSuchResult,
    NotReady,
    NoTusVersion,
    RangeOutside,
    ResultFinal,
    RoleForbidden,
    Unauthenticated,
    UploadBusy,
    UploadStalled,
    internal_problem,
    problem_of,
)
from deepscreen.api.wire import EvidenceLink, Problem, ScreeningEnvelope
from deepscreen.errors import (
    DeepscreenError,
    MediaTooLarge,
    Overloaded,
    StorageFull,
    UndecodableMedia,
    UnsupportedMedia,
)
from deepscreen.record import (
    CalibratedReading,
    Evidence,
    FaithfulnessRecord,
    Media,
    ModalityResult,
    Overall,
    Provenance,
    Screening,
    Stream,
    Verdict,
)
from deepscreen.store.computations import State

EXAMPLE_ID = "5f2d8c9a41b07e6638d1f0a29c7b4e15"
EXAMPLE_MEDIA_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
EXAMPLE_PICTURE_SHA256 = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
EXAMPLE_DIGEST = "fd61a03af4f77d870fc21e05e7e80678095c92d808cfb3b5c279ee04c74aca13"
EXAMPLE_PICTURE = "image_clip-heatmap-whole.png"

EXAMPLE_REQUEST_ID = "3c1f0e9b7a5d2846"

ERROR_EXAMPLES: tuple[DeepscreenError, ...] = (
    MalformedUpload("the body ended before its closing boundary; send the file again"),
    ResultFinal("this result was reviewed; it is final"),
    RoleForbidden("the role of this key is auditor; this needs one of: admin, examiner"),
    Unauthenticated("the key is unknown, expired or revoked"),
    ForeignOrigin("requests from pages of 'https://example.org' are refused"),
    NoSuchResult("there is no screening with this id on this service"),
    RangeOutside("the range lies outside of the 1048576 bytes", size_bytes=1_048_576),
    NoTusVersion("Tus-Resumable is missing; this service speaks 1.0.0"),
    UploadBusy("another request sends bytes of this upload; wait for its end, then ask for the offset"),
    UploadStalled("no byte arrived for 30 s; send it again"),
    MediaTooLarge("the file has more than 21474836480 bytes, the most that this service accepts"),
    UnsupportedMedia("no image, video or audio that is read here; the content looks like a PDF document"),
    HostNotAllowed("host 'example.org' is not this service; use http://localhost:<port>/ or add it to public_names"),
    UndecodableMedia("JPEG picture cannot be decoded: image file is truncated"),
    Overloaded("all 18 places are taken; try again later", retry_after_seconds=9),
    StorageFull("1048576 bytes are free, 536870912 must stay so; make room and try again"),
    NotReady("the detectors are still being loaded; ask /readyz and come back"),
)


def example_problem(status: HTTPStatus) -> Problem:
    """The problem body that documents *status*."""
    problems = (problem_of(error, EXAMPLE_REQUEST_ID) for error in ERROR_EXAMPLES)
    return next((p for p in problems if p.status == status), internal_problem(EXAMPLE_REQUEST_ID))


def example_envelope() -> ScreeningEnvelope:
    """A screened picture with one heatmap."""
    href = f"/v1/screenings/{EXAMPLE_ID}"
    return ScreeningEnvelope(
        id=EXAMPLE_ID,
        filename="portrait.jpg",
        created_at=datetime(2026, 11, 3, 14, 5, 9, tzinfo=UTC),
        state=State.DONE,
        case_id=None,
        failure=None,
        screening=example_screening(),
        record_href=f"{href}/record",
        evidence=(
            EvidenceLink(
                name=EXAMPLE_PICTURE, href=f"{href}/evidence/{EXAMPLE_PICTURE}", sha256=EXAMPLE_PICTURE_SHA256
            ),
        ),
        stage_milliseconds={"decode": 161.0, "detect": 604.2, "render": 48.9},
    )


def example_screening() -> Screening:
    """The record of a screened picture."""
    return Screening(
        media=Media(
            sha256=EXAMPLE_MEDIA_SHA256,
            size_bytes=2_481_332,
            kind="image",
            container="JPEG",
            mime="image/jpeg",
            streams=(Stream(kind="image", codec="JPEG", width_px=4000, height_px=3000),),
        ),
        modalities={"image": _image_result()},
        overall=Overall(
            verdict=Verdict.SPOOF_SUPPORTED,
            explanation="The image evidence supports the hypothesis that the file is synthetic or manipulated.",
        ),
        provenance=Provenance(
            software="deepscreen 0.1.0",
            method_digest=EXAMPLE_DIGEST,
            weights_sha256={"clip-vit-b16-vision": EXAMPLE_DIGEST},
            settings_digest=EXAMPLE_DIGEST,
            device_class="cpu",
            precision="bf16",
            profile="default",
        ),
        solve_it_techniques=("DFT-1100", "DFT-1176", "DFT-1186"),
    )


def _image_result() -> ModalityResult:
    return ModalityResult(
        verdict=Verdict.SPOOF_SUPPORTED,
        authenticity_score=0.047619,
        prior_spoof=0.5,
        log10_lr=1.301,
        log10_lr_low=1.02,
        log10_lr_high=1.58,
        log10_lr_limit=2.1,
        verbal="moderate support",
        readings=(
            CalibratedReading(
                detector="image_clip",
                detector_version="1",
                spoof_logit=2.914,
                n_samples=1,
                log10_lr=1.301,
                log10_lr_low=1.02,
                log10_lr_high=1.58,
            ),
        ),
        evidence=(
            Evidence(
                name=EXAMPLE_PICTURE,
                kind="heatmap",
                sha256=EXAMPLE_PICTURE_SHA256,
                detector="image_clip",
                subject="whole",
                scale_low=-4.0,
                scale_high=4.0,
                scale_unit="spoof_logit",
                faithfulness=FaithfulnessRecord(drop_hottest=1.204, drop_random=0.118, masked_fraction=0.1),
            ),
        ),
    )
