"""A scan looks into containers: all within is accounted for, within limits, and nothing is done twice."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from container_factory import save_7z, save_docx, save_ewf, save_ext4, save_mail, save_pdf, save_tar, save_zip
from deepscreen.errors import ConfigError, DecodeTimeout
from deepscreen.media.containers.kinds import container_kind
from deepscreen.scanning.journal import Journal
from deepscreen.scanning.lists import RECORDS_NAME
from deepscreen.scanning.rows import Outcome, Reason, Row, error_row
from deepscreen.scanning.run import JOURNAL_NAME, UNPACKED_NAME, Progress, ScanOptions, scan
from deepscreen.scanning.summary import Summary
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings, UnpackLimits
from media_factory import picture, save_clip, save_picture, save_sound, tone

SAMPLES = Path(__file__).resolve().parents[2] / "sample_media"


@pytest.fixture(scope="module")
def desk() -> Iterator[ScreeningDesk]:
    desk = ScreeningDesk.with_fake_detectors(Settings(device="cpu"))
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def strict() -> Iterator[ScreeningDesk]:
    limits = UnpackLimits(max_depth=2, max_members=5, max_ratio=2)
    desk = ScreeningDesk.with_fake_detectors(Settings(device="cpu", unpack=limits))
    yield desk
    desk.close()


def jpeg(tmp_path: Path, number: int) -> bytes:
    return save_picture(tmp_path / "made.jpg", "JPEG", picture(64 + 8 * number, 48)).read_bytes()


def scanned(source: Path, out: Path, desk: ScreeningDesk) -> tuple[dict[str, Row], Summary]:
    rows: list[Row] = []
    summary = scan(source, out, desk=desk, options=ScanOptions(), progress=Progress(done=rows.append))
    assert len({row.way for row in rows}) == len(rows)
    return {row.way.decode(): row for row in rows}, summary


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one of each kind, the innermost picture three containers deep."""
    tmp, root = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("case")
    wav = save_sound(tmp / "t.wav", tone(1.0, 16_000), 16_000).read_bytes()
    inner = save_7z(tmp / "inner.7z", {"deep.jpg": jpeg(tmp, 0)}).read_bytes()
    mail = save_mail(tmp / "m.eml", {"inner.7z": inner, "letter.txt": b"no media"}).read_bytes()
    save_zip(root / "case.zip", {"photos/a.jpg": jpeg(tmp, 1), "mail.eml": mail, "../out.jpg": jpeg(tmp, 2)})
    save_tar(root / "calls.tar.gz", {"call.wav": wav, "copy of a.jpg": jpeg(tmp, 1)}, "gz", links={"l": "/etc/passwd"})
    save_docx(root / "report.docx", {"image1.jpeg": jpeg(tmp, 3)})
    save_pdf(root / "scan.pdf", jpeg(tmp, 4), 96, 48)
    save_ewf(root / "disk.E01", save_ext4(tmp / "v", {"DCIM/1.jpg": jpeg(tmp, 5)}, tmp).read_bytes())
    (root / "broken.zip").write_bytes((root / "case.zip").read_bytes()[:999])
    return root


def test_everything_within_is_found_and_accounted_for(case: Path, tmp_path: Path, desk: ScreeningDesk) -> None:
    rows, summary = scanned(case, tmp_path / "out", desk)
    screened = {way for way, row in rows.items() if row.outcome == Outcome.SCREENED}
    assert screened == {
        "case.zip!photos/a.jpg",
        "case.zip!mail.eml!part 2/inner.7z!deep.jpg",
        "calls.tar.gz!call.wav",
        "calls.tar.gz!copy of a.jpg",
        "report.docx!word/media/image1.jpeg",
        "scan.pdf!page 1/image 1.jpg",
        "disk.E01!DCIM/1.jpg",
    }
    failed = {way: row.error_type for way, row in rows.items() if row.outcome == Outcome.FAILED}
    assert failed == {
        "case.zip!../out.jpg": "UnsafeMember",
        "calls.tar.gz!l": "UnsafeMember",
        "broken.zip": "UndecodableMedia",
    }
    assert summary.reasons == {Reason.CONTAINER: 7, Reason.NO_MEDIA: 1, Reason.SEGMENT: 1}
    assert rows["case.zip!photos/a.jpg"].first_way == b"calls.tar.gz!copy of a.jpg"
    assert sum(summary.outcomes.values()) == summary.seen == len(rows)
    assert not (tmp_path / "out" / UNPACKED_NAME).exists()
    lines = (tmp_path / "out" / RECORDS_NAME).read_bytes().splitlines()
    assert sorted(rows) == sorted(json.loads(line)["path"] for line in lines)


def test_a_single_container_is_scanned_as_a_folder_is(case: Path, tmp_path: Path, desk: ScreeningDesk) -> None:
    rows, summary = scanned(case / "disk.E01", tmp_path / "out", desk)
    assert set(rows) == {"disk.E01", "disk.E01!DCIM/1.jpg"}
    assert summary.seen == 2


def test_a_single_picture_is_not_scanned(tmp_path: Path, desk: ScreeningDesk) -> None:
    with pytest.raises(ConfigError, match="to screen a single file"):
        scanned(save_picture(tmp_path / "a.png", "PNG"), tmp_path / "out", desk)


class Stopped(Exception):
    """What a test ends a scan with."""


def test_interrupted_within_a_container_it_goes_on_there(case: Path, tmp_path: Path, desk: ScreeningDesk) -> None:
    seen: list[bytes] = []
    while True:
        before = len(seen)

        def done(row: Row, before: int = before) -> None:
            seen.append(row.way)
            if len(seen) == before + 2:
                raise Stopped

        try:
            scan(case, tmp_path / "cut", desk=desk, options=ScanOptions(), progress=Progress(done=done))
        except Stopped:
            continue
        break
    assert len(seen) == len(set(seen))
    scanned(case, tmp_path / "whole", desk)
    for name in (RECORDS_NAME, "records.csv", "summary.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_copies_in_another_coding_are_one_group(tmp_path: Path, desk: ScreeningDesk) -> None:
    root = tmp_path / "in"
    root.mkdir()
    hopper = Image.open(SAMPLES / "bona_fide/portrait_hopper.jpg").convert("RGB")
    hopper.resize((300, 350)).save(root / "1.jpg", quality=60)
    hopper.save(root / "2.webp", quality=70)
    Image.open(SAMPLES / "bona_fide/portrait_collins.png").convert("RGB").save(root / "3.jpg")
    (root / "4.jpg").write_bytes((root / "1.jpg").read_bytes())
    for number, quality in ((5, "20"), (6, "34")):
        save_clip(root / f"{number}.mp4", image=hopper.resize((256, 300)), options={"crf": quality})
    _, summary = scanned(root, tmp_path / "out", desk)
    assert summary.seen == 6
    lines = [json.loads(line) for line in (tmp_path / "out" / RECORDS_NAME).read_bytes().splitlines()]
    groups = [line.get("similar_group") for line in lines]
    assert groups[0] == groups[1] == groups[3] is not None
    assert groups[2] is None
    assert groups[4] == groups[5] is not None
    assert groups[4] != groups[0]
    before = (tmp_path / "out" / RECORDS_NAME).read_bytes()
    for path in (tmp_path / "out").glob("scan.*"):  # as after kills between each record and the journal
        path.unlink()
    scanned(root, tmp_path / "out", desk)
    assert (tmp_path / "out" / RECORDS_NAME).read_bytes() == before


def test_members_of_one_name_are_all_found(tmp_path: Path, desk: ScreeningDesk) -> None:
    (tmp_path / "in").mkdir()
    save_tar(tmp_path / "in" / "a.tar", {"same.jpg": jpeg(tmp_path, 0)})
    with tarfile.open(tmp_path / "in" / "a.tar", "a") as archive:
        member, content = tarfile.TarInfo("same.jpg"), jpeg(tmp_path, 1)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    rows, _ = scanned(tmp_path / "in", tmp_path / "out", desk)
    assert set(rows) == {"a.tar", "a.tar!same.jpg", "a.tar!same.jpg#2"}


def test_too_many_members_too_deep_and_too_dense_are_refused(tmp_path: Path, strict: ScreeningDesk) -> None:
    root = tmp_path / "in"
    root.mkdir()
    save_tar(root / "many.tar", {str(k): b"x" for k in range(9)})
    deep = b"core"
    for _ in range(4):
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as archive:
            archive.writestr("in.zip", deep)
        deep = inner.getvalue()
    (root / "deep.zip").write_bytes(deep)
    save_zip(root / "bomb.zip", {"zeros": b"\0" * 80_000_000})
    rows, _ = scanned(root, tmp_path / "out", strict)
    assert {way: row.error_type for way, row in rows.items() if row.outcome == Outcome.FAILED} == {
        "many.tar": "UnpackRefused",
        "deep.zip!in.zip!in.zip": "UnpackRefused",
        "bomb.zip": "UnpackRefused",
        "bomb.zip!zeros": "UnpackRefused",
    }


def test_a_container_that_is_refused_where_it_lies_is_opened_elsewhere(tmp_path: Path, strict: ScreeningDesk) -> None:
    root = tmp_path / "in"
    root.mkdir()
    inner = save_zip(tmp_path / "x.zip", {"p.jpg": jpeg(tmp_path, 1)}).read_bytes()
    between = save_zip(tmp_path / "between.zip", {"x.zip": inner}).read_bytes()
    save_zip(root / "a.zip", {"in.zip": between})
    (root / "b.zip").write_bytes(inner)
    rows, _ = scanned(root, tmp_path / "out", strict)
    assert rows["a.zip!in.zip!x.zip"].error_type == "UnpackRefused"
    assert rows["b.zip!p.jpg"].outcome == Outcome.SCREENED


def test_what_came_out_before_an_interruption_counts(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    pictures = [save_picture(tmp_path / "p.bmp", "BMP", picture(640 + k, 480)).read_bytes() for k in range(5)]
    save_zip(root / "a.zip", {str(k): content for k, content in enumerate(pictures)})
    limits = UnpackLimits(max_bytes=4 * len(pictures[0]) - 1)
    assert (root / "a.zip").stat().st_size < limits.max_bytes
    desk = ScreeningDesk.with_fake_detectors(Settings(device="cpu", unpack=limits))
    rows, _ = scanned(root, tmp_path / "whole", desk)
    done: list[Row] = []

    def stop(row: Row) -> None:
        done.append(row)
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(root, tmp_path / "cut", desk=desk, options=ScanOptions(), progress=Progress(done=stop))
    scanned(root, tmp_path / "cut", desk)
    desk.close()
    assert rows["a.zip"].error_type == "UnpackRefused"
    assert (tmp_path / "cut" / "records.jsonl").read_bytes() == (tmp_path / "whole" / "records.jsonl").read_bytes()


def test_pictures_win_over_weak_signs_of_a_container(tmp_path: Path, desk: ScreeningDesk) -> None:
    """A picture that also passes for a disk must be screened as the picture that it is."""
    root = tmp_path / "in"
    root.mkdir()
    png = bytearray(save_picture(tmp_path / "a.png", "PNG", picture(200, 100)).read_bytes())
    text = bytearray(b"tEXtk\0" + b"x" * 1022)
    first = 33 + 4  # of the text, behind the header and the length
    text[446 - first : 510 - first] = struct.pack("<4xB3xII", 0x83, 1, 1) + b"\0" * 48
    text[510 - first : 512 - first] = b"\x55\xaa"
    png[33:33] = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    assert container_kind(bytes(png)) == "disk"
    (root / "both.png").write_bytes(png)
    rows, _ = scanned(root, tmp_path / "out", desk)
    assert rows["both.png"].kind == "image"


def test_what_may_have_passed_is_tried_again_also_within_containers(case: Path, tmp_path: Path) -> None:
    """A decoder that was too slow once: the next scan does those files again, and only those."""
    hasty = ScreeningDesk.with_fake_detectors(Settings(device="cpu"))
    out = tmp_path / "out"
    try:
        rows, _ = scanned(case, out, hasty)
        journal = Journal(out / JOURNAL_NAME)
        for way in ("case.zip!mail.eml!part 2/inner.7z!deep.jpg", "report.docx!word/media/image1.jpeg"):
            failed = error_row(way.encode(), way.partition("!")[0].encode(), DecodeTimeout("too slow"))
            journal.put([failed._replace(sha256=rows[way].sha256)])
        journal.close()
        again, summary = scanned(case, out, hasty)
    finally:
        hasty.close()
    assert set(again) == {
        "case.zip!mail.eml!part 2/inner.7z!deep.jpg",
        "case.zip!mail.eml!part 2/inner.7z",
        "case.zip!mail.eml",
        "case.zip",
        "report.docx!word/media/image1.jpeg",
        "report.docx",
    }
    assert summary.seen == len(rows)
    assert {way: again[way].outcome for way in again} == {way: rows[way].outcome for way in again}
