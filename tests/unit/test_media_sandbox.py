"""The sandbox: children are confined, end when they should, and nothing they say is trusted."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

import media_factory
from deepscreen.errors import DecoderCrashed, DecodeTimeout, UnreadableMedia
from deepscreen.findings.finding import finding
from deepscreen.media.intake import take_in
from deepscreen.media.samples import MediaFacts, SamplingPlan, StreamFacts
from deepscreen.media.sandbox import Decoder
from deepscreen.media.wire import MAX_MESSAGE_BYTES, FactsFound, Failed, Job, decode_job, decode_reply, encode
from deepscreen.settings import MIB, Limits

LIMITS = Limits()
PLAN = SamplingPlan((0.0, 0.2, 0.4, 0.6))


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(LIMITS) as decoder:
        yield decoder


def _descendants(pid: int) -> set[int]:
    """Living processes below *pid*."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    below = {pid}
    while more := {child for child, parent in parents.items() if parent in below} - below:
        below |= more
    return below - {pid}


def _decoders(pid: int) -> set[int]:
    """The server below *pid* and the children that it forked, without what shuts them in."""
    found = set()
    for below in _descendants(pid):
        with suppress(OSError):
            if Path(f"/proc/{below}/cmdline").read_bytes().startswith(os.fsencode(sys.executable) + b"\0-P\0"):
                found.add(below)
    return found


def _open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_a_finished_job_leaves_no_process_but_the_server(tmp_path: Path) -> None:
    before = _descendants(os.getpid())
    intake = take_in(media_factory.save_picture(tmp_path / "x", "PNG"), limits=LIMITS)
    with Decoder(LIMITS) as decoder:
        decoder.examine(intake)
        assert len(_decoders(os.getpid()) - before) == 1
    assert _wait_until(lambda: _descendants(os.getpid()) - before == set())


def test_a_generator_closed_early_leaves_no_process(tmp_path: Path, decoder: Decoder) -> None:
    intake = take_in(media_factory.save_clip(tmp_path / "x", sound=True), limits=LIMITS)
    decoder.examine(intake)
    before = _descendants(os.getpid())
    frames, blocks = decoder.frames(intake, PLAN), decoder.sound(intake, block_seconds=0.1)
    next(frames)
    next(blocks)
    assert len(_descendants(os.getpid()) - before) == 2
    frames.close()
    blocks.close()
    assert _descendants(os.getpid()) - before == set()


def test_descriptors_do_not_leak(tmp_path: Path, decoder: Decoder) -> None:
    intake = take_in(media_factory.save_clip(tmp_path / "x"), limits=LIMITS)

    def use() -> None:
        decoder.examine(intake)
        next(decoder.frames(intake, PLAN))
        list(decoder.frames(intake, PLAN))

    use()
    before = _open_descriptors()
    for _ in range(3):
        use()
    assert _open_descriptors() == before


def test_no_process_outlives_a_killed_program(tmp_path: Path) -> None:
    clip = media_factory.save_clip(tmp_path / "clip", seconds=1)
    script = f"""
import time
from pathlib import Path
from deepscreen.findings.finding import finding
from deepscreen.media.intake import take_in
from deepscreen.media.samples import SamplingPlan
from deepscreen.media.sandbox import Decoder
from deepscreen.settings import Limits
decoder = Decoder(Limits())
frames = decoder.frames(take_in(Path({str(clip)!r}), limits=Limits()), SamplingPlan((0.0, 0.5)))
next(frames)
print("ready", flush=True)
time.sleep(60)
"""
    # From standard input: such a program has no file that a child could import again.
    with subprocess.Popen([sys.executable, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(script)
        program.stdin.close()
        assert program.stdout.readline() == "ready\n"
        below = _descendants(program.pid)
        assert len(_decoders(program.pid)) == 2
        program.kill()
        program.wait(5)
    assert _wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))


def test_memory_beyond_the_limit_is_a_typed_error(tmp_path: Path) -> None:
    path = media_factory.save_picture(tmp_path / "x", "PNG", Image.new("L", (9_000, 9_000)), compress_level=1)
    with Decoder(Limits(decode_memory_bytes=400 * MIB)) as decoder, pytest.raises(DecoderCrashed, match="memory"):
        decoder.examine(take_in(path, limits=LIMITS))


def test_no_result_in_time_is_a_typed_error_and_kills_the_child(tmp_path: Path) -> None:
    intake = take_in(media_factory.save_picture(tmp_path / "x", "PNG"), limits=LIMITS)
    before = _descendants(os.getpid())
    with Decoder(Limits(decode_timeout_seconds=0.001)) as decoder:
        with pytest.raises(DecodeTimeout, match=r"within 0\.001 s"):
            decoder.examine(intake)
        assert _wait_until(lambda: len(_decoders(os.getpid()) - before) == 1)


def test_a_killed_child_is_a_typed_error_and_the_next_file_works(tmp_path: Path, decoder: Decoder) -> None:
    intake = take_in(media_factory.save_clip(tmp_path / "x"), limits=LIMITS)
    decoder.examine(intake)
    before = _descendants(os.getpid())
    frames = decoder.frames(intake, PLAN)
    next(frames)
    (child,) = _descendants(os.getpid()) - before
    os.kill(child, signal.SIGKILL)
    with pytest.raises(DecoderCrashed, match="died"):
        list(frames)
    assert decoder.examine(intake).facts.kind == "video"


def test_a_killed_server_is_replaced(tmp_path: Path) -> None:
    before = _descendants(os.getpid())
    intake = take_in(media_factory.save_picture(tmp_path / "x", "PNG"), limits=LIMITS)
    with Decoder(LIMITS) as decoder:
        decoder.examine(intake)
        (server,) = _decoders(os.getpid()) - before
        os.kill(server, signal.SIGKILL)
        assert _wait_until(lambda: not (_descendants(os.getpid()) - before))
        assert decoder.examine(intake).facts.kind == "image"


def test_a_closed_decoder_says_so(tmp_path: Path) -> None:
    decoder = Decoder(LIMITS)
    decoder.close()
    decoder.close()
    with pytest.raises(DecoderCrashed, match="closed"):
        decoder.examine(take_in(media_factory.save_picture(tmp_path / "x", "PNG"), limits=LIMITS))


def test_many_threads_share_one_decoder(tmp_path: Path, decoder: Decoder) -> None:
    intakes = [
        take_in(media_factory.save_picture(tmp_path / str(k), "PNG", Image.new("L", (10 + k, 10), k)), limits=LIMITS)
        for k in range(12)
    ]
    with ThreadPoolExecutor(6) as pool:
        found = [examined.still for examined in pool.map(decoder.examine, intakes)]
    assert [(still.width_px, int(still.pixels[0, 0, 0])) for still in found if still] == [
        (10 + k, k) for k in range(12)
    ]


def test_a_decoder_made_in_a_thread_outlives_it(tmp_path: Path) -> None:
    made: list[Decoder] = []
    thread = threading.Thread(target=lambda: made.append(Decoder(LIMITS)))
    thread.start()
    thread.join()
    with made[0] as decoder:
        intake = take_in(media_factory.save_picture(tmp_path / "x", "PNG"), limits=LIMITS)
        assert decoder.examine(intake).facts.container == "PNG"


def test_a_file_that_changed_since_it_was_hashed_is_refused(tmp_path: Path, decoder: Decoder) -> None:
    path = media_factory.save_picture(tmp_path / "x", "PNG")
    intake = take_in(path, limits=LIMITS)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(UnreadableMedia, match="changed"):
        decoder.examine(intake)


def test_pixels_may_be_kept_and_written_after_the_decoder_is_closed(tmp_path: Path) -> None:
    with Decoder(LIMITS) as decoder:
        intake = take_in(media_factory.save_picture(tmp_path / "x", "PNG"), limits=LIMITS)
        still = decoder.examine(intake).still
    assert still is not None
    still.pixels[0, 0] = 9  # torch.from_numpy warns about arrays that may not be written
    assert still.pixels[0, 0].tolist() == [9, 9, 9]


def test_confined_children_cannot_write_files_or_gain_memory(tmp_path: Path) -> None:
    script = f"""
import os, sys
from deepscreen.media.zygote import confine
from deepscreen.settings import Limits
done = os.dup(1)
confine(Limits(decode_memory_bytes={600 * MIB}))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
outcome = []
try:
    with open({str(tmp_path / "written")!r}, "wb", buffering=0) as file: file.write(b"x")
except OSError: outcome.append("no writing")
try: bytearray({600 * MIB})
except MemoryError: outcome.append("no memory")
try: [os.open("/dev/null", os.O_RDONLY) for _ in range(64)]
except OSError: outcome.append("no files")
os.write(done, ",".join(outcome).encode())
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=30)
    assert found.stdout == b"no writing,no memory,no files"


def test_the_server_inherits_no_secret_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    before = _descendants(os.getpid())
    with Decoder(LIMITS) as decoder:
        decoder.examine(take_in(media_factory.save_picture(tmp_path / "x", "PNG"), limits=LIMITS))
        (server,) = _decoders(os.getpid()) - before
        assert b"hunter2" not in Path(f"/proc/{server}/environ").read_bytes()


def test_messages_survive_the_way_both_ways() -> None:
    job = Job(operation="frames", limits=LIMITS, times_seconds=(0.5, 1.25))
    assert decode_job(encode(job)) == job
    streams = (StreamFacts("video", "h264", 64, 48, 90, 25.0, 25, True, 1.0, 1.5),)
    told = FactsFound(
        facts=MediaFacts("video", "avi", "video/x-msvideo", streams, (finding("animated", "ä\n", source="decoding"),))
    )
    assert decode_reply(encode(told)) == told


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x80\x04\x95pickle",
        b"[]",
        b'{"kind": "unheard"}',
        b'{"kind": "pixels", "height_px": 0, "width_px": 5}',
        b'{"kind": "pixels", "height_px": -1, "width_px": 5}',
        b'{"kind": "pixels", "height_px": "5", "width_px": 5}',
        b'{"kind": "pixels", "height_px": 5, "width_px": 5, "pts_seconds": NaN}',
        b'{"kind": "pixels", "height_px": 5, "width_px": 5, "extra": 1}',
        b'{"kind": "sound", "count": 1.5}',
        b'{"kind": "facts", "facts": {"kind": "image"}}',
        b'{"kind": "facts", "facts": {"kind": "spell", "container": "", "mime": "", "streams": []}}',
        b'{"kind": "facts", "facts": {"kind": "audio", "container": "", "mime": "", "streams": '
        b'[{"kind": "audio", "codec": "", "duration_seconds_measured": Infinity}]}}',
        json.dumps({"kind": "failed", "error": "X", "text": "x" * 501}).encode(),
        b"[" * 60_000,
    ],
)
def test_a_malformed_message_of_a_child_is_a_typed_error(packet: bytes) -> None:
    with pytest.raises(DecoderCrashed, match="malformed"):
        decode_reply(packet)


def test_a_child_cannot_choose_any_error_class() -> None:
    assert type(Failed(error="KeyboardInterrupt", text="x").as_error()) is DecoderCrashed
    assert type(Failed(error="UndecodableMedia", text="x").as_error()).__name__ == "UndecodableMedia"


def test_a_message_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(ValueError, match="at most"):
        encode(Failed(error="x" * MAX_MESSAGE_BYTES, text=""))


@pytest.mark.parametrize(
    "reply",
    [
        {"kind": "pixels", "height_px": 100_000, "width_px": 100_000},
        {"kind": "sound", "count": 10},
        {"kind": "facts", "facts": {"kind": "image", "container": "", "mime": "", "streams": []}},
        {"kind": "written"},
    ],
)
def test_a_child_that_offers_what_was_not_asked_for_is_stopped(reply: dict[str, object]) -> None:
    from deepscreen.media.conversation import Child  # the seam where a hostile child speaks

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, Decoder(LIMITS) as decoder:
        theirs.sendall(json.dumps(reply).encode())
        child = Child(ours, 1.0)
        with pytest.raises(DecoderCrashed, match="stopped"):
            decoder._pixels(child, child.next_offer())  # type: ignore[arg-type]
        child.close()
