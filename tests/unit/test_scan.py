"""A scan accounts for every file, touches none, and writes only where it may."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepscreen.errors import ConfigError
from deepscreen.kept import RECORD_NAME
from deepscreen.scan import CSV_NAME, EVIDENCE_NAME, INDEX_NAME, RECORDS_NAME, ScannedFile, list_files, scan
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings
from media_factory import picture, save_clip, save_picture, save_sound, tone

ODD_NAMES = [
    b"with space.png",
    b"new\nline.png",
    b"not \xff utf-8.png",
    b"-rf.png",
    b'tab\t"quote",.png',
    "umlaut \u00e4.png".encode(),
]


@pytest.fixture(scope="module")
def desk() -> Iterator[ScreeningDesk]:
    desk = ScreeningDesk.with_fake_detectors(Settings(device="cpu"))
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good, bad and oddly named files, in folders below folders, two of one content, two of one stem."""
    root = tmp_path_factory.mktemp("case")
    (root / "a" / "deep").mkdir(parents=True)
    save_picture(root / "a" / "same.png", "PNG")
    save_picture(root / "a" / "same.jpg", "JPEG")
    (root / "a" / "deep" / "copy of same.bin").write_bytes((root / "a" / "same.png").read_bytes())
    save_clip(root / "clip.mp4", sound=True)
    save_sound(root / "tone.wav", tone(1.0, 16_000), 16_000)
    (root / "empty.jpg").touch()
    (root / "text.png").write_text("not a picture")
    (root / "cut.png").write_bytes((root / "a" / "same.png").read_bytes()[:60])
    (root / "gone").symlink_to(root / "nowhere")
    os.mkfifo(root / "pipe.mp4")
    for number, name in enumerate(ODD_NAMES):
        save_picture(root / "picture", "PNG", picture(96, 64 + 2 * number)).rename(root / os.fsdecode(name))
    return root


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("result") / "out"


def states(folder: Path) -> dict[str, tuple[int, int, str]]:
    """What a scan could change of each file: mode, time of change, content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (facts.st_mode, facts.st_mtime_ns, content)
    return found


@pytest.fixture(scope="module")
def scanned(folder: Path, out: Path, desk: ScreeningDesk) -> list[ScannedFile]:
    before = states(folder)
    told: list[ScannedFile] = []
    result = scan(folder, out, desk=desk, on_file=told.append)
    assert told == result
    assert states(folder) == before
    return result


@pytest.fixture(scope="module")
def envelopes(scanned: list[ScannedFile], out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / RECORDS_NAME).read_bytes().splitlines()]


def raw_path(envelope: dict) -> bytes:
    encoded = envelope.get("path_bytes_b64")
    return base64.b64decode(encoded) if encoded else envelope["path"].encode()


def test_every_file_is_accounted_for_once(envelopes: list[dict], folder: Path) -> None:
    root = os.fsencode(folder)
    there = [(base + b"/" + n).removeprefix(root + b"/") for base, _, names in os.walk(root) for n in names]
    assert [raw_path(e) for e in envelopes] == sorted(there)
    assert all(("screening" in e) != ("error" in e) for e in envelopes)


def test_failures_name_their_kind(envelopes: list[dict]) -> None:
    errors = {e["path"]: e["error"]["type"] for e in envelopes if "error" in e}
    assert errors == {
        "cut.png": "UndecodableMedia",
        "empty.jpg": "EmptyMedia",
        "gone": "UnreadableMedia",
        "pipe.mp4": "UnreadableMedia",
        "text.png": "UnsupportedMedia",
    }


def test_odd_names_are_kept_byte_for_byte(envelopes: list[dict]) -> None:
    screened = {raw_path(e) for e in envelopes if "screening" in e}
    assert set(ODD_NAMES) <= screened
    assert [e["path"] for e in envelopes if "path_bytes_b64" in e] == ["not \ufffd utf-8.png"]


def test_same_content_gives_the_same_record_under_both_names(envelopes: list[dict]) -> None:
    records = {e["path"]: e["screening"] for e in envelopes if "screening" in e}
    assert records["a/same.png"] == records["a/deep/copy of same.bin"]
    assert records["a/same.png"] != records["a/same.jpg"]


def test_evidence_lies_where_the_record_says_with_the_hash_it_says(envelopes: list[dict], out: Path) -> None:
    checked = 0
    for envelope in envelopes:
        for result in envelope.get("screening", {}).get("modalities", {}).values():
            for entry in result["evidence"]:
                path = out / EVIDENCE_NAME / envelope["screening"]["media"]["sha256"] / entry["name"]
                assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
                checked += 1
    assert checked > 5


def test_table_has_every_file(scanned: list[ScannedFile], out: Path) -> None:
    with (out / CSV_NAME).open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    assert len({row["path"] for row in rows}) == len(scanned)
    assert not any(row["path"].startswith(("=", "+", "@")) for row in rows)


def test_index_names_every_failure_and_loads_nothing_from_elsewhere(scanned: list[ScannedFile], out: Path) -> None:
    page = (out / INDEX_NAME).read_text(encoding="utf-8")
    assert all(type(item.error).__name__ in page for item in scanned if item.error)
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script src" not in page


def test_second_scan_gives_the_same_bytes(
    scanned: list[ScannedFile], folder: Path, out: Path, tmp_path: Path, desk: ScreeningDesk
) -> None:
    scan(folder, tmp_path / "again", desk=desk, on_file=lambda _: None)
    assert (tmp_path / "again" / RECORDS_NAME).read_bytes() == (out / RECORDS_NAME).read_bytes()


def small_folder(tmp_path: Path, folder: Path) -> Path:
    """Two pictures: one content under two names."""
    small = tmp_path / "in"
    small.mkdir()
    for name in ("one.png", "two.png"):
        shutil.copyfile(folder / "a" / "same.png", small / name)
    return small


def test_same_content_is_screened_once(tmp_path: Path, folder: Path, desk: ScreeningDesk) -> None:
    scanned = scan(small_folder(tmp_path, folder), tmp_path / "out", desk=desk, on_file=lambda _: None)
    assert [item.was_kept for item in scanned] == [False, True]


def test_a_scan_into_its_own_results_keeps_them_and_changes_no_byte(
    tmp_path: Path, folder: Path, desk: ScreeningDesk
) -> None:
    small, out = small_folder(tmp_path, folder), tmp_path / "out"
    scan(small, out, desk=desk, on_file=lambda _: None)
    before = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    again = scan(small, out, desk=desk, on_file=lambda _: None)
    assert all(item.was_kept for item in again)
    assert {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()} == before


@pytest.mark.parametrize("loss", ["no record", "half a record", "changed picture"])
def test_what_is_not_whole_is_screened_again(tmp_path: Path, folder: Path, desk: ScreeningDesk, loss: str) -> None:
    small, out = small_folder(tmp_path, folder), tmp_path / "out"
    first = scan(small, out, desk=desk, on_file=lambda _: None)
    record = next(out.rglob(RECORD_NAME))
    whole = record.read_bytes()
    if loss == "no record":
        record.unlink()
    elif loss == "half a record":
        record.write_bytes(whole[: len(whole) // 2])
    else:
        next(record.parent.glob("*.png")).write_bytes(b"other")
    again = scan(small, out, desk=desk, on_file=lambda _: None)
    assert [item.was_kept for item in again] == [False, True]
    assert [item.screening for item in again] == [item.screening for item in first]
    assert record.read_bytes() == whole


def test_results_of_another_method_are_not_mixed_in(tmp_path: Path, folder: Path, desk: ScreeningDesk) -> None:
    small, out = small_folder(tmp_path, folder), tmp_path / "out"
    scan(small, out, desk=desk, on_file=lambda _: None)
    record = next(out.rglob(RECORD_NAME))
    record.write_bytes(record.read_bytes().replace(desk.provenance.method_digest.encode(), b"0" * 64))
    listed = (out / RECORDS_NAME).read_bytes()
    with pytest.raises(ConfigError, match="another method"):
        scan(small, out, desk=desk, on_file=lambda _: None)
    assert (out / RECORDS_NAME).read_bytes() == listed


def test_a_list_of_files_that_are_gone_is_not_overwritten(tmp_path: Path, folder: Path, desk: ScreeningDesk) -> None:
    small, out = small_folder(tmp_path, folder), tmp_path / "out"
    scan(small, out, desk=desk, on_file=lambda _: None)
    listed = (out / RECORDS_NAME).read_bytes()
    (small / "one.png").unlink()
    with pytest.raises(ConfigError, match=r"lists 1 files that are not in the folder \(such as one.png\)"):
        scan(small, out, desk=desk, on_file=lambda _: None)
    assert (out / RECORDS_NAME).read_bytes() == listed


@pytest.mark.parametrize("inside", [".", "results", "a/deep/results", "a/../results"])
def test_results_within_the_scanned_folder_are_refused(folder: Path, inside: str, desk: ScreeningDesk) -> None:
    with pytest.raises(ConfigError, match="lies inside the scanned folder"):
        scan(folder, folder / inside, desk=desk, on_file=lambda _: None)
    assert not (folder / "results").exists()


def test_link_into_the_scanned_folder_is_refused_too(folder: Path, tmp_path: Path, desk: ScreeningDesk) -> None:
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(ConfigError, match="lies inside the scanned folder"):
        scan(folder, tmp_path / "link" / "results", desk=desk, on_file=lambda _: None)


def test_linked_folders_are_not_followed_but_accounted_for(tmp_path: Path) -> None:
    """A link may lead out of the case, or round in a circle; that it is there must still be seen."""
    (tmp_path / "circle").symlink_to(tmp_path)
    assert list_files(tmp_path) == [Path("circle")]


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_what_is_no_folder_is_refused(tmp_path: Path, kind: str) -> None:
    if kind == "file":
        (tmp_path / kind).touch()
    with pytest.raises(ConfigError, match="not a folder"):
        list_files(tmp_path / kind)


def test_empty_folder_gives_empty_results(tmp_path: Path, desk: ScreeningDesk) -> None:
    (tmp_path / "in").mkdir()
    assert scan(tmp_path / "in", tmp_path / "out", desk=desk, on_file=lambda _: None) == []
    assert (tmp_path / "out" / RECORDS_NAME).read_bytes() == b""
    assert (tmp_path / "out" / INDEX_NAME).exists()
