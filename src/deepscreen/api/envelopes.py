"""From the store to the wire: a screening with its record and links, or its state, or its failure."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import ValidationError

from deepscreen.api.http_errors import ResultDamaged, problem_of_failure
from deepscreen.api.wire import EvidenceLink, Failure, ReviewInfo, ScreeningEnvelope, ScreeningSummary
from deepscreen.errors import BlobDamaged
from deepscreen.record import Evidence, Screening, Verdict
from deepscreen.store.blobs import BlobStore
from deepscreen.store.computations import State
from deepscreen.store.reviews import Review, review_of
from deepscreen.store.screenings import Item
from deepscreen.store.store import Store


def path_of(item: Item) -> str:
    """Where the screening is found."""
    return f"/v1/screenings/{item.id}"


def envelope(item: Item, store: Store) -> ScreeningEnvelope:
    """The screening as it stands; raises ResultDamaged where its record is not what was written."""
    path = path_of(item)
    screening = record_of(item, store.blobs)[1] if item.record_sha256 is not None else None
    return ScreeningEnvelope(
        id=item.id,
        state=item.state,
        case_id=item.case_id,
        filename=item.filename,
        created_at=datetime.fromtimestamp(item.created_at, UTC),
        screening=screening,
        failure=failure(item),
        review=review_info(review_of(store.database, item)),
        record_href=f"{path}/record" if screening is not None else None,
        evidence=tuple(
            EvidenceLink(name=e.name, href=f"{path}/evidence/{e.name}", sha256=e.sha256)
            for e in (evidence_of(screening) if screening is not None else ())
        ),
        stage_milliseconds=item.stage_milliseconds,
    )


def summary(item: Item) -> ScreeningSummary:
    """The screening in a list."""
    return ScreeningSummary.model_validate(
        {
            "id": item.id,
            "state": item.state,
            "case_id": item.case_id,
            "filename": item.filename,
            "created_at": datetime.fromtimestamp(item.created_at, UTC),
            "media_sha256": item.media_sha256,
            "kind": item.kind,
            "verdict": item.verdict,
            "method_digest": item.method_digest,
            "href": path_of(item),
        }
    )


def review_info(review: Review | None) -> ReviewInfo | None:
    """A review on the wire."""
    if review is None:
        return None
    return ReviewInfo(
        decision=review.decision,
        verdict=Verdict(review.verdict),
        reason=review.reason,
        reviewer=review.reviewer,
        reviewed_at=datetime.fromtimestamp(review.reviewed_at, UTC),
    )


def failure(item: Item) -> Failure | None:
    """Why it failed; None where it did not."""
    if item.state is not State.FAILED:
        return None
    problem = problem_of_failure(item.error_type, item.error_message, "")
    return Failure(type=problem.type, title=problem.title, status=problem.status, detail=problem.detail)


def record_of(item: Item, blobs: BlobStore) -> tuple[bytes, Screening]:
    """The record's bytes and what they say; raises ResultDamaged."""
    assert item.record_sha256 is not None, "asked for the record of a screening that has none"
    try:
        content = blobs.read(item.record_sha256)
        return content, Screening.model_validate_json(content)
    except (BlobDamaged, ValidationError) as error:
        raise ResultDamaged(f"the record of screening {item.id} cannot be read: {error}") from error


def evidence_of(screening: Screening) -> tuple[Evidence, ...]:
    """All evidence that a record names."""
    return tuple(evidence for modality in screening.modalities.values() for evidence in modality.evidence)
