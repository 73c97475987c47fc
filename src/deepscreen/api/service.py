"""What the routes work with: store, queue, doorkeeper and, where this process screens too, its worker."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from starlette.requests import Request

from deepscreen.api.admission import Admission, ClientGone
from deepscreen.api.auth import Doorkeeper
from deepscreen.api.data_folder import UploadFolder
from deepscreen.api.endings import Endings
from deepscreen.api.http_errors import IdempotencyKeyReused, NoSuchResult, NotReady
from deepscreen.api.identity import TokenReader
from deepscreen.api.looked import Looked
from deepscreen.api.previews import Previews
from deepscreen.api.resumable import PartialUpload, ResumableUploads
from deepscreen.api.room import Room
from deepscreen.api.uploads import receive_upload
from deepscreen.api.webhook_delivery import WebhookDelivery
from deepscreen.api.webhook_sender import WebhookSender
from deepscreen.engine.about import MethodInfo, method_info
from deepscreen.engine.worker import Ended, Worker
from deepscreen.errors import StoreError
from deepscreen.register.book import Register
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings
from deepscreen.store import audit, screenings
from deepscreen.store.audit import Signer
from deepscreen.store.authority import Authority, read_roots
from deepscreen.store.cases import Cases
from deepscreen.store.computations import Queue, State
from deepscreen.store.keys import Caller, KeyRing
from deepscreen.store.retention import clean
from deepscreen.store.screenings import Item, KeyReused, NotThere, Screenings
from deepscreen.store.sessions import Sessions
from deepscreen.store.store import Store
from deepscreen.store.timestamps import pending, stamp_pending
from deepscreen.store.usage import UsageCounter
from deepscreen.store.webhooks import Webhooks

logger = logging.getLogger(__name__)

DeskFactory = Callable[[Settings], ScreeningDesk]
LOOK_SECONDS = 0.25  # how often a waiting request looks whether a worker elsewhere has ended its screening
EVENT_SECONDS = 1.0  # how often a client of events hears something, and a worker elsewhere is looked after
CHECKPOINT_SECONDS = 60.0
CLEARING_SECONDS = 300.0
HOUR_SECONDS = 3600.0
CLEAN_EVERY_MINUTES = 60


class Service:
    """One running service. With a *desk_factory* it screens itself; loading begins at once, in a thread of its own."""

    def __init__(self, settings: Settings, store: Store, desk_factory: DeskFactory | None) -> None:
        self.settings, self.store = settings, store
        self.sessions = Sessions(store.database, lifetime_seconds=settings.session_hours * HOUR_SECONDS)
        self.doorkeeper = Doorkeeper(
            KeyRing(store.database),
            self.sessions,
            TokenReader.of(settings),
            requests_per_minute=settings.requests_per_minute,
        )
        places = settings.max_concurrent + settings.max_waiting
        self.admission = Admission(max_places=places, max_concurrent=settings.max_concurrent)
        self.queue = Queue(
            store.database,
            lease_seconds=settings.worker_lease_seconds,
            max_deaths_alone=settings.max_deaths_alone,
        )
        self.screenings = Screenings(store, self.queue)
        self.cases = Cases(store.database)
        self.register = Register(store.database)
        self.webhooks = Webhooks(store.database, store.blobs.sealer)
        self.webhook_sender = WebhookSender(settings)
        self.webhook_delivery = WebhookDelivery(self.webhooks, self.screenings, self.webhook_sender)
        self.signer: Signer = store.signer()
        self._authority = _authority(settings)
        self._uploads = UploadFolder(store.data_dir)
        self.scratch = self._uploads.path
        self.resumable = ResumableUploads(
            store.data_dir, lifetime_seconds=settings.upload_lifetime_hours * HOUR_SECONDS
        )
        self.room = Room(store, self.resumable)
        self.usage = UsageCounter(store, retention_days=settings.retention_days)
        self.previews = Previews(store.blobs, settings.limits, scratch=self.scratch)
        self.looked = Looked()
        self._endings = Endings()
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="desk-loader")
        self._loading = None if desk_factory is None else self._loader.submit(self._load, desk_factory)

    def method(self) -> MethodInfo:
        """By what screenings are made here; raises NotReady until that is known, or what kept it from being loaded."""
        if self._loading is not None:
            return method_info(self._loaded(self._loading)[0])
        row = self.queue.latest_worker()
        if row is None:
            raise NotReady("no worker has ever signed on to this database; start `deepscreen worker`")
        return MethodInfo.model_validate(row.about)

    async def submit(self, request: Request, caller: Caller, *, case_id: str | None, key: str | None) -> Item:
        """Takes the upload in and has it queued; raises before a byte of the body is read where it cannot be.

        Raises NotReady, Overloaded, StorageFull, NoSuchResult (no such case), MediaError and RequestError about the
        upload, ClientDisconnect.
        """
        limits = self.settings.limits
        size_bytes = min(int(request.headers.get("content-length", "0")), limits.max_bytes)  # more is refused at once
        method_digest = await asyncio.to_thread(self._ready_for, size_bytes)
        path = self._uploads.new_path()
        try:
            with self.room.promise(size_bytes) as promise:
                upload = await receive_upload(request, path, limits=limits, promise=promise)
            intake = upload.intake
            asked = screenings.Request(intake.sha256, intake.size_bytes, upload.filename, case_id, key)
            return await asyncio.to_thread(self._create, caller, asked, method_digest, path)
        finally:
            path.unlink(missing_ok=True)

    def submit_resumed(self, upload: PartialUpload, caller: Caller) -> PartialUpload:
        """Has a whole resumable upload queued, once however often this is asked, and gives it with its screening."""
        method_digest = self.method().method_digest
        sha256, key = self.resumable.sha256(upload), f"upload-{upload.id}"
        asked = screenings.Request(sha256, upload.length_bytes, upload.filename, upload.case_id, key)
        item = self._create(caller, asked, method_digest, self.resumable.path_of(upload))
        return self.resumable.hand_over(upload, item.id)

    def _ready_for(self, size_bytes: int) -> str:
        """Digest of the method that new files are queued for; raises NotReady, Overloaded, StorageFull."""
        method_digest = self.method().method_digest
        self.check_queue()
        self.room.check(size_bytes)
        return method_digest

    def check_queue(self) -> None:
        """Raises Overloaded where as many screenings wait as may wait."""
        waiting, _ = self.queue.depth()
        self.admission.check_queue(waiting, most=self.settings.max_queued)

    def check_case(self, case_id: str | None, caller: Caller) -> None:
        """Raises NoSuchResult where the caller has no open case of this id."""
        try:
            is_open = case_id is None or self.cases.get(case_id, caller).closed_at is None
        except NotThere:
            is_open = False
        if not is_open:
            raise NoSuchResult("there is no open case with this id")

    async def wait_for_end(self, item: Item, caller: Caller, request: Request, *, seconds: float) -> Item:
        """*item* when it has ended, or as it is after *seconds*; raises ClientGone when the client leaves before."""
        deadline = asyncio.get_running_loop().time() + seconds
        gone = asyncio.ensure_future(_client_gone(request))
        try:
            with self._endings.watch(item.computation_id) as ended:
                self.wake()
                while True:
                    item = await asyncio.to_thread(self.get, item.id, caller)
                    left_seconds = deadline - asyncio.get_running_loop().time()
                    if item.state not in {State.QUEUED, State.RUNNING} or left_seconds <= 0:
                        return item
                    await _first(ended, gone, seconds=min(left_seconds, LOOK_SECONDS))
                    ended.clear()
                    if gone.done():
                        raise ClientGone
        finally:
            gone.cancel()

    async def next_state(self, item: Item, caller: Caller) -> Item:
        """*item* when it has ended, or as it stands a while later."""
        with self._endings.watch(item.computation_id) as ended:
            now = await asyncio.to_thread(self.get, item.id, caller)
            if now.state is not item.state:
                return now
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), EVENT_SECONDS)
        return await asyncio.to_thread(self.get, item.id, caller)

    def get(self, screening_id: str, caller: Caller) -> Item:
        """One screening; raises NoSuchResult where the caller has none of this id."""
        try:
            return self.screenings.get(screening_id, caller)
        except NotThere:
            raise NoSuchResult("there is no screening with this id on this service") from None

    def get_done(self, screening_id: str, caller: Caller) -> Item:
        """A screening that has a record; raises NoSuchResult for any other."""
        item = self.get(screening_id, caller)
        if item.record_sha256 is None:
            raise NoSuchResult(f"this screening is {item.state}: it has no record")
        return item

    def log(self, caller: Caller, act: str, item: Item, **details: audit.Detail) -> None:
        """Every view and download of evidence is an entry."""
        with self.store.database.write() as connection:
            audit.append(self.store.database, connection, actor=caller.id, act=act, subject=item.id, details=details)

    def wake(self) -> None:
        """Has the worker of this process look for work at once."""
        if (worker := self._own_worker()) is not None:
            worker.wake()

    def figures_of_workers(self) -> Iterable[str]:
        """What every living worker measured, each in Prometheus' text format; that of this process as of now."""
        figures = self.queue.figures()
        if (worker := self._own_worker()) is not None:
            figures[worker.id] = worker.figures.text()
        return figures.values()

    def _own_worker(self) -> Worker | None:
        if self._loading is None or not self._loading.done() or self._loading.exception() is not None:
            return None
        return self._loading.result()[1]

    async def keep_house(self) -> None:
        """Signs the audit log every minute and cleans up every hour, until it is cancelled."""
        minutes = 0
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            minutes += 1
            chores = [self._checkpoint, self._stamp]
            if minutes % CLEAN_EVERY_MINUTES == 0:
                chores.append(self._clean)
            for chore in chores:
                try:
                    await asyncio.to_thread(chore)
                except Exception:  # the log is signed all the same, a minute later
                    logger.exception("housekeeping goes on after an error that nobody foresaw")

    async def remove_expired(self) -> None:
        """Removes abandoned uploads, and ends an idle decoder, now and then, until it is cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.previews.rest)
                await asyncio.to_thread(self.resumable.remove_expired)
            except OSError as error:
                logger.warning("abandoned uploads could not be removed: %s", error)
            await asyncio.sleep(CLEARING_SECONDS)

    def close(self) -> None:
        """Lets running screenings end, signs the audit log, and closes the desk."""
        self._loader.shutdown(wait=True)
        if self._loading is not None and self._loading.exception() is None:
            desk, worker = self._loading.result()
            worker.stop()
            desk.close()
        self.previews.close()
        self._checkpoint()

    def _checkpoint(self) -> None:
        try:
            self.signer.checkpoint(self.store.database)
        except StoreError as error:
            logger.warning("the audit log could not be signed: %s", error)

    def pending_stamps(self) -> int | None:
        """How many checkpoints wait for the time-stamping authority; None where there is none."""
        if self._authority is None:
            return None
        return len(pending(self.store, every_minutes=self.settings.timestamp_minutes))

    def _stamp(self) -> None:
        if self._authority is None:
            return
        try:
            stamp_pending(self.store, self._authority, every_minutes=self.settings.timestamp_minutes)
        except StoreError as error:
            logger.warning("the audit log could not be stamped, and will be later: %s", error)

    def _clean(self) -> None:
        try:
            certificates, swept = clean(self.store, self.screenings, retention_days=self.settings.retention_days)
            self.webhooks.prune()
        except StoreError as error:
            logger.warning("old screenings and blobs could not be cleaned up: %s", error)
            return
        if certificates or swept:
            logger.info("cleaned up: %d screenings by the retention policy, %d blobs", len(certificates), swept)

    def _create(self, caller: Caller, asked: screenings.Request, method_digest: str, original: Path) -> Item:
        try:
            item, is_new = self.screenings.create(caller, asked, method_digest=method_digest, original=original)
        except NotThere:
            raise NoSuchResult("there is no open case with this id") from None
        except KeyReused:
            raise IdempotencyKeyReused("this Idempotency-Key was used for another file or case") from None
        if is_new:
            self.wake()
        return item

    def _load(self, desk_factory: DeskFactory) -> tuple[ScreeningDesk, Worker]:
        try:
            desk = desk_factory(self.settings)
            info = method_info(desk)
            worker = Worker(
                self.store,
                desk,
                self.queue,
                about=info.model_dump(mode="json"),
                worker_id=_own_worker_id(self.store),
                on_end=self._on_end,
            )
            worker.start()
        except BaseException as error:
            logger.error("the detectors could not be loaded: %s: %s", type(error).__name__, error)
            raise
        logger.info("ready: method %s", info.method_digest[:12])
        return desk, worker

    def _loaded(self, loading: Future[tuple[ScreeningDesk, Worker]]) -> tuple[ScreeningDesk, Worker]:
        if not loading.done():
            raise NotReady("the detectors are still being loaded; ask /readyz and come back")
        error = loading.exception()
        if error is not None:
            raise error.with_traceback(None)
        return loading.result()

    def _on_end(self, ended: Ended) -> None:
        if ended.screened is not None:
            self.admission.took(sum(ended.screened.stage_seconds.values()))
        self._endings.tell(ended.computation_id)


def _authority(settings: Settings) -> Authority | None:
    if settings.timestamp_url is None or settings.timestamp_ca_file is None:
        return None
    return Authority(settings.timestamp_url, read_roots(settings.timestamp_ca_file))


def _own_worker_id(store: Store) -> str:
    """The same at every start: the lock on the data folder proves that the worker before it is dead."""
    folder = hashlib.sha256(str(store.data_dir.resolve()).encode()).hexdigest()[:8]
    return f"{socket.gethostname()[:60]}-serve-{folder}"


async def _first(ended: asyncio.Event, gone: asyncio.Future[None], *, seconds: float) -> None:
    """Returns when either is so, or after *seconds*."""
    waiting = asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait((waiting, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


async def _client_gone(request: Request) -> None:
    """Returns when the client has left; to be used after the body was read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
