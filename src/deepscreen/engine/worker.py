"""A worker: takes computations from the queue, screens, and writes what came of it; one desk, several threads."""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from deepscreen.engine.figures import Figures
from deepscreen.errors import BlobDamaged, DeepscreenError, StoreError
from deepscreen.media.intake import intake_of_hashed
from deepscreen.screened import Screened
from deepscreen.screening import ScreeningDesk
from deepscreen.store.blobs import sha256_of
from deepscreen.store.computations import Claim, End, Outcome, Queue, State
from deepscreen.store.methods import method_loads
from deepscreen.store.removal import remove_or_leave
from deepscreen.store.store import Store

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.25  # how soon work that another process queued is noticed
PROGRESS_SECONDS = 60.0  # between two words on how far a long file is
RETRY_SECONDS = 1.0  # between tries to reach a store that does not answer
INTERNAL_ERROR = "InternalError"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a computation ended, and what was screened, where anything was."""

    computation_id: str
    outcome: Outcome
    screened: Screened | None


Watcher = Callable[[Ended], None]


def new_worker_id() -> str:
    """A name that no other worker has: the machine's, and a random part."""
    return f"{socket.gethostname()[:60]}-{secrets.token_hex(6)}"


class Worker:
    """Runs until ``stop``. Threads claim one computation each; another keeps leases and takes over from the dead."""

    def __init__(
        self,
        store: Store,
        desk: ScreeningDesk,
        queue: Queue,
        *,
        about: dict[str, Any],
        worker_id: str | None = None,
        is_candidate: bool = False,
        on_end: Watcher = lambda _: None,
    ) -> None:
        self.id = worker_id or new_worker_id()
        self.figures = Figures(self.id)
        self._store, self._desk, self._queue = store, desk, queue
        self._about, self._on_end, self._is_candidate = about, on_end, is_candidate
        self._method_digest = desk.provenance.method_digest
        self._scratch = store.scratch()
        self._stopping = threading.Event()
        self._work_may_wait = threading.Condition()
        self._hand = _Hand()
        threads = desk.settings.max_concurrent
        self._threads = [threading.Thread(target=self._work, name=f"screening-{n}") for n in range(threads)]
        self._keeper = threading.Thread(target=self._keep_leases, name="leases")

    def start(self) -> None:
        """Begins. What an earlier process of the same id held is taken back at once."""
        self._queue.release_dead(known_dead=self.id)
        self._renew()
        self._tell_of_others()
        for thread in (*self._threads, self._keeper):
            thread.start()

    def wake(self) -> None:
        """Says that there is work, so that it starts without a poll."""
        with self._work_may_wait:
            self._work_may_wait.notify_all()

    def stop(self) -> None:
        """Ends what runs, takes no more, and signs off."""
        self._stopping.set()
        self.wake()
        for thread in self._threads:
            thread.join()
        self._keeper.join()
        try:
            self._queue.leave(self.id)
        except StoreError as error:
            logger.warning("could not sign off: %s", error)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                claim = self._claim()
            except StoreError as error:
                logger.warning("no work can be had: %s", error)
                self._stopping.wait(RETRY_SECONDS)
                continue
            if claim is None:
                with self._work_may_wait:
                    self._work_may_wait.wait(POLL_SECONDS)
                continue
            try:
                self._run(claim)
            except Exception:  # the thread goes on, and does not keep for ever what it could not end
                logger.exception("computation %s could not be ended, and is put off", claim.id[:12])
                self._persist(partial(self._queue.postpone, claim))
            finally:
                self._hand.put_down(claim)
                self.wake()

    def _claim(self) -> Claim | None:
        with self._hand.lock:
            if self._hand.is_exclusive:
                return None
            claim = self._queue.claim(self.id, self._method_digest, is_idle=not self._hand.held)
            if claim is not None:
                self._hand.take(claim)
            return claim

    def _run(self, claim: Claim) -> None:
        try:
            outcome, screened = self._compute(claim)
        except StoreError as error:
            logger.warning("computation %s is put off: %s", claim.id[:12], error)
            self._persist(lambda: self._queue.postpone(claim))
            return
        end = self._persist(lambda: self._queue.finish(claim, outcome, worker=self.id))
        if end is End.LOST:
            logger.warning("computation %s was taken over by another worker", claim.id[:12])
        if end is End.UNWANTED:
            remove_or_leave(self._store, {claim.media_sha256, *outcome.blobs}, actor=f"worker:{self.id}")
        self.figures.count(outcome, screened)
        self._on_end(Ended(claim.id, outcome, screened))

    def _compute(self, claim: Claim) -> tuple[Outcome, Screened | None]:
        try:
            with self._store.blobs.as_file(claim.media_sha256, self._scratch) as path:
                screened = self._screen(claim, path)
            return self._keep(claim, screened), screened
        except DeepscreenError as error:
            if isinstance(error, StoreError) and not isinstance(error, BlobDamaged):
                raise
            failed = Outcome(State.FAILED, error_type=type(error).__name__, error_message=str(error))
            logger.info("not screened %s: %s", claim.media_sha256[:12], type(error).__name__)
            return failed, None
        except Exception:  # one file's failure is its own; the worker goes on
            logger.exception("computation %s failed", claim.id[:12])
            return Outcome(State.FAILED, error_type=INTERNAL_ERROR, error_message="see the log"), None

    def _screen(self, claim: Claim, path: Path) -> Screened:
        limits = self._desk.settings.limits
        intake = intake_of_hashed(path, claim.media_sha256, claim.media_bytes, limits=limits)
        screened = self._desk.screen(intake, on_progress=_ProgressLog(claim.media_sha256[:12]))
        media, stages = screened.screening.media, screened.stage_seconds
        took = " ".join(f"{name}={1000 * seconds:.0f}ms" for name, seconds in stages.items())
        logger.info("screened %s %s %s %s", media.sha256[:12], media.kind, screened.screening.overall.verdict, took)
        return screened

    def _keep(self, claim: Claim, screened: Screened) -> Outcome:
        record, thumbnail = screened.screening.canonical_json(), screened.thumbnail_jpeg
        contents = {
            sha256_of(c): c for c in (record, *screened.artefacts.values(), *([thumbnail] if thumbnail else ()))
        }
        if self._queue.reserve(claim, contents):
            self._store.blobs.put_all(contents)
        return Outcome(
            State.DONE,
            record_sha256=sha256_of(record),
            thumbnail_sha256=sha256_of(thumbnail) if thumbnail else None,
            kind=screened.screening.media.kind,
            verdict=screened.screening.overall.verdict,
            log10_lrs={
                modality: result.log10_lr
                for modality, result in screened.screening.modalities.items()
                if result.log10_lr is not None
            },
            blobs=frozenset(contents),
            stage_milliseconds={name: round(1000 * took, 1) for name, took in screened.stage_seconds.items()},
            fingerprints=screened.fingerprints,
        )

    def _persist(self, write: Callable[[], object]) -> object:
        """Writes, again and again while the store does not answer: a result that was computed is not thrown away."""
        while True:
            try:
                return write()
            except StoreError as error:
                logger.warning("the store does not take a result: %s", error)
                if self._stopping.wait(RETRY_SECONDS):
                    return None

    def _renew(self) -> None:
        self._queue.renew(
            self.id, self._method_digest, self._about, figures=self.figures.text(), is_candidate=self._is_candidate
        )

    def _tell_of_others(self) -> None:
        for load in method_loads(self._store.database):
            if load.queued and not load.live_workers and load.method_digest != self._method_digest:
                logger.warning(
                    "%d screenings wait for method %s, which no worker has; `deepscreen rescreen --waiting` moves them",
                    load.queued,
                    load.method_digest[:12],
                )

    def _keep_leases(self) -> None:
        # Also while the threads end what they have in hand.
        while not self._stopping.wait(self._desk.settings.worker_lease_seconds / 3) or any(
            thread.is_alive() for thread in self._threads
        ):
            try:
                self._renew()
                dead = self._queue.release_dead()
                if dead:
                    logger.warning("took back %d computations of workers that fell silent", len(dead))
                    self.wake()
            except StoreError as error:
                logger.warning("leases could not be renewed: %s", error)
            with suppress(OSError):
                self._store.scratch()  # what others left there is old by now, perhaps
            if self._stopping.is_set():
                self._threads[0].join(0.2)


class _ProgressLog:
    """Says once a minute how much of a long file's sound is read."""

    def __init__(self, name: str) -> None:
        self._name, self._last = name, time.monotonic()

    def __call__(self, share: float) -> None:
        now = time.monotonic()
        if now - self._last >= PROGRESS_SECONDS:
            self._last = now
            logger.info("screening %s: %.0f %% of its sound is read", self._name, 100 * share)


class _Hand:
    """What the threads of a worker hold at this moment."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held: set[str] = set()
        self.is_exclusive = False

    def take(self, claim: Claim) -> None:
        self.held.add(claim.token)
        self.is_exclusive = claim.is_alone

    def put_down(self, claim: Claim) -> None:
        with self.lock:
            self.held.discard(claim.token)
            self.is_exclusive = self.is_exclusive and not claim.is_alone
