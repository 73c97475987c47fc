"""The client against the real service: small and large files, waiting, lists, proven downloads, and what goes wrong."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Served

from deepscreen.api.wire_misuse import MisuseChange, NewMisuse
from deepscreen.client import AsyncClient, Client, HashMismatch, NotEnded, Refused, Unreachable, flows
from deepscreen.record import Verdict
from deepscreen.register.entry import Tlp, ToolKind
from deepscreen.register.exchange import ExchangeFormat
from deepscreen.settings import Limits, Settings
from deepscreen.store.computations import State
from deepscreen.store.keys import Role, create_key

LARGE_BYTES = 300_000
PIECE_BYTES = 70_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served") / "data"
    served = Served(Settings(data_dir=folder, device="cpu", limits=Limits(max_bytes=1_000_000)))
    yield served
    served.close()


@pytest.fixture
def client(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr(flows, "LARGE_BYTES", LARGE_BYTES)
    monkeypatch.setattr(flows, "PIECE_BYTES", PIECE_BYTES)
    monkeypatch.setattr(flows, "DELAYS_SECONDS", (0.01, 0.01, 0.01))
    with Client(served.url, key=served.key) as client:
        yield client


@pytest.fixture
def picture(tmp_path: Path, png: bytes) -> Path:
    path = tmp_path / "bild ä.png"
    path.write_bytes(png + str(tmp_path).encode())
    return path


@pytest.fixture
def large(tmp_path: Path, png: bytes) -> Path:
    path = tmp_path / "large.png"
    path.write_bytes(png + str(tmp_path).encode() + bytes(3 * LARGE_BYTES))
    return path


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_file_is_screened_and_its_evidence_saved(client: Client, picture: Path, tmp_path: Path) -> None:
    envelope = client.screen(picture)
    assert envelope.state == "done"
    assert envelope.filename == picture.name
    assert envelope.screening
    assert envelope.screening.media.sha256 == sha256_of(picture)
    saved = client.download_evidence(envelope, tmp_path)
    assert [sha256_of(path) for path in saved] == [link.sha256 for link in envelope.evidence]
    assert saved
    original = client.download(envelope.id, sha256_of(picture), tmp_path / "again.png")
    assert original.read_bytes() == picture.read_bytes()


def test_large_file_is_sent_in_pieces(client: Client, large: Path) -> None:
    calls = recorded(client)
    envelope = client.screen(large)
    assert envelope.screening
    assert envelope.screening.media.sha256 == sha256_of(large)
    assert envelope.filename == "large.png"
    assert calls.count("PATCH") == -(-large.stat().st_size // PIECE_BYTES)


def test_large_upload_goes_on_where_the_line_broke(client: Client, large: Path) -> None:
    calls = recorded(client, breaks_at=(2, 5, 6))
    envelope = client.screen(large)
    assert envelope.screening
    assert envelope.screening.media.sha256 == sha256_of(large)
    assert calls.count("HEAD") == 4


def test_small_upload_whose_answer_is_lost_is_one_screening(client: Client, picture: Path) -> None:
    recorded(client, lost=("POST",))
    envelope = client.screen(picture)
    found = list(client.screenings(media_sha256=sha256_of(picture)))
    assert [item.id for item in found] == [envelope.id]


def test_list_goes_over_all_pages(client: Client, tmp_path: Path, png: bytes) -> None:
    sent = []
    for number in range(5):
        path = tmp_path / f"listed-{number}.png"
        path.write_bytes(png + bytes([number]) * 7)
        sent.append(client.upload(path).id)
    assert [item.id for item in client.screenings(limit=2, filename="listed-")] == sent[::-1]


def test_file_that_cannot_be_screened_is_a_failed_screening(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"just text")
    envelope = client.screen(path)
    assert envelope.state == "failed"
    assert envelope.failure
    assert envelope.failure.type == "urn:deepscreen:problem:unsupported-media"


def test_changed_download_is_thrown_away(client: Client, picture: Path, tmp_path: Path, served: Served) -> None:
    envelope = client.screen(picture)
    recorded(client, changed=True)
    target = tmp_path / "kept"
    target.write_bytes(b"before")
    with pytest.raises(HashMismatch):
        client.download(envelope.id, sha256_of(picture), target)
    assert target.read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} == {"kept", picture.name}


def test_problem_of_the_service_is_raised(client: Client, served: Served) -> None:
    with pytest.raises(Refused) as caught:
        client.get("0" * 32)
    assert caught.value.problem.status == 404
    with Client(served.url, key="dsk_wrong") as stranger, pytest.raises(Refused, match="401 unauthenticated"):
        stranger.info()


def test_time_that_is_over_is_told_with_the_state(client: Client, picture: Path) -> None:
    envelope = client.upload(picture)
    client.wait(envelope.id)
    client.wait(envelope.id, seconds=0)
    flow = flows.wait(envelope.id, seconds=0)
    next(flow)
    answer = httpx.Response(200, content=envelope.model_copy(update={"state": State.RUNNING}).model_dump_json())
    with pytest.raises(NotEnded):
        flow.send(answer)


def test_service_that_is_not_there_is_unreachable(client: Client) -> None:
    with Client("http://127.0.0.1:9") as alone, pytest.raises(Unreachable):
        alone.info()


def test_fields_of_a_newer_service_are_left_out(client: Client, picture: Path) -> None:
    envelope = client.screen(picture)
    newer = envelope.model_dump(mode="json") | {"of_tomorrow": 1}
    newer["screening"]["media"]["of_tomorrow"] = 1
    flow = flows.get(envelope.id)
    next(flow)
    with pytest.raises(StopIteration) as end:
        flow.send(httpx.Response(200, json=newer))
    assert end.value.value == envelope


def test_asynchronous_client_does_the_same(client: Client, served: Served, large: Path, tmp_path: Path) -> None:
    async def run() -> Any:
        async with AsyncClient(served.url, key=served.key) as client:
            envelope = await client.screen(large)
            saved = await client.download_evidence(envelope, tmp_path)
            listed = [item async for item in client.screenings(media_sha256=sha256_of(large), limit=1)]
            return envelope, saved, listed, (await client.info()).software

    envelope, saved, listed, software = asyncio.run(run())
    assert envelope.screening.media.sha256 == sha256_of(large)
    assert [sha256_of(path) for path in saved] == [link.sha256 for link in envelope.evidence]
    assert [item.id for item in listed] == [envelope.id]
    assert software.startswith("deepscreen ")


def recorded(
    client: Client, *, breaks_at: tuple[int, ...] = (), lost: tuple[str, ...] = (), changed: bool = False
) -> list[str]:
    """Methods of the calls from now on. The line breaks before those PATCHes; answers to *lost* get lost once."""
    calls: list[str] = []
    left = list(lost)
    real = client._http._transport

    class Line(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            calls.append(request.method)
            if request.method == "PATCH" and calls.count("PATCH") in breaks_at:
                raise httpx.WriteError("the line broke")
            response = real.handle_request(request)
            if request.method in left:
                left.remove(request.method)
                response.read()
                raise httpx.ReadError("the answer was lost")
            if changed:
                return httpx.Response(response.status_code, content=response.read()[:-1] + b"!")
            return response

        def close(self) -> None:
            real.close()

    client._http._transport = Line()
    return calls


def test_case_is_worked_on_and_its_result_reviewed(client: Client, served: Served, picture: Path) -> None:
    database = served.app.state.service.store.database
    reviewer, token = create_key(database, name="rita", role=Role.REVIEWER, lifetime_seconds=None, actor="test")
    case = client.create_case("Case 7", notes="by post")
    assert client.add_member(case.id, reviewer.id).members == tuple(sorted((*case.members, reviewer.id)))
    envelope = client.screen(picture, case_id=case.id)
    with Client(served.url, key=token) as rita:
        final = rita.review(envelope.id, verdict=Verdict.INCONCLUSIVE, reason="too small")
        assert final.review
        assert (final.review.reviewer, final.review.reason) == (reviewer.id, "too small")
        with pytest.raises(Refused) as refused:
            rita.review(envelope.id)
        assert refused.value.problem.status == 409
    client.remove_member(case.id, reviewer.id)
    assert client.change_case(case.id, notes="done", closed=True).closed_at
    assert client.case(case.id).notes == "done"
    assert case.id in {found.id for found in client.cases()}


def test_screening_is_cancelled_tried_again_and_deleted(client: Client, picture: Path) -> None:
    envelope = client.screen(picture)
    assert client.cancel(envelope.id).state == State.DONE, "what has ended is not taken back"
    again = client.retry(envelope.id)
    assert again.id == envelope.id
    assert client.wait(envelope.id).state == State.DONE
    certificate = client.delete(envelope.id, reason="asked for")
    assert (certificate.screening_id, certificate.original_removed) == (envelope.id, True)
    with pytest.raises(Refused) as refused:
        client.get(envelope.id)
    assert refused.value.problem.status == 404


def test_what_would_be_done_twice_is_not_sent_again(client: Client) -> None:
    calls = recorded(client, lost=("POST",))
    with pytest.raises(Unreachable):
        client.create_case("once")
    assert calls == ["POST"]
    assert [case.name for case in client.cases()].count("once") == 1


def test_async_client_works_on_cases_too(served: Served) -> None:
    async def work() -> None:
        async with AsyncClient(served.url, key=served.key) as client:
            case = await client.create_case("Case 8")
            assert (await client.case(case.id)).name == "Case 8"
            assert (await client.change_case(case.id, name="Case 9")).name == "Case 9"

    asyncio.run(work())


def test_report_and_bundle_are_saved(client: Client, picture: Path, tmp_path: Path) -> None:
    case = client.create_case("Case 10")
    envelope = client.screen(picture, case_id=case.id)
    page = client.report(envelope.id, tmp_path / "bericht.html", language="de", file_format="html")
    assert '<html lang="de"' in page.read_text()
    assert client.report(envelope.id, tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")
    with zipfile.ZipFile(client.bundle(case.id, tmp_path / "case.zip")) as bundle:
        assert sha256_of(picture) in "".join(bundle.namelist())
    with pytest.raises(Refused):
        client.bundle("0" * 32, tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_register_is_kept_read_and_shared(client: Client, picture: Path, tmp_path: Path) -> None:
    envelope = client.screen(picture)
    new = NewMisuse(screening_id=envelope.id, tool="FaceTool", tool_kind=ToolKind.FACE_SWAP, tlp=Tlp.GREEN)
    entry = client.add_misuse(new)
    assert entry.media_sha256 == sha256_of(picture)
    change = MisuseChange(revision=1, reason="found on the disk", tool="FaceTool 2")
    amended = client.amend_misuse(entry.id, change)
    assert (amended.revision, amended.tool) == (2, "FaceTool 2")
    detail = client.misuse_entry(entry.id)
    assert [earlier.tool for earlier in detail.earlier] == ["FaceTool"]
    assert [found.id for found in client.misuse(like=envelope.id, limit=1)] == [entry.id]
    target = tmp_path / "shared.json"
    shared = client.export_misuse(target, tlp=Tlp.GREEN, file_format=ExchangeFormat.STIX, ids=[entry.id])
    taken = client.import_misuse(shared, file_format=ExchangeFormat.STIX, origin="ourselves")
    assert (taken.added, taken.known) == (0, 1)
    with pytest.raises(Refused) as refused:
        client.amend_misuse(entry.id, change)
    assert refused.value.problem.status == 409


def test_async_client_has_every_method_of_the_other() -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        public = {name: value for name, value in vars(kind).items() if not name.startswith("_")}
        return {name: [str(p) for p in inspect.signature(value).parameters.values()] for name, value in public.items()}

    assert methods(Client) == methods(AsyncClient)
