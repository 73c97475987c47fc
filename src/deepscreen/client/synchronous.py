"""The client whose methods return when they are done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx

from deepscreen.api.wire import (
    CaseInfo,
    DeletionCertificate,
    ReportFormat,
    ReportLanguage,
    ScreeningEnvelope,
    ScreeningSummary,
    ServiceInfo,
)
from deepscreen.api.wire_misuse import MisuseChange, MisuseDetail, MisuseImported, MisuseInfo, NewMisuse
from deepscreen.client import casework, flows, register
from deepscreen.client.flows import Call, Flow, Pause
from deepscreen.record import Verdict
from deepscreen.register.entry import Tlp
from deepscreen.register.exchange import ExchangeFormat

Result = TypeVar("Result")


class Client:
    """A client of the service at *url*; *key* is an API key, or an identity provider's token. To be closed.

    All methods raise Refused where the service answers with a problem, and Unreachable where it does not answer.
    """

    def __init__(self, url: str, *, key: str | None = None, timeout_seconds: float = 60.0) -> None:
        self._http = httpx.Client(base_url=url, headers=flows.headers_of(key), timeout=timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def info(self) -> ServiceInfo:
        """By what, how and under which limits the service screens."""
        return self._run(flows.info())

    def screen(self, path: Path, *, case_id: str | None = None, wait_seconds: float = 600.0) -> ScreeningEnvelope:
        """Sends a file and waits for its end; raises NotEnded after *wait_seconds*."""
        return self.wait(self.upload(path, case_id=case_id).id, seconds=wait_seconds)

    def upload(self, path: Path, *, case_id: str | None = None) -> ScreeningEnvelope:
        """Sends a file, a large one resumably, and does not wait for its end."""
        return self._run(flows.upload(path, case_id=case_id))

    def get(self, screening_id: str) -> ScreeningEnvelope:
        """A screening as it stands."""
        return self._run(flows.get(screening_id))

    def wait(self, screening_id: str, *, seconds: float = 600.0) -> ScreeningEnvelope:
        """The screening when it has ended, done or failed; raises NotEnded after *seconds*."""
        return self._run(flows.wait(screening_id, seconds=seconds))

    def screenings(self, **filters: str | int | None) -> Iterator[ScreeningSummary]:
        """Screenings, the newest first; filters as ``GET /v1/screenings`` has them, ``limit`` is that of a page."""
        before: str | None = None
        while True:
            page = self._run(flows.page(filters, before))
            yield from page.items
            if (before := page.next) is None:
                return

    def download(self, screening_id: str, sha256: str, target: Path) -> Path:
        """Saves original, record or picture as *target*; raises HashMismatch, and then leaves no file."""
        return self._run(flows.download(screening_id, sha256, target))

    def download_evidence(self, envelope: ScreeningEnvelope, folder: Path) -> list[Path]:
        """Saves all evidence pictures of a finished screening in *folder*, each proven by its hash."""
        return self._run(flows.download_evidence(envelope, folder))

    def report(
        self, screening_id: str, target: Path, *, language: ReportLanguage = "en", file_format: ReportFormat = "pdf"
    ) -> Path:
        """Saves the report on a file for a court as *target*."""
        return self._run(flows.report(screening_id, target, language=language, file_format=file_format))

    def bundle(self, case_id: str, target: Path, *, language: ReportLanguage = "en", with_pdf: bool = False) -> Path:
        """Saves a case as a bundle that proves itself; auditors and admins only."""
        return self._run(flows.bundle(case_id, target, language=language, with_pdf=with_pdf))

    def cases(self) -> tuple[CaseInfo, ...]:
        """The newest cases that the key may see."""
        return self._run(casework.cases())

    def case(self, case_id: str) -> CaseInfo:
        """A case with its members."""
        return self._run(casework.case(case_id))

    def create_case(self, name: str, *, notes: str = "") -> CaseInfo:
        """Opens a case, with the key as its first member."""
        return self._run(casework.create_case(name, notes=notes))

    def change_case(
        self, case_id: str, *, name: str | None = None, notes: str | None = None, closed: bool | None = None
    ) -> CaseInfo:
        """Changes what is given; a closed case takes no new items."""
        return self._run(casework.change_case(case_id, name=name, notes=notes, closed=closed))

    def add_member(self, case_id: str, key_id: str) -> CaseInfo:
        """Lets another key work on a case."""
        return self._run(casework.add_member(case_id, key_id))

    def remove_member(self, case_id: str, key_id: str) -> None:
        """Takes a key out of a case."""
        self._run(casework.remove_member(case_id, key_id))

    def review(self, screening_id: str, *, verdict: Verdict | None = None, reason: str = "") -> ScreeningEnvelope:
        """Makes a result final: accepts it, or with a *verdict* and a *reason* overrides it."""
        return self._run(casework.review(screening_id, verdict=verdict, reason=reason))

    def cancel(self, screening_id: str) -> ScreeningEnvelope:
        """Takes a screening back, unless it has ended."""
        return self._run(casework.cancel(screening_id))

    def retry(self, screening_id: str) -> ScreeningEnvelope:
        """Has the same file screened again, under the method of today."""
        return self._run(casework.retry(screening_id))

    def delete(self, screening_id: str, *, reason: str) -> DeletionCertificate:
        """Deletes a screening for good, and gives the certificate; admins only."""
        return self._run(casework.delete(screening_id, reason=reason))

    def misuse(self, **filters: str | int | None) -> Iterator[MisuseInfo]:
        """Entries of the misuse register, the newest first; filters as ``GET /v1/misuse`` has them."""
        before: str | None = None
        while True:
            page = self._run(register.page(filters, before))
            yield from page.entries
            if (before := page.next) is None:
                return

    def misuse_entry(self, entry_id: str) -> MisuseDetail:
        """An entry of the misuse register with all that stood before."""
        return self._run(register.entry(entry_id))

    def add_misuse(self, new: NewMisuse) -> MisuseInfo:
        """Makes an entry about the file of a screening."""
        return self._run(register.add(new))

    def amend_misuse(self, entry_id: str, change: MisuseChange) -> MisuseInfo:
        """Puts another revision above the current one; reviewers and admins only."""
        return self._run(register.amend(entry_id, change))

    def export_misuse(self, target: Path, *, tlp: Tlp, file_format: ExchangeFormat, ids: Sequence[str] = ()) -> Path:
        """Saves what those may see who get it, of all entries or those named by *ids*; auditors and admins only."""
        return self._run(register.export(target, tlp=tlp, file_format=file_format, ids=ids))

    def import_misuse(self, source: Path, *, file_format: ExchangeFormat, origin: str) -> MisuseImported:
        """Gives the service the register of others; admins only."""
        return self._run(register.take_in(source, file_format=file_format, origin=origin))

    def _run(self, flow: Flow[Result]) -> Result:
        try:
            step = next(flow)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = next(flow)
                    continue
                try:
                    response = self._send(step)
                except httpx.TransportError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(response)
        except StopIteration as end:
            result: Result = end.value
            return result

    def _send(self, call: Call) -> httpx.Response:
        request = self._http.build_request(
            call.method,
            call.path,
            params=call.params,
            headers=call.headers,
            files=call.files,
            content=call.content,
            json=call.json,
            timeout=call.timeout(self._http.timeout),
        )
        response = self._http.send(request, stream=True)
        try:
            if call.sink is None or not response.is_success:
                response.read()
            else:
                for piece in response.iter_bytes():
                    call.sink(piece)
        finally:
            response.close()
        return response
