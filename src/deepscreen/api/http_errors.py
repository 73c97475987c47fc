"""Errors as RFC 9457 problem bodies: one table from error class to HTTP status, one shape for every failure."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from deepscreen import errors
from deepscreen.api.wire import Problem
from deepscreen.errors import DeepscreenError
from deepscreen.store.screenings import NotThere

logger = logging.getLogger(__name__)

PROBLEM_MEDIA_TYPE = "application/problem+json"
UNAVAILABLE_RETRY_AFTER_SECONDS = 5


class RequestError(DeepscreenError):
    """The request is wrong; nothing was screened."""


class NoSuchResult(RequestError):
    """There is no such screening or evidence here."""


class IdempotencyKeyReused(RequestError):
    """The Idempotency-Key stands for another request."""


class ResultFinal(RequestError):
    """The result was reviewed before and is final."""


class Unauthenticated(RequestError):
    """The request brings no valid key."""


class RoleForbidden(RequestError):
    """The key's role does not allow this."""


class CsrfRejected(RequestError):
    """The request brings the session's cookie, but not its token."""


class WrongContentType(RequestError):
    """The request body is of a type that this route does not read."""


class MalformedUpload(RequestError):
    """The request body breaks the rules of multipart/form-data or ends too early."""


class WrongParameter(RequestError):
    """A parameter of the request has a value that it cannot have."""


class WrongFields(RequestError):
    """The form does not hold exactly one part, named file."""


class UploadStalled(RequestError):
    """The upload stood still for too long."""


class NoTusVersion(RequestError):
    """The request speaks no version of tus that is known here."""


class OffsetMismatch(RequestError):
    """The bytes belong to another place of the upload than the next one."""


class UploadBusy(RequestError):
    """Another request has the upload in hand."""


class RangeOutside(RequestError):
    """The range of bytes that is asked for lies outside of the content."""

    def __init__(self, message: str, *, size_bytes: int = 0) -> None:
        super().__init__(message)
        self.size_bytes = size_bytes


class HostNotAllowed(RequestError):
    """The Host header does not name this machine."""


class ForeignOrigin(RequestError):
    """The request was sent by a web page of another origin."""


class ServiceError(DeepscreenError):
    """The service cannot answer."""


class NotReady(ServiceError):
    """The detectors are still being loaded."""


class IdentityUnavailable(ServiceError):
    """The keys of the identity provider cannot be had."""


class ResultDamaged(ServiceError):
    """A stored result is no longer what was written."""


STATUS_BY_ERROR: Mapping[type[DeepscreenError], HTTPStatus] = MappingProxyType(
    {
        DeepscreenError: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.MediaError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.UnreadableMedia: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.EmptyMedia: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        errors.MediaTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        errors.UndecodableMedia: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.DecodeTimeout: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.DecoderCrashed: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.UnpackRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.UnsafeMember: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.EncryptedMember: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.WorkerDied: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.WeightsError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.ManifestInvalid: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.WeightsMissing: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.WeightsMismatch: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.WeightsUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.DetectorError: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.InferenceFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.CalibrationError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.TooFewItems: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.StoreError: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.StorageFull: HTTPStatus.INSUFFICIENT_STORAGE,
        errors.BlobDamaged: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.RegisterError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.EntryChanged: HTTPStatus.CONFLICT,
        errors.EntryAboveTlp: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.ExchangeInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.ReportFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
        errors.ConfigError: HTTPStatus.INTERNAL_SERVER_ERROR,
        RequestError: HTTPStatus.BAD_REQUEST,
        NoSuchResult: HTTPStatus.NOT_FOUND,
        IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
        ResultFinal: HTTPStatus.CONFLICT,
        Unauthenticated: HTTPStatus.UNAUTHORIZED,
        RoleForbidden: HTTPStatus.FORBIDDEN,
        CsrfRejected: HTTPStatus.FORBIDDEN,
        WrongContentType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        MalformedUpload: HTTPStatus.BAD_REQUEST,
        WrongParameter: HTTPStatus.UNPROCESSABLE_ENTITY,
        WrongFields: HTTPStatus.UNPROCESSABLE_ENTITY,
        UploadStalled: HTTPStatus.REQUEST_TIMEOUT,
        NoTusVersion: HTTPStatus.PRECONDITION_FAILED,
        OffsetMismatch: HTTPStatus.CONFLICT,
        UploadBusy: HTTPStatus.LOCKED,
        RangeOutside: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        HostNotAllowed: HTTPStatus.MISDIRECTED_REQUEST,
        ForeignOrigin: HTTPStatus.FORBIDDEN,
        ServiceError: HTTPStatus.INTERNAL_SERVER_ERROR,
        NotReady: HTTPStatus.SERVICE_UNAVAILABLE,
        IdentityUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
        ResultDamaged: HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)


def status_of(kind: type[DeepscreenError]) -> HTTPStatus:
    """The status of the nearest class in the table."""
    return next(STATUS_BY_ERROR[base] for base in kind.__mro__ if base in STATUS_BY_ERROR)


def problem_type(name: str) -> str:
    """The stable URI of a problem: ``urn:deepscreen:problem:`` and *name* in kebab case."""
    return "urn:deepscreen:problem:" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def title_of(kind: type[DeepscreenError]) -> str:
    """What the class says of itself: the first clause of its docstring."""
    return (kind.__doc__ or "").splitlines()[0].split(";")[0].rstrip(".")


def problem_of(error: DeepscreenError, request_id: str) -> Problem:
    """What the client is told of *error*; what went wrong inside the service stays in its log."""
    status = status_of(type(error))
    is_inside = status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, NotReady)
    return Problem(
        type=problem_type(type(error).__name__),
        title=title_of(type(error)),
        status=status,
        detail="The log of the service says more under this request id." if is_inside else str(error),
        instance=_instance(request_id),
    )


def internal_problem(request_id: str) -> Problem:
    """The answer to an error that nobody foresaw."""
    return Problem(
        type=problem_type("InternalError"),
        title="The service met an error that it did not foresee",
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        detail="The log of the service says more under this request id.",
        instance=_instance(request_id),
    )


def problem_of_failure(error_type: str | None, message: str | None, request_id: str) -> Problem:
    """Why a screening failed, told as if it had just been."""
    kind = next((kind for kind in STATUS_BY_ERROR if kind.__name__ == error_type), None)
    if kind is None or kind is errors.Overloaded:
        return internal_problem(request_id)
    return problem_of(kind(message or ""), request_id)


def error_response(error: DeepscreenError, request_id: str) -> JSONResponse:
    """The problem response to *error*, with Retry-After where coming back makes sense."""
    headers = {}
    if isinstance(error, errors.Overloaded):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="deepscreen"'
    if isinstance(error, RangeOutside):
        headers["Content-Range"] = f"bytes */{error.size_bytes}"
    if isinstance(error, NoTusVersion):
        headers["Tus-Version"] = "1.0.0"
    if status_of(type(error)) == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(UNAVAILABLE_RETRY_AFTER_SECONDS)
    return problem_response(problem_of(error, request_id), headers)


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """*problem* as an HTTP response."""
    return JSONResponse(
        problem.model_dump(), status_code=problem.status, headers=headers, media_type=PROBLEM_MEDIA_TYPE
    )


def install(app: FastAPI) -> None:
    """Answers every error of *app* with a problem body; errors that nobody foresaw are caught by the middleware."""
    app.add_exception_handler(DeepscreenError, _on_deepscreen_error)
    app.add_exception_handler(NotThere, _on_not_there)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)


def _instance(request_id: str) -> str:
    return f"urn:deepscreen:request:{request_id}"


async def _on_deepscreen_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DeepscreenError)
    if isinstance(error, ResultDamaged | errors.BlobDamaged) and await _went_meanwhile(request):
        return await _on_not_there(request, error)
    request_id = request.state.request_id
    if status_of(type(error)) >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, NotReady):
        logger.error("request %s: %s: %s", request_id, type(error).__name__, error, exc_info=error)
    return error_response(error, request_id)


async def _went_meanwhile(request: Request) -> bool:
    """Whether the screening that was asked for has no result any more: it was deleted, or is being tried again."""
    screening_id = request.path_params.get("screening_id")
    if screening_id is None:
        return False
    return not await asyncio.to_thread(request.app.state.service.screenings.has_result, screening_id)


async def _on_not_there(request: Request, _: Exception) -> JSONResponse:
    """Also of what was deleted while the request was under way."""
    gone = NoSuchResult("there is no such screening, case or key on this service")
    return error_response(gone, request.state.request_id)


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    problem = Problem(
        type=problem_type(phrase.replace(" ", "-")),
        title=phrase,
        status=error.status_code,
        detail=f"{request.method} {request.url.path}: {error.detail}",
        instance=_instance(request.state.request_id),
    )
    return problem_response(problem, error.headers)


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    lines = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    problem = Problem(
        type=problem_type("InvalidRequest"),
        title="A parameter of the request is wrong",
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        detail=lines,
        instance=_instance(request.state.request_id),
    )
    return problem_response(problem)
