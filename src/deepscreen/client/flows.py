"""What the clients do, whichever way it is run: each flow yields calls and takes their answers."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from deepscreen.api.wire import Problem, ScreeningEnvelope, ScreeningPage, ServiceInfo
from deepscreen.store.computations import State

Model = TypeVar("Model", bound=BaseModel)
LARGE_BYTES = 16 * 1024 * 1024  # above it a file is sent resumably
PIECE_BYTES = 8 * 1024 * 1024  # of a resumable upload, in one request
DELAYS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)  # after tries in vain
COME_BACK = frozenset({423, 429, 503})
FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.1, 2.0
TUS = {"Tus-Resumable": "1.0.0"}


class ClientError(Exception):
    """Root of what the clients raise."""


class Refused(ClientError):
    """The service answered with a problem; ``problem`` says which."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status} {problem.type.rpartition(':')[2]}: {problem.detail}")
        self.problem = problem


class Unreachable(ClientError):
    """The service did not answer, also not when it was asked again."""


class NotEnded(ClientError):
    """The screening did not end in the time that was given; ``envelope`` says how it stands."""

    def __init__(self, envelope: ScreeningEnvelope) -> None:
        super().__init__(f"screening {envelope.id} is still {envelope.state}")
        self.envelope = envelope


class HashMismatch(ClientError):
    """What arrived is not what was asked for; it was thrown away."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request. With a *sink* the body of a good answer goes there in pieces, and is not held as a whole."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[str, bytes]] | None = None
    content: bytes | None = None
    json: Mapping[str, Any] | None = None
    sink: Callable[[bytes], object] | None = None
    is_slow: bool = False  # the service may work on the answer for minutes before it begins

    def timeout(self, usual: httpx.Timeout) -> httpx.Timeout:
        """How long to wait for what."""
        read_seconds = None if self.is_slow else usual.read
        return httpx.Timeout(connect=usual.connect, read=read_seconds, write=usual.write, pool=usual.pool)


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing for a while."""

    seconds: float


Result = TypeVar("Result")
Flow = Generator[Call | Pause, httpx.Response, Result]


def headers_of(key: str | None) -> dict[str, str]:
    """What every request of a client with this key bears."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def info() -> Flow[ServiceInfo]:
    """By what, how and under which limits the service screens."""
    return read(ServiceInfo, (yield from insist(Call("GET", "/info"))))


def get(screening_id: str) -> Flow[ScreeningEnvelope]:
    """A screening as it stands."""
    return read(ScreeningEnvelope, (yield from insist(Call("GET", f"/v1/screenings/{screening_id}"))))


def page(filters: Mapping[str, Any], before: str | None) -> Flow[ScreeningPage]:
    """A page of screenings."""
    return (yield from page_of(ScreeningPage, "/v1/screenings", filters, before))


def page_of(model: type[Model], path: str, filters: Mapping[str, Any], before: str | None) -> Flow[Model]:
    """A page of what is listed at *path*; a filter that is None is none."""
    given = {name: value for name, value in {**filters, "before": before}.items() if value is not None}
    return read(model, (yield from insist(Call("GET", path, params=given))))


def upload(path: Path, *, case_id: str | None) -> Flow[ScreeningEnvelope]:
    """Sends a file, a large one resumably, and does not wait for its end."""
    size_bytes = path.stat().st_size
    location = yield from (_upload_large if size_bytes > LARGE_BYTES else _upload_small)(path, case_id)
    return (yield from get(location.rpartition("/")[2]))


def wait(screening_id: str, *, seconds: float) -> Flow[ScreeningEnvelope]:
    """The screening when it has ended; raises NotEnded after *seconds*."""
    deadline, look_seconds = time.monotonic() + seconds, FIRST_LOOK_SECONDS
    while True:
        envelope = yield from get(screening_id)
        if envelope.state not in {State.QUEUED, State.RUNNING}:
            return envelope
        if time.monotonic() >= deadline:
            raise NotEnded(envelope)
        yield Pause(min(look_seconds, max(0.0, deadline - time.monotonic())))
        look_seconds = min(2 * look_seconds, LONGEST_LOOK_SECONDS)


def download(screening_id: str, sha256: str, target: Path) -> Flow[Path]:
    """Saves a file of a screening as *target*, which is there only once its hash was found right."""
    return (yield from save(Call("GET", f"/v1/screenings/{screening_id}/files/{sha256}"), target, sha256=sha256))


def report(screening_id: str, target: Path, *, language: str, file_format: str) -> Flow[Path]:
    """Saves the report on a file for a court as *target*."""
    params = {"language": language, "format": file_format}
    return (yield from save(Call("GET", f"/v1/screenings/{screening_id}/report", params=params, is_slow=True), target))


def bundle(case_id: str, target: Path, *, language: str, with_pdf: bool) -> Flow[Path]:
    """Saves a case as a bundle that proves itself as *target*."""
    params = {"language": language, "pdf": with_pdf}
    return (yield from save(Call("GET", f"/v1/cases/{case_id}/bundle", params=params, is_slow=True), target))


def save(call: Call, target: Path, *, sha256: str | None = None) -> Flow[Path]:
    """Saves the answer to *call* as *target*, which is there only once all of it has arrived.

    Raises HashMismatch where it is not what *sha256* says, and leaves a file that was there before as it was.
    """
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        for delay in (*DELAYS_SECONDS, None):
            digest, pause_seconds = hashlib.sha256(), 0.0
            with unfinished.open("wb") as file:
                sink = _both(file.write, digest.update)
                try:
                    answer = yield replace(call, sink=sink)
                    if answer.status_code not in COME_BACK or delay is None:
                        _check(answer)
                        break
                    pause_seconds = _retry_after_seconds(answer)
                except httpx.TransportError as error:
                    if delay is None:
                        raise Unreachable(f"the file did not arrive: {error}") from error
            yield Pause(max(delay, pause_seconds))
        if sha256 is not None and digest.hexdigest() != sha256:
            raise HashMismatch(f"want {sha256}, got {digest.hexdigest()}")
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def download_evidence(envelope: ScreeningEnvelope, folder: Path) -> Flow[list[Path]]:
    """Saves all evidence pictures of a finished screening in *folder*, under their names in the record."""
    saved = []
    for link in envelope.evidence:
        if Path(link.name).name != link.name or link.name.startswith("."):
            raise ClientError(f"the service names a picture {link.name!r}, which is no file name")
        saved.append((yield from download(envelope.id, link.sha256, folder / link.name)))
    return saved


def _upload_small(path: Path, case_id: str | None) -> Flow[str]:
    call = Call(
        "POST",
        "/v1/screenings",
        params={} if case_id is None else {"case_id": case_id},
        # A second try after a lost answer gives the same screening.
        headers={"Prefer": "respond-async", "Idempotency-Key": secrets.token_hex(16)},
        files={"file": (path.name, path.read_bytes())},
    )
    response = yield from insist(call, good_with="location")
    return response.headers["location"]


def _upload_large(path: Path, case_id: str | None) -> Flow[str]:
    metadata = {"filename": path.name} | ({} if case_id is None else {"case_id": case_id})
    encoded = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in metadata.items())
    begin = TUS | {"Upload-Length": str(path.stat().st_size), "Upload-Metadata": encoded}
    upload_path = (yield from insist(Call("POST", "/v1/uploads", headers=begin))).headers["location"]
    offset, tries = -1, 0
    with path.open("rb") as file:
        while True:
            told = yield from insist(Call("HEAD", upload_path, headers=TUS))
            tries = tries + 1 if int(told.headers["upload-offset"]) == offset else 0
            if tries >= len(DELAYS_SECONDS):
                raise Unreachable(f"the upload stands still at {offset} bytes")
            offset = int(told.headers["upload-offset"])
            told = yield from _send_pieces(file, upload_path, told)
            if "location" in told.headers:
                return told.headers["location"]
            yield Pause(DELAYS_SECONDS[tries])


def _send_pieces(file: BinaryIO, upload_path: str, told: httpx.Response) -> Flow[httpx.Response]:
    """Goes on from where the service *told*; gives its last answer, one without a location where the line broke."""
    while "location" not in told.headers:
        offset = int(told.headers["upload-offset"])
        file.seek(offset)
        headers = TUS | {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        try:
            answer = yield Call("PATCH", upload_path, headers=headers, content=file.read(PIECE_BYTES))
        except httpx.TransportError:
            return told
        if answer.status_code in COME_BACK | {HTTPStatus.CONFLICT}:
            return told
        told = _check(answer)
    return told


def insist(call: Call, *, good_with: str | None = None, may_repeat: bool = True) -> Flow[httpx.Response]:
    """The answer to *call*, which is sent again where it was lost, if that *may_repeat* it without harm, and where the
    service says to come back. One with the header *good_with* is good as it is."""
    for delay in (*DELAYS_SECONDS, None):
        try:
            response = yield call
        except httpx.TransportError as error:
            if delay is None or not may_repeat:
                raise Unreachable(f"{call.method} {call.path}: {error}") from error
            yield Pause(delay)
            continue
        if good_with is not None and good_with in response.headers:
            return response
        if response.status_code not in COME_BACK or delay is None:
            return _check(response)
        yield Pause(max(delay, _retry_after_seconds(response)))
    raise AssertionError("the last try returns or raises")


def once(method: str, path: str, **options: Any) -> Flow[httpx.Response]:
    """The answer to what would be something else a second time: where it was lost, the caller looks what was done."""
    return (yield from insist(Call(method, path, **options), may_repeat=False))


def _retry_after_seconds(response: httpx.Response) -> float:
    return float(response.headers.get("retry-after", "0"))


def _check(response: httpx.Response) -> httpx.Response:
    """Raises Refused for an answer that is none of the good ones."""
    if response.is_success:
        return response
    try:
        problem = Problem.model_validate_json(response.content, extra="ignore")
    except ValidationError:
        problem = Problem(
            type="about:blank",
            title="An answer that is not Deepscreen's",
            status=response.status_code,
            detail=response.text[:200],
            instance="",
        )
    raise Refused(problem)


def read(model: type[Model], response: httpx.Response) -> Model:
    """The answer as a record; fields that a newer service adds are left out."""
    return model.model_validate_json(response.content, extra="ignore")


def _both(first: Callable[[bytes], object], second: Callable[[bytes], object]) -> Callable[[bytes], None]:
    def sink(piece: bytes) -> None:
        first(piece)
        second(piece)

    return sink
