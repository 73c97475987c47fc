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

import pyarrow.parquet
import pytest

from deepscreen.errors import ConfigError
from deepscreen.kept import FINGERPRINT_NAME, RECORD_NAME
from deepscreen.scanning.listing import Shard, entries, shard_of
from deepscreen.scanning.lists import CSV_NAME, EVIDENCE_NAME, INDEX_NAME, RECORDS_NAME, SUMMARY_NAME
from deepscreen.scanning.rows import Outcome, Row
from deepscreen.scanning.run import Progress, ScanOptions, scan
from deepscreen.scanning.summary import Summary
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Limits, Settings
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


def scanned_rows(source: Path, out: Path, desk: ScreeningDesk, **options: object) -> tuple[list[Row], Summary]:
    """What a scan told of, in its order, and its summary."""
    told: list[Row] = []
    summary = scan(source, out, desk=desk, options=ScanOptions(**options), progress=Progress(done=told.append))
    return told, summary


@pytest.fixture(scope="module")
def scanned(folder: Path, out: Path, desk: ScreeningDesk) -> list[Row]:
    before = states(folder)
    told, summary = scanned_rows(folder, out, desk)
    assert states(folder) == before
    assert summary.seen == len(told)
    return told


@pytest.fixture(scope="module")
def envelopes(scanned: list[Row], out: Path) -> list[dict]:
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


def test_table_has_every_file(scanned: list[Row], out: Path) -> None:
    with (out / CSV_NAME).open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    assert len({row["path"] for row in rows}) == len(scanned)
    assert not any(row["path"].startswith(("=", "+", "@")) for row in rows)


def test_gallery_names_every_file_and_loads_nothing_from_elsewhere(scanned: list[Row], out: Path) -> None:
    page = (out / INDEX_NAME).read_text(encoding="utf-8")
    assert "//" not in page.replace("http://www.w3.org", "").replace("// ", "")
    data = "".join(path.read_text() for path in (out / "triage").glob("*.js"))
    rows = json.loads(data.removeprefix("deepscreenItems(").removesuffix(");\n"))
    assert len(rows) == len(scanned)
    assert {row[2].partition(":")[0] for row in rows if row[1] == "failed"} == {"UndecodableMedia", "UnreadableMedia"}


def test_every_screened_content_has_a_page_beside_its_pictures(scanned: list[Row], out: Path) -> None:
    contents = {row.sha256 for row in scanned if row.has_record}
    assert contents
    for sha256 in contents:
        page = (out / EVIDENCE_NAME / str(sha256) / INDEX_NAME).read_text(encoding="utf-8")
        assert str(sha256) in page
        assert f"{EVIDENCE_NAME}/" not in page


def test_counts_add_up(scanned: list[Row], folder: Path, out: Path) -> None:
    told = json.loads((out / SUMMARY_NAME).read_text())
    there = sum(1 for path in folder.rglob("*") if not path.is_dir())
    assert told["files_seen"] == there == len(scanned)
    assert told["screened"] + told["not_screened"] + told["failed"] + told["known"] == there
    assert (told["failed"], told["not_screened_because"]) == (3, {"no_media": 2})
    assert told["same_content_as_another"] == 2


def test_second_scan_gives_the_same_bytes(
    scanned: list[Row], folder: Path, out: Path, tmp_path: Path, desk: ScreeningDesk
) -> None:
    scanned_rows(folder, tmp_path / "again", desk)
    for name in (RECORDS_NAME, CSV_NAME, SUMMARY_NAME, INDEX_NAME):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()


def small_folder(tmp_path: Path, folder: Path) -> Path:
    """Two pictures: one content under two names."""
    small = tmp_path / "in"
    small.mkdir()
    for name in ("one.png", "two.png"):
        shutil.copyfile(folder / "a" / "same.png", small / name)
    return small


def results_of(out: Path) -> dict[Path, bytes]:
    """All that a scan gives; its own journal is none of it."""
    return {p: p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file() and not p.name.startswith("scan.")}


def test_same_content_is_screened_once(tmp_path: Path, folder: Path, desk: ScreeningDesk) -> None:
    told, summary = scanned_rows(small_folder(tmp_path, folder), tmp_path / "out", desk)
    assert [row.first_way for row in told] == [None, b"one.png"]
    assert (summary.seen, summary.repeats, summary.outcomes[Outcome.SCREENED]) == (2, 1, 2)


def test_a_scan_into_its_own_results_keeps_them_and_changes_no_byte(
    tmp_path: Path, folder: Path, desk: ScreeningDesk
) -> None:
    small, out = small_folder(tmp_path, folder), tmp_path / "out"
    scanned_rows(small, out, desk)
    before = results_of(out)
    told, summary = scanned_rows(small, out, desk)
    assert told == []
    assert summary.seen == 2
    assert results_of(out) == before


@pytest.mark.parametrize(
    "loss",
    ["no record", "half a record", "changed picture", "no fingerprint", "half a fingerprint", "empty fingerprint"],
)
def test_what_is_not_whole_is_screened_again(tmp_path: Path, folder: Path, desk: ScreeningDesk, loss: str) -> None:
    small, out = small_folder(tmp_path, folder), tmp_path / "out"
    scanned_rows(small, out, desk)
    before = results_of(out)
    record = next(out.rglob(RECORD_NAME))
    whole = record.read_bytes()
    if loss == "no record":
        record.unlink()
    elif loss == "half a record":
        record.write_bytes(whole[: len(whole) // 2])
    elif loss.endswith("fingerprint"):
        fingerprint = record.parent / FINGERPRINT_NAME
        content = fingerprint.read_bytes()
        fingerprint.write_bytes(content[: len(content) // 2] if loss.startswith("half") else b"")
        if loss.startswith("no"):
            fingerprint.unlink()
    else:
        next(record.parent.glob("*.png")).write_bytes(b"other")
    told, _ = scanned_rows(small, out, desk)
    assert [row.way for row in told] == [b"one.png", b"two.png"]
    assert results_of(out) == before


def test_results_without_a_journal_are_kept(tmp_path: Path, folder: Path, desk: ScreeningDesk) -> None:
    """As after a kill between the two: the record is there, the journal does not know."""
    small, out = small_folder(tmp_path, folder), tmp_path / "out"
    scanned_rows(small, out, desk)
    before = results_of(out)
    record = next(out.rglob(RECORD_NAME))
    made = record.stat().st_mtime_ns
    for path in out.glob("scan.*"):
        path.unlink()
    scanned_rows(small, out, desk)
    assert results_of(out) == before
    assert record.stat().st_mtime_ns == made


def test_changed_file_is_screened_again(tmp_path: Path, folder: Path, desk: ScreeningDesk) -> None:
    small, out = small_folder(tmp_path, folder), tmp_path / "out"
    scanned_rows(small, out, desk)
    save_picture(small / "one.png", "PNG", picture(32, 32))
    told, summary = scanned_rows(small, out, desk)
    assert [row.way for row in told] == [b"one.png", b"two.png"]
    assert (summary.seen, summary.repeats) == (2, 0)


def test_results_of_another_method_are_not_mixed_in(tmp_path: Path, folder: Path, desk: ScreeningDesk) -> None:
    small, out = small_folder(tmp_path, folder), tmp_path / "out"
    scanned_rows(small, out, desk)
    before = results_of(out)
    other = ScreeningDesk.with_fake_detectors(Settings(device="cpu", limits=Limits(max_faces=3)))
    try:
        with pytest.raises(ConfigError, match="another method"):
            scanned_rows(small, out, other)
    finally:
        other.close()
    assert results_of(out) == before


def test_a_list_of_files_that_are_gone_is_not_overwritten(tmp_path: Path, folder: Path, desk: ScreeningDesk) -> None:
    small, out = small_folder(tmp_path, folder), tmp_path / "out"
    scanned_rows(small, out, desk)
    before = results_of(out)
    (small / "one.png").unlink()
    with pytest.raises(ConfigError, match=r"lists 1 files that are not in the folder \(such as one.png\)"):
        scanned_rows(small, out, desk)
    assert results_of(out) == before


@pytest.mark.parametrize("inside", [".", "results", "a/deep/results", "a/../results"])
def test_results_within_the_scanned_folder_are_refused(folder: Path, inside: str, desk: ScreeningDesk) -> None:
    with pytest.raises(ConfigError, match="lies inside the scanned folder"):
        scanned_rows(folder, folder / inside, desk)
    assert not (folder / "results").exists()


def test_link_into_the_scanned_folder_is_refused_too(folder: Path, tmp_path: Path, desk: ScreeningDesk) -> None:
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(ConfigError, match="lies inside the scanned folder"):
        scanned_rows(folder, tmp_path / "link" / "results", desk)


def test_linked_folders_are_not_followed_but_accounted_for(tmp_path: Path) -> None:
    """A link may lead out of the case, or round in a circle; that it is there must still be seen."""
    (tmp_path / "circle").symlink_to(tmp_path)
    assert [entry.way for entry in entries(tmp_path)] == [b"circle"]


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_what_is_no_folder_is_refused(tmp_path: Path, kind: str, desk: ScreeningDesk) -> None:
    if kind == "file":
        (tmp_path / kind).touch()
    with pytest.raises(ConfigError, match="not a folder"):
        scanned_rows(tmp_path / kind, tmp_path / "out", desk)


def test_empty_folder_gives_empty_results(tmp_path: Path, desk: ScreeningDesk) -> None:
    (tmp_path / "in").mkdir()
    told, summary = scanned_rows(tmp_path / "in", tmp_path / "out", desk)
    assert (told, summary.seen) == ([], 0)
    assert (tmp_path / "out" / RECORDS_NAME).read_bytes() == b""
    assert (tmp_path / "out" / INDEX_NAME).exists()


def test_two_scans_do_not_write_into_one_folder(tmp_path: Path, folder: Path, desk: ScreeningDesk) -> None:
    small, out = small_folder(tmp_path, folder), tmp_path / "out"
    seconds: list[str] = []

    def another(_: Row) -> None:
        with pytest.raises(ConfigError, match="another scan writes there"):
            scanned_rows(small, out, desk)
        seconds.append("refused")

    scan(small, out, desk=desk, options=ScanOptions(), progress=Progress(done=another))
    assert seconds == ["refused", "refused"]


def test_shards_share_a_folder_and_miss_nothing(tmp_path: Path, folder: Path, desk: ScreeningDesk) -> None:
    shards = [
        {row.way for row in scanned_rows(folder, tmp_path / str(n), desk, shard=Shard(n, 3))[0]} for n in (1, 2, 3)
    ]
    assert sum(map(len, shards)) == len(set().union(*shards)) == sum(1 for p in folder.rglob("*") if not p.is_dir())
    with pytest.raises(ConfigError, match="another shard"):
        scanned_rows(folder, tmp_path / "1", desk, shard=Shard(2, 3))


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"])
def test_shards_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="want NUMBER/OF"):
        shard_of(text)


def test_watched_folder_is_looked_at_again(tmp_path: Path, folder: Path, desk: ScreeningDesk) -> None:
    small, out = small_folder(tmp_path, folder), tmp_path / "out"
    for path in small.iterdir():
        os.utime(path, (1e9, 1e9))
    seen: list[int] = []

    def waiting(summary: Summary) -> bool:
        seen.append(summary.seen)
        if len(seen) == 1:
            os.utime(save_picture(small / "three.png", "PNG", picture(30, 20)), (1e9, 1e9))
            save_picture(small / "still written.png", "PNG", picture(20, 20))
            os.utime(small / "still written.png")
            (small / "one.png").unlink()
        return len(seen) < 2

    options, progress = ScanOptions(watch_seconds=0.01), Progress(waiting=waiting)
    summary = scan(small, out, desk=desk, options=options, progress=progress)
    assert seen == [2, 3]
    assert summary.seen == 3
    assert len((out / RECORDS_NAME).read_bytes().splitlines()) == 3


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
@pytest.mark.parametrize("action", ["skip", "flag"])
def test_known_files_are_skipped_or_flagged(
    tmp_path: Path, folder: Path, desk: ScreeningDesk, algorithm: str, action: str
) -> None:
    small = small_folder(tmp_path, folder)
    save_picture(small / "unknown.png", "PNG", picture(30, 20))
    digest = hashlib.new(algorithm, (small / "one.png").read_bytes()).hexdigest().upper()
    listed = tmp_path / "list.txt"
    listed.write_text(f'"SHA-1","MD5","FileName"\n"{"0" * 40}","{digest}","one.png"\n')
    _, summary = scanned_rows(small, tmp_path / "out", desk, known=listed, known_action=action)
    known = summary.outcomes[Outcome.KNOWN]
    assert (known, summary.on_known_list, summary.seen) == (2 if action == "skip" else 0, 2, 3)
    lines = [json.loads(line) for line in (tmp_path / "out" / RECORDS_NAME).read_bytes().splitlines()]
    assert [("screening" in line, line.get("known", False)) for line in lines] == [
        (action == "flag", True),
        (action == "flag", True),
        (True, False),
    ]


def test_list_without_a_hash_is_refused(tmp_path: Path, folder: Path, desk: ScreeningDesk) -> None:
    (tmp_path / "list.txt").write_text("nothing here\n")
    with pytest.raises(ConfigError, match="names no sha256"):
        scanned_rows(small_folder(tmp_path, folder), tmp_path / "out", desk, known=tmp_path / "list.txt")


def test_parquet_has_the_rows_of_the_table(tmp_path: Path, folder: Path, desk: ScreeningDesk) -> None:
    out = tmp_path / "out"
    scanned_rows(folder, out, desk, with_parquet=True)
    table = pyarrow.parquet.read_table(out / "records.parquet").to_pylist()
    with (out / CSV_NAME).open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["path"] for row in table] == [row["path"] for row in rows]
    assert [row["log10_lr"] for row in table] == [float(r["log10_lr"]) if r["log10_lr"] else None for r in rows]
