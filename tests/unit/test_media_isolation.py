"""Who takes a decoder over reaches neither the network nor files, programs or processes, as far as /info says so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deepscreen.media import isolation as module
from deepscreen.media import sandbox
from deepscreen.media.intake import take_in
from deepscreen.media.isolation import Isolation, isolation
from deepscreen.media.sandbox import Decoder
from deepscreen.media.seccomp import can_filter
from deepscreen.settings import Limits
from media_factory import save_clip, save_picture

needs_filter = pytest.mark.skipif(not can_filter(), reason="this kernel or processor has no system call filter")
CONFINED = """
import ctypes, os, socket, subprocess, threading
from deepscreen.media.zygote import confine
from deepscreen.settings import Limits
pair, parent = socket.socketpair(), os.getppid()
confine(Limits())
"""


def confined(program: str, *prefix: str) -> subprocess.CompletedProcess[bytes]:
    """Runs *program* as a decoder would after it was taken over; it says what it has to say by its exit status."""
    return subprocess.run(
        [*prefix, sys.executable, "-c", CONFINED + program], capture_output=True, timeout=120, check=False
    )


@needs_filter
@pytest.mark.parametrize(
    "act",
    [
        "socket.socket()",
        "socket.socketpair()",
        "pair[0].connect('/tmp/x')",
        "os.execv('/bin/true', ['true'])",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.fork()",
        "os.kill(parent, 0)",
        "os.pidfd_open(parent)",
    ],
)
def test_filter_refuses_what_reaches_out(act: str) -> None:
    program = f"try: {act}\nexcept PermissionError: os._exit(7)\nos._exit(0)"
    assert confined(program).returncode == 7


@needs_filter
def test_filter_lets_a_decoder_do_its_work() -> None:
    program = """
pair[0].sendall(b'x'); assert pair[1].recv(1) == b'x'
thread = threading.Thread(target=os.getpid); thread.start(); thread.join()
memory = os.memfd_create('x'); assert len(os.listdir('/')) > 0
os._exit(7)
"""
    assert confined(program).returncode == 7


@pytest.mark.skipif(isolation().kind == "limits", reason="this machine allows no namespaces; /info says so")
def test_there_is_no_network_to_reach() -> None:
    program = "[line] = open('/proc/net/dev').readlines()[2:]; os._exit(7 if line.split()[0] == 'lo:' else 1)"
    assert confined(program, *isolation().prefix).returncode == 7


@pytest.mark.skipif(isolation().kind != "bubblewrap", reason="bubblewrap is not there; /info says so")
def test_files_of_the_user_are_not_there(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    evidence.write_text("of another case")
    # The home folder is not there unless Python itself lies in it, and then nothing else of it is.
    program = f"os._exit(1 if os.path.exists({str(evidence)!r}) or os.path.exists('/etc/passwd') else 7)"
    assert confined(program, *isolation().prefix).returncode == 7
    write = f"try: open({str(Path(sys.prefix) / 'x')!r}, 'w')\nexcept OSError: os._exit(7)\nos._exit(1)"
    assert confined(write, *isolation().prefix).returncode == 7


def test_strongest_isolation_that_works_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*working: str) -> str:
        monkeypatch.setattr(module, "_works", lambda prefix: bool(prefix) and Path(prefix[0]).name in working)
        return module.isolation.__wrapped__().kind

    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert found("bwrap", "unshare") == "bubblewrap"
    assert found("unshare") == "namespaces"
    assert found() == "limits"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert found("bwrap", "unshare") == "limits"


@pytest.mark.parametrize("kind", ["bubblewrap", "namespaces", "limits"])
def test_each_isolation_decodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str) -> None:
    prefix = {"bubblewrap": module._bubblewrap, "namespaces": module._unshare, "limits": tuple}[kind]()
    if kind != "limits" and not module._works(prefix):
        pytest.skip(f"{kind} does not work here")
    monkeypatch.setattr(sandbox, "isolation", lambda: Isolation(kind, True, prefix))  # type: ignore[arg-type]
    picture, clip = save_picture(tmp_path / "a.png", "PNG"), save_clip(tmp_path / "b.mp4", sound=True)
    with Decoder(Limits()) as decoder:
        assert decoder.examine(take_in(picture, limits=Limits())).still is not None
        assert sum(len(w.samples) for w in decoder.sound(take_in(clip, limits=Limits()))) > 1000
