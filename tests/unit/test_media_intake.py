"""Taking a file in: regular files of any name are hashed and left alone; everything else is refused with the reason."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from deepscreen.errors import EmptyMedia, MediaTooLarge, UnreadableMedia
from deepscreen.media.intake import intake_of_hashed, open_taken, take_in
from deepscreen.settings import Limits

LIMITS = Limits(max_bytes=3_000_000)
NAMES = ["plain.bin", "with space", "new\nline", "-rf", "umlaut-ä", os.fsdecode(b"latin1-\xe4\xff"), "..."]


@pytest.mark.parametrize("name", NAMES)
def test_take_in_hashes_whatever_the_name_is(tmp_path: Path, name: str) -> None:
    data = os.urandom(2_500_000)  # more than two pieces
    path = tmp_path / name
    path.write_bytes(data)
    intake = take_in(path, limits=LIMITS)
    assert (intake.sha256, intake.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))


def test_take_in_leaves_bytes_and_mtime_alone(tmp_path: Path) -> None:
    path = tmp_path / "evidence"
    path.write_bytes(b"x" * 1000)
    path.chmod(0o444)
    os.utime(path, ns=(10**18, 10**18))
    take_in(path, limits=LIMITS)
    assert path.read_bytes() == b"x" * 1000
    assert path.stat().st_mtime_ns == 10**18


def test_take_in_refuses_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(EmptyMedia):
        take_in(tmp_path / "empty", limits=LIMITS)


def test_take_in_refuses_more_bytes_than_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(3_000_001)
    with pytest.raises(MediaTooLarge, match="3000001 bytes; at most 3000000"):
        take_in(tmp_path / "sparse", limits=LIMITS)


def test_take_in_refuses_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia, match="No such file"):
        take_in(tmp_path / "gone", limits=LIMITS)
    with pytest.raises(UnreadableMedia, match="a directory"):
        take_in(tmp_path, limits=LIMITS)


@pytest.mark.timeout(5)
def test_take_in_refuses_a_fifo_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableMedia, match="a FIFO"):
        take_in(tmp_path / "pipe", limits=LIMITS)


def test_take_in_refuses_devices_sockets_and_impossible_names(tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia, match="character device"):
        take_in(Path("/dev/null"), limits=LIMITS)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        with pytest.raises(UnreadableMedia, match="socket"):
            take_in(tmp_path / "s", limits=LIMITS)
    with pytest.raises(UnreadableMedia, match="no file can have this name"):
        take_in(tmp_path / "nul\0byte", limits=LIMITS)


def test_take_in_refuses_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"x")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user (root) may read every file")
    with pytest.raises(UnreadableMedia, match="Permission denied"):
        take_in(path, limits=LIMITS)


def test_take_in_reports_a_file_that_cannot_be_read_after_opening() -> None:
    # Reading a process's memory at offset 0 fails with EIO for any user, root included; its size is given as 0.
    with pytest.raises((UnreadableMedia, EmptyMedia)):
        take_in(Path("/proc/self/mem"), limits=LIMITS)


def test_intake_of_hashed_checks_size_and_limit(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"12345")
    assert intake_of_hashed(path, "a" * 64, 5, limits=LIMITS).sha256 == "a" * 64
    with pytest.raises(UnreadableMedia, match="changed"):
        intake_of_hashed(path, "a" * 64, 4, limits=LIMITS)
    with pytest.raises(MediaTooLarge):
        intake_of_hashed(path, "a" * 64, 5, limits=Limits(max_bytes=4))


def test_open_taken_refuses_a_file_that_grew_since_it_was_hashed(tmp_path: Path) -> None:
    path = tmp_path / "grows"
    path.write_bytes(b"1")
    intake = take_in(path, limits=LIMITS)
    path.write_bytes(b"12")
    with pytest.raises(UnreadableMedia, match="2 bytes now, 1 bytes when hashed"):
        open_taken(intake)
