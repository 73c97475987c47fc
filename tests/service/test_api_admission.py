"""Places: bounded, refused early, given back once, and never while their work still runs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from deepscreen.api.admission import Admission, ClientGone
from deepscreen.errors import Overloaded


@pytest.fixture
def admission() -> Iterator[Admission]:
    admission = Admission(max_concurrent=1, max_waiting=1)
    yield admission
    admission.close()


async def never() -> None:
    await asyncio.Event().wait()


async def at_once() -> None:
    return


def until(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def counts(admission: Admission) -> tuple[int, int]:
    return admission.places.running, admission.places.waiting


def test_entry_is_refused_beyond_all_places(admission: Admission) -> None:
    with admission.try_enter(), admission.try_enter():
        assert counts(admission) == (0, 2)
        with pytest.raises(Overloaded) as caught:
            admission.try_enter()
        assert caught.value.retry_after_seconds >= 1
    assert counts(admission) == (0, 0)
    with admission.try_enter():
        pass


def test_place_is_given_back_after_an_error(admission: Admission) -> None:
    def fail() -> None:
        raise ValueError("broken")

    async def request() -> None:
        with admission.try_enter() as place:
            await place.run(fail, gone=never())

    for _ in range(5):
        with pytest.raises(ValueError, match="broken"):
            asyncio.run(request())
    assert counts(admission) == (0, 0)


def test_work_beyond_max_concurrent_waits(admission: Admission) -> None:
    at_once_now, most = 0, 0

    def work() -> None:
        nonlocal at_once_now, most
        at_once_now += 1
        most = max(most, at_once_now)
        time.sleep(0.02)
        at_once_now -= 1

    async def request() -> None:
        with admission.try_enter() as place:
            await place.run(work, gone=never())

    async def both() -> None:
        await asyncio.gather(request(), request())

    asyncio.run(both())
    assert most == 1


def test_client_that_leaves_while_it_waits_frees_its_place_at_once(admission: Admission) -> None:
    may_end = threading.Event()
    done = []

    async def leave() -> None:
        with admission.try_enter() as place:
            await place.run(lambda: done.append("waiter"), gone=at_once())

    async def scene() -> None:
        with admission.try_enter() as place:
            first = asyncio.create_task(place.run(lambda: may_end.wait(5), gone=never()))
            await asyncio.to_thread(until, lambda: counts(admission) == (1, 0))
            with pytest.raises(ClientGone):
                await leave()
            assert counts(admission) == (1, 0)
            may_end.set()
            assert await first

    asyncio.run(scene())
    assert done == []
    assert counts(admission) == (0, 0)


def test_client_that_leaves_while_its_work_runs_frees_its_place_when_the_work_ends(admission: Admission) -> None:
    may_end = threading.Event()
    cleaned = []

    async def leave_when_running() -> None:
        await asyncio.to_thread(until, lambda: admission.places.running == 1)

    async def request() -> None:
        with admission.try_enter() as place:
            place.defer(lambda: cleaned.append(may_end.is_set()))
            await place.run(lambda: may_end.wait(5), gone=leave_when_running())

    with pytest.raises(ClientGone):
        asyncio.run(request())
    assert counts(admission) == (1, 0)
    assert cleaned == []
    may_end.set()
    until(lambda: counts(admission) == (0, 0))
    until(lambda: cleaned == [True])


def test_retry_after_grows_with_the_time_that_screenings_take(admission: Admission) -> None:
    admission._mean_seconds = 20.0
    with admission.try_enter(), admission.try_enter(), pytest.raises(Overloaded) as caught:
        admission.try_enter()
    assert caught.value.retry_after_seconds == 40
