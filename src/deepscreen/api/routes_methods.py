"""Methods, for admins: which there are, what two of them differ in, how results moved, and trials before a change."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import ValidationError

from deepscreen.api.context import Owner, ServiceDep
from deepscreen.api.documented import documented
from deepscreen.api.http_errors import NoSuchResult, NotReady
from deepscreen.api.service import Service
from deepscreen.api.wire import (
    MethodComparison,
    MethodDifference,
    MethodList,
    MethodPair,
    MethodSummary,
    Trial,
    TrialQueued,
    VerdictCount,
)
from deepscreen.engine.about import MethodInfo
from deepscreen.engine.differences import differences
from deepscreen.store.comparison import Comparison, KnownMethod, compare, known_methods, queue_trial

router = APIRouter(prefix="/v1/methods", tags=["methods"])


@router.get("", summary="All methods that ever screened here", responses=documented())
def read_methods(service: ServiceDep, _: Owner) -> MethodList:
    """Gives those first that were seen last, with what they consist of where that was kept."""
    return MethodList(methods=tuple(_summary(method) for method in known_methods(service.store.database)))


@router.get(
    "/{method_digest}/against/{other_digest}",
    summary="How results moved from one method to another",
    responses=documented(HTTPStatus.NOT_FOUND),
)
def read_comparison(method_digest: str, other_digest: str, service: ServiceDep, _: Owner) -> MethodComparison:
    """Compares contents that both screened: verdicts of all of them, and the newest thousand one by one."""
    one, other = methods_named(service, method_digest, other_digest)
    found = compare(service.store.database, one.digest, other.digest)
    return _comparison(found, one, other)


@router.post(
    "/{method_digest}/trial",
    status_code=HTTPStatus.ACCEPTED,
    summary="Have files of another method computed by this one, to compare",
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
def begin_trial(
    method_digest: str, service: ServiceDep, caller: Owner, wanted: Annotated[Trial, Body()]
) -> TrialQueued:
    """Queues the newest that only the other one screened. No screening is made, and nobody's list changes.

    A worker with this method must be alive: `deepscreen worker --candidate` with its settings and weights.
    """
    one, other = methods_named(service, wanted.of_method, method_digest)
    if not other.live_workers:
        raise NotReady("no live worker has this method; start `deepscreen worker --candidate` with its settings")
    count = queue_trial(
        service.store.database, service.queue, caller, one=one.digest, other=other.digest, most=wanted.most
    )
    service.wake()
    return TrialQueued(queued=count)


def methods_named(service: Service, *digests: str) -> list[KnownMethod]:
    """Methods by their digests; raises NoSuchResult for one that is not known here."""
    known = {method.digest: method for method in known_methods(service.store.database)}
    try:
        return [known[digest] for digest in digests]
    except KeyError:
        raise NoSuchResult("there is no method with this digest on this service") from None


def about_of(method: KnownMethod) -> MethodInfo | None:
    """What a method consists of; None where it was not kept, or is told in a way that this version does not know."""
    try:
        return MethodInfo.model_validate(method.about)
    except ValidationError:
        return None


def _summary(method: KnownMethod) -> MethodSummary:
    seen = method.first_seen_at
    return MethodSummary(
        method_digest=method.digest,
        about=about_of(method),
        first_seen_at=None if seen is None else datetime.fromtimestamp(seen, UTC),
        screened=method.screened,
        queued=method.queued,
        live_workers=method.live_workers,
    )


def _comparison(found: Comparison, one: KnownMethod, other: KnownMethod) -> MethodComparison:
    first, second = about_of(one), about_of(other)
    differing = None if first is None or second is None else differences(first, second)
    return MethodComparison.model_validate(
        {
            "one": one.digest,
            "other": other.digest,
            "differences": differing
            and [MethodDifference(about=d.about, part=d.part, one=d.one, other=d.other) for d in differing],
            "both": found.both,
            "moved": found.moved,
            "only_one": found.only_one,
            "verdicts": [
                VerdictCount(one=before, other=after, count=count)
                for (before, after), count in sorted(found.counted.items())
            ],
            "pairs": [
                MethodPair(
                    media_sha256=pair.media_sha256, kind=pair.kind, screening_id=pair.screening_id,
                    filename=pair.filename, one_verdict=pair.verdicts[0], other_verdict=pair.verdicts[1],
                    one_log10_lr=dict(pair.log10_lrs[0]), other_log10_lr=dict(pair.log10_lrs[1]),
                )
                for pair in found.pairs
            ],
        }
    )  # fmt: skip
