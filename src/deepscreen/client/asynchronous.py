"""The client whose methods are awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
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


class AsyncClient:
    """A client of the service at *url*; *key* is an API key, or an identity provider's token. To be closed.

    All methods raise Refused where the service answers with a problem, and Unreachable where it does not answer.
    """

    def __init__(self, url: str, *, key: str | None = None, timeout_seconds: float = 60.0) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers=flows.headers_of(key), timeout=timeout_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def info(self) -> ServiceInfo:
        """By what, how and under which limits the service screens."""
        return await self._run(flows.info())

    async def screen(self, path: Path, *, case_id: str | None = None, wait_seconds: float = 600.0) -> ScreeningEnvelope:
        """Sends a file and waits for its end; raises NotEnded after *wait_seconds*."""
        sent = await self.upload(path, case_id=case_id)
        return await self.wait(sent.id, seconds=wait_seconds)

    async def upload(self, path: Path, *, case_id: str | None = None) -> ScreeningEnvelope:
        """Sends a file, a large one resumably, and does not wait for its end."""
        return await self._run(flows.upload(path, case_id=case_id))

    async def get(self, screening_id: str) -> ScreeningEnvelope:
        """A screening as it stands."""
        return await self._run(flows.get(screening_id))

    async def wait(self, screening_id: str, *, seconds: float = 600.0) -> ScreeningEnvelope:
        """The screening when it has ended, done or failed; raises NotEnded after *seconds*."""
        return await self._run(flows.wait(screening_id, seconds=seconds))

    async def screenings(self, **filters: str | int | None) -> AsyncIterator[ScreeningSummary]:
        """Screenings, the newest first; filters as ``GET /v1/screenings`` has them, ``limit`` is that of a page."""
        before: str | None = None
        while True:
            page = await self._run(flows.page(filters, before))
            for item in page.items:
                yield item
            if (before := page.next) is None:
                return

    async def download(self, screening_id: str, sha256: str, target: Path) -> Path:
        """Saves original, record or picture as *target*; raises HashMismatch, and then leaves no file."""
        return await self._run(flows.download(screening_id, sha256, target))

    async def download_evidence(self, envelope: ScreeningEnvelope, folder: Path) -> list[Path]:
        """Saves all evidence pictures of a finished screening in *folder*, each proven by its hash."""
        return await self._run(flows.download_evidence(envelope, folder))

    async def report(
        self, screening_id: str, target: Path, *, language: ReportLanguage = "en", file_format: ReportFormat = "pdf"
    ) -> Path:
        """Saves the report on a file for a court as *target*."""
        return await self._run(flows.report(screening_id, target, language=language, file_format=file_format))

    async def bundle(
        self, case_id: str, target: Path, *, language: ReportLanguage = "en", with_pdf: bool = False
    ) -> Path:
        """Saves a case as a bundle that proves itself; auditors and admins only."""
        return await self._run(flows.bundle(case_id, target, language=language, with_pdf=with_pdf))

    async def cases(self) -> tuple[CaseInfo, ...]:
        """The newest cases that the key may see."""
        return await self._run(casework.cases())

    async def case(self, case_id: str) -> CaseInfo:
        """A case with its members."""
        return await self._run(casework.case(case_id))

    async def create_case(self, name: str, *, notes: str = "") -> CaseInfo:
        """Opens a case, with the key as its first member."""
        return await self._run(casework.create_case(name, notes=notes))

    async def change_case(
        self, case_id: str, *, name: str | None = None, notes: str | None = None, closed: bool | None = None
    ) -> CaseInfo:
        """Changes what is given; a closed case takes no new items."""
        return await self._run(casework.change_case(case_id, name=name, notes=notes, closed=closed))

    async def add_member(self, case_id: str, key_id: str) -> CaseInfo:
        """Lets another key work on a case."""
        return await self._run(casework.add_member(case_id, key_id))

    async def remove_member(self, case_id: str, key_id: str) -> None:
        """Takes a key out of a case."""
        await self._run(casework.remove_member(case_id, key_id))

    async def review(self, screening_id: str, *, verdict: Verdict | None = None, reason: str = "") -> ScreeningEnvelope:
        """Makes a result final: accepts it, or with a *verdict* and a *reason* overrides it."""
        return await self._run(casework.review(screening_id, verdict=verdict, reason=reason))

    async def cancel(self, screening_id: str) -> ScreeningEnvelope:
        """Takes a screening back, unless it has ended."""
        return await self._run(casework.cancel(screening_id))

    async def retry(self, screening_id: str) -> ScreeningEnvelope:
        """Has the same file screened again, under the method of today."""
        return await self._run(casework.retry(screening_id))

    async def delete(self, screening_id: str, *, reason: str) -> DeletionCertificate:
        """Deletes a screening for good, and gives the certificate; admins only."""
        return await self._run(casework.delete(screening_id, reason=reason))

    async def misuse(self, **filters: str | int | None) -> AsyncIterator[MisuseInfo]:
        """Entries of the misuse register, the newest first; filters as ``GET /v1/misuse`` has them."""
        before: str | None = None
        while True:
            page = await self._run(register.page(filters, before))
            for found in page.entries:
                yield found
            if (before := page.next) is None:
                return

    async def misuse_entry(self, entry_id: str) -> MisuseDetail:
        """An entry of the misuse register with all that stood before."""
        return await self._run(register.entry(entry_id))

    async def add_misuse(self, new: NewMisuse) -> MisuseInfo:
        """Makes an entry about the file of a screening."""
        return await self._run(register.add(new))

    async def amend_misuse(self, entry_id: str, change: MisuseChange) -> MisuseInfo:
        """Puts another revision above the current one; reviewers and admins only."""
        return await self._run(register.amend(entry_id, change))

    async def export_misuse(
        self, target: Path, *, tlp: Tlp, file_format: ExchangeFormat, ids: Sequence[str] = ()
    ) -> Path:
        """Saves what those may see who get it, of all entries or those named by *ids*; auditors and admins only."""
        return await self._run(register.export(target, tlp=tlp, file_format=file_format, ids=ids))

    async def import_misuse(self, source: Path, *, file_format: ExchangeFormat, origin: str) -> MisuseImported:
        """Gives the service the register of others; admins only."""
        return await self._run(register.take_in(source, file_format=file_format, origin=origin))

    async def _run(self, flow: Flow[Result]) -> Result:
        try:
            step = next(flow)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = next(flow)
                    continue
                try:
                    response = await self._send(step)
                except httpx.TransportError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(response)
        except StopIteration as end:
            result: Result = end.value
            return result

    async def _send(self, call: Call) -> httpx.Response:
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
        response = await self._http.send(request, stream=True)
        try:
            if call.sink is None or not response.is_success:
                await response.aread()
            else:
                async for piece in response.aiter_bytes():
                    call.sink(piece)
        finally:
            await response.aclose()
        return response
