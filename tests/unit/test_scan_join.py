"""Shards of a scan that are joined are what one scan of all would have given, byte for byte."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_factory import save_zip
from deepscreen.errors import BlobDamaged, ConfigError
from deepscreen.kept import RECORD_NAME
from deepscreen.scanning.join import join
from deepscreen.scanning.listing import Shard
from deepscreen.scanning.lists import EVIDENCE_NAME
from deepscreen.scanning.run import JOURNAL_NAME, LOCK_NAME, Progress, ScanOptions, scan
from deepscreen.scanning.summary import Summary
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings
from media_factory import picture, save_picture

SHARDS = 3
ARCHIVES = [f"{number}.zip" for number in range(4)]


@pytest.fixture(scope="module")
def desk() -> Iterator[ScreeningDesk]:
    desk = ScreeningDesk.with_fake_detectors(Settings(device="cpu"))
    yield desk
    desk.close()


def scanned(source: Path, out: Path, desk: ScreeningDesk, **options: object) -> Summary:
    return scan(source, out, desk=desk, options=ScanOptions(**options), progress=Progress())


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, most of them there several times; an archive that is there four times; a damaged file, twice."""
    root = tmp_path_factory.mktemp("case")
    pictures = [save_picture(root / f"p{n}.png", "PNG", picture(40 + n, 30)).read_bytes() for n in range(4)]
    for number in range(12):
        (root / f"{number:02}").write_bytes(pictures[number % 3])
    for name in ARCHIVES:
        save_zip(root / name, {"a.png": pictures[0], "b.png": pictures[3], "text": b"none"})
    save_zip(root / "other.zip", {"a.png": pictures[1], "in.zip": (root / "1.zip").read_bytes()})
    for name in ("cut", "cut as well"):
        (root / name).write_bytes(pictures[0][:60])
    return root


@pytest.fixture(scope="module")
def shards(case: Path, tmp_path_factory: pytest.TempPathFactory, desk: ScreeningDesk) -> list[Path]:
    outs = [tmp_path_factory.mktemp("shards") / str(n) for n in range(1, SHARDS + 1)]
    for number, out in enumerate(outs, 1):
        scanned(case, out, desk, shard=Shard(number, SHARDS))
    return outs


def of_shard(path: Path) -> int:
    return next(n for n in range(1, SHARDS + 1) if Shard(n, SHARDS).has(path.name.encode()))


def results(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and not path.name.startswith((JOURNAL_NAME, LOCK_NAME))
    }


def test_joined_shards_are_what_one_scan_gives(
    case: Path, shards: list[Path], tmp_path: Path, desk: ScreeningDesk
) -> None:
    before = [results(shard) for shard in shards]
    whole = scanned(case, tmp_path / "whole", desk, with_parquet=True)
    joined = join([*reversed(shards)], tmp_path / "joined", with_parquet=True)
    assert joined == whole
    assert results(tmp_path / "joined") == results(tmp_path / "whole")
    assert len({of_shard(case / name) for name in ARCHIVES}) > 1  # the archive lies in more shards than one
    assert [results(shard) for shard in shards] == before
    # And it goes on from there: nothing is done again.
    told: list[object] = []
    scan(case, tmp_path / "joined", desk=desk, options=ScanOptions(), progress=Progress(done=told.append))
    assert told == []


def test_what_is_no_whole_set_of_shards_is_refused(
    case: Path, shards: list[Path], tmp_path: Path, desk: ScreeningDesk
) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match=r"want every shard of one scan, 1/3 to 3/3.*got 1/3, 3/3"):
        join([shards[0], shards[2]], out, with_parquet=False)
    scanned(case, tmp_path / "unsplit", desk)
    with pytest.raises(ConfigError, match="is no shard"):
        join([tmp_path / "unsplit"], out, with_parquet=False)
    with pytest.raises(ConfigError, match="is not empty"):
        join(shards, tmp_path / "unsplit", with_parquet=False)
    with pytest.raises(ConfigError, match="no results of a scan that has ended"):
        join([*shards[:2], tmp_path], out, with_parquet=False)
    other = ScreeningDesk.with_fake_detectors(Settings(device="cpu", limits={"max_faces": 3}))
    scanned(case, tmp_path / "another method", other, shard=Shard(3, SHARDS))
    other.close()
    with pytest.raises(ConfigError, match="another method"):
        join([*shards[:2], tmp_path / "another method"], out, with_parquet=False)
    assert not out.exists()


def test_two_folders_that_list_one_file_are_refused(case: Path, tmp_path: Path, desk: ScreeningDesk) -> None:
    """Shards of two folders that have a file of one name."""
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(case, elsewhere)
    outs = [tmp_path / "1", tmp_path / "2"]
    scanned(case, outs[0], desk, shard=Shard(1, 2))
    taken = next(path for path in case.iterdir() if Shard(1, 2).has(path.name.encode()))
    for path in elsewhere.iterdir():
        path.unlink()
    save_picture(elsewhere / "p.png", "PNG")
    scanned(elsewhere, outs[1], desk, shard=Shard(2, 2))
    with sqlite3.connect(outs[1] / JOURNAL_NAME) as database:
        database.execute("INSERT INTO files (way, outcome, reason) VALUES (?, 'failed', '')", [taken.name.encode()])
    with pytest.raises(ConfigError, match="lists files that another"):
        join(outs, tmp_path / "out", with_parquet=False)


def test_a_result_that_is_not_whole_is_not_joined(shards: list[Path], tmp_path: Path) -> None:
    copies = [tmp_path / str(number) for number in range(SHARDS)]
    for shard, copy in zip(shards, copies, strict=True):
        shutil.copytree(shard, copy)
    for copy in copies:
        next((copy / EVIDENCE_NAME).glob(f"*/{RECORD_NAME}")).write_bytes(b"{}")
    with pytest.raises(BlobDamaged, match="is not whole"):
        join(copies, tmp_path / "out", with_parquet=False)


def of_shard_of_two(number: int, pattern: str) -> str:
    """A name that falls into shard *number* of two; *pattern* puts the count into it."""
    return next(name for n in range(100) if Shard(number, 2).has((name := pattern.format(n)).encode()))


@pytest.mark.parametrize("salt", range(4))
def test_copies_of_a_member_name_a_file_that_is_listed(tmp_path: Path, desk: ScreeningDesk, salt: int) -> None:
    """Whichever of container and member has the smaller sha256."""
    case = tmp_path / "case"
    case.mkdir()
    content = save_picture(tmp_path / "p.png", "PNG", picture(30 + salt, 30)).read_bytes()
    save_zip(case / of_shard_of_two(1, "a{:02}.zip"), {"p.png": content, "salt": bytes([salt])})
    (case / of_shard_of_two(2, "b{:02}.zip")).write_bytes(next(case.iterdir()).read_bytes())
    (case / of_shard_of_two(2, "c{:02}.png")).write_bytes(content)
    outs = [tmp_path / "1", tmp_path / "2"]
    for number, out in enumerate(outs, 1):
        scanned(case, out, desk, shard=Shard(number, 2))
    scanned(case, tmp_path / "whole", desk)
    join(outs, tmp_path / "joined", with_parquet=False)
    assert results(tmp_path / "joined") == results(tmp_path / "whole")


def test_what_failed_in_one_shard_has_the_result_of_another(tmp_path: Path, desk: ScreeningDesk) -> None:
    case = tmp_path / "case"
    case.mkdir()
    names = [of_shard_of_two(1, "a{:02}"), of_shard_of_two(1, "b{:02}"), of_shard_of_two(2, "c{:02}")]
    for name in names:
        save_picture(case / name, "PNG")
    outs = [tmp_path / "1", tmp_path / "2"]
    for number, out in enumerate(outs, 1):
        scanned(case, out, desk, shard=Shard(number, 2))
    with sqlite3.connect(outs[0] / JOURNAL_NAME) as database:  # as if the decoder had been too slow there
        database.execute("UPDATE files SET outcome = 'failed', error_type = 'DecodeTimeout', verdict = NULL")
    summary = join(outs, tmp_path / "joined", with_parquet=False)
    assert (summary.seen, summary.failed) == (3, 0)
    with sqlite3.connect(tmp_path / "joined" / JOURNAL_NAME) as database:
        ways = database.execute("SELECT way, first_way FROM files ORDER BY way").fetchall()
    one, two, three = (name.encode() for name in names)
    assert ways == [(one, three), (two, three), (three, None)]
