"""Nothing that a file may hold ends in a crash or a made-up score; the same bytes give the same record by every way in.

Intake, decoding, faces, judgement, evidence and reports are real. Only the networks are ``FakeDetector``s, which score
whatever is decoded; what real detectors refuse to score is asked of the shipped ones at the end.
"""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from deepscreen.api.app import create_app
from deepscreen.errors import MediaError
from deepscreen.kept import KeptResults
from deepscreen.media.intake import take_in
from deepscreen.record import Screening, Verdict
from deepscreen.scanning.lists import RECORDS_NAME
from deepscreen.scanning.run import Progress, ScanOptions, scan
from deepscreen.scanning.single import scan_file
from deepscreen.screening import ScreeningDesk, screen
from deepscreen.settings import Settings
from media_factory import (
    CLIP_FORMATS,
    PICTURE_FORMATS,
    SOUND_FORMATS,
    picture,
    save_animation,
    save_clip,
    save_encoded_sound,
    save_picture,
    save_png_header_bomb,
    save_sound,
    tone,
)

MEDIA = Path(__file__).parents[2] / "sample_media"
CUTS = tuple(k / 11 for k in range(1, 11))
READY_WITHIN_SECONDS = 60.0
NOBODY = 65_534
SETTINGS = Settings(device="cpu")
Maker = Callable[[Path], object]


@pytest.fixture(scope="module")
def desk() -> Iterator[ScreeningDesk]:
    desk = ScreeningDesk.with_fake_detectors(SETTINGS)
    yield desk
    desk.close()


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inside.png", "x" * 1000)


def text(path: Path) -> None:
    path.write_text("This is a letter.\n" * 50)


def pdf(path: Path) -> None:
    path.write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n")


def playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n")


def vector_picture(path: Path) -> None:
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>')


REFUSED: dict[str, tuple[Maker, set[str]]] = {
    "nothing.jpg": (Path.touch, {"EmptyMedia"}),
    "text.png": (text, {"UnsupportedMedia"}),
    "document.mp4": (pdf, {"UnsupportedMedia"}),
    "archive.wav": (zipped, {"UnsupportedMedia"}),
    "playlist.mp4": (playlist, {"UnsupportedMedia"}),
    "vector.png": (vector_picture, {"UnsupportedMedia"}),
    "bomb.png": (save_png_header_bomb, {"MediaTooLarge"}),
    "folder.png": (Path.mkdir, {"UnreadableMedia"}),
    "pipe.mp4": (os.mkfifo, {"UnreadableMedia"}),
    "gone.jpg": (lambda path: None, {"UnreadableMedia"}),
    "circle.jpg": (lambda path: path.symlink_to(path), {"UnreadableMedia"}),
    "header.png": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), {"UndecodableMedia"}),
    "header.jpg": (lambda path: path.write_bytes(b"\xff\xd8\xff\xe0"), {"UndecodableMedia", "UnsupportedMedia"}),
    "header.wav": (lambda path: path.write_bytes(b"RIFF\x00\x00\x00\x00WAVE"), {"UndecodableMedia"}),
    "zeros.mp4": (lambda path: path.write_bytes(bytes(5000)), {"UnsupportedMedia"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_media_is_refused_with_a_typed_error(desk: ScreeningDesk, tmp_path: Path, name: str) -> None:
    make, kinds = REFUSED[name]
    make(tmp_path / name)
    with pytest.raises(MediaError) as caught:
        screen(tmp_path / name, desk=desk)
    assert type(caught.value).__name__ in kinds
    assert len(str(caught.value)) > 10
    assert str(tmp_path) not in str(caught.value)


def test_file_without_permission_is_refused(desk: ScreeningDesk, tmp_path: Path) -> None:
    save_picture(tmp_path / "locked.png", "PNG").chmod(0)
    with nobody():
        item = scan_file(tmp_path, Path("locked.png"), desk, None)
    assert type(item.error).__name__ == "UnreadableMedia"
    assert "Permission denied" in str(item.error)


@contextmanager
def nobody() -> Iterator[None]:
    """Lays down the rights of root, who may read everything."""
    own = os.geteuid()
    if own == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(own)


def assert_whole(record: Screening) -> None:
    """A record that makes nothing up: finite, valid, and a verdict that fits what was scored."""
    assert Screening.model_validate_json(record.canonical_json()) == record
    for result in record.modalities.values():
        assert bool(result.readings) == (result.verdict is not Verdict.NOT_SCREENED)
        assert result.readings or result.not_scored
        assert result.readings or result.authenticity_score is None


ODD_PICTURES: dict[str, tuple[int, int]] = {
    "one pixel": (1, 1),
    "strip": (4000, 3),
    "column": (2, 5000),
    "long strip": (30_000, 1),
    "small": (47, 47),
}


@pytest.mark.parametrize("name", ODD_PICTURES)
def test_pictures_of_odd_sizes_are_screened(desk: ScreeningDesk, tmp_path: Path, name: str) -> None:
    path = save_picture(tmp_path / name, "PNG", Image.new("RGB", ODD_PICTURES[name], (90, 120, 60)))
    assert_whole(screen(path, desk=desk, evidence_dir=tmp_path / "evidence"))


def sound_of(seconds: float, rate_hz: int, channels: int = 1) -> Maker:
    return lambda path: save_sound(path, tone(seconds, rate_hz, channels), rate_hz)


ODD_MEDIA: dict[str, Maker] = {
    "clip without sound": lambda path: save_clip(path),
    "one frame": lambda path: save_clip(path, times_ms=[0]),
    "0.2 s": sound_of(0.2, 16_000),
    "one sample": lambda path: save_sound(path, tone(0.1, 16_000)[:1], 16_000),
    "telephone": sound_of(2.0, 8_000),
    "six channels": sound_of(1.0, 48_000, 6),
    "silence": lambda path: save_sound(path, np.zeros((16_000, 1), np.float32), 16_000),
    "not a number": lambda path: save_sound(path, np.full((16_000, 1), np.nan, np.float32), 16_000, subtype="FLOAT"),
    "animated": lambda path: save_animation(path, "GIF", [100, 200, 50]),
}


@pytest.mark.parametrize("name", ODD_MEDIA)
def test_odd_clips_and_sounds_give_a_record_or_a_typed_error(desk: ScreeningDesk, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    ODD_MEDIA[name](path.with_suffix(".mp4") if "clip" in name or "frame" in name else path.with_suffix(".wav"))
    (source,) = tmp_path.iterdir()
    item = scan_file(tmp_path, Path(source.name), desk, KeptResults(tmp_path / "evidence", desk.provenance))
    if item.screening is None:
        assert type(item.error).__name__ in {"UndecodableMedia", "UnsupportedMedia"}
    else:
        assert_whole(item.screening)


def test_clip_without_sound_says_so(desk: ScreeningDesk, tmp_path: Path) -> None:
    record = screen(save_clip(tmp_path / "clip.mp4"), desk=desk)
    assert record.modalities["audio"].verdict is Verdict.NOT_SCREENED
    assert [u.absence.value for u in record.modalities["audio"].not_scored] == ["no_audio_track"]


def whole_files(folder: Path) -> dict[str, Path]:
    """One small file of every format, under names that say nothing."""
    made: dict[str, Path] = {}
    for number, format_name in enumerate(PICTURE_FORMATS):
        made[format_name] = save_picture(folder / f"p{number}", format_name, picture(160, 120))
    for number, muxer in enumerate(CLIP_FORMATS):
        made[muxer] = save_clip(folder / f"c{number}", muxer, sound=True, seconds=0.6)
    for number, muxer in enumerate(SOUND_FORMATS):
        made[muxer] = save_encoded_sound(folder / f"s{number}", muxer)
    made["wav"] = save_sound(folder / "w", tone(0.5, 16_000), 16_000)
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return whole_files(tmp_path_factory.mktemp("whole"))


FORMATS = [*PICTURE_FORMATS, *CLIP_FORMATS, *SOUND_FORMATS, "wav"]


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_format_is_screened_whatever_its_name(
    desk: ScreeningDesk, whole: dict[str, Path], format_name: str, tmp_path: Path
) -> None:
    wrong = tmp_path / "holiday.pdf"
    wrong.write_bytes(whole[format_name].read_bytes())
    record = screen(wrong, desk=desk)
    assert_whole(record)
    assert record.overall.verdict is not Verdict.NOT_SCREENED
    assert record == screen(whole[format_name], desk=desk)


@pytest.mark.parametrize("format_name", FORMATS)
def test_files_cut_at_ten_places_give_a_typed_error_or_a_record(
    desk: ScreeningDesk, whole: dict[str, Path], format_name: str, tmp_path: Path
) -> None:
    content, path = whole[format_name].read_bytes(), tmp_path / "cut"
    whole_record = screen(whole[format_name], desk=desk)
    for share in CUTS:
        path.write_bytes(content[: round(share * len(content))])
        item = scan_file(tmp_path, Path("cut"), desk, None)
        if item.screening is None:
            assert type(item.error).__name__ in {"UndecodableMedia", "UnsupportedMedia"}
        else:
            assert_whole(item.screening)
            assert item.screening.media.sha256 != whole_record.media.sha256


def test_desk_still_works_after_all_this(desk: ScreeningDesk, tmp_path: Path) -> None:
    """A decoder that died of one file must not take the next with it."""
    noise = np.random.default_rng(0).bytes(3000)
    for header in (b"\xff\xd8\xff\xe0\x00\x10JFIF", b"\x00\x00\x00\x18ftypmp42", b"OggS", b"fLaC", b"\x1aE\xdf\xa3"):
        (tmp_path / "noise").write_bytes(header + noise)
        assert scan_file(tmp_path, Path("noise"), desk, None).error is not None
    assert_whole(screen(save_picture(tmp_path / "good.png", "PNG"), desk=desk))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = SETTINGS.model_copy(update={"data_dir": tmp_path_factory.mktemp("service") / "data"})
    app = create_app(settings, ScreeningDesk.with_fake_detectors)
    with TestClient(app, base_url="http://localhost") as client:
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while client.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield client


@pytest.mark.parametrize("format_name", ["JPEG", "HEIF", "GIF", "mp4", "webm", "flac", "wav"])
def test_library_scan_and_service_give_the_same_bytes(
    desk: ScreeningDesk, client: TestClient, whole: dict[str, Path], format_name: str, tmp_path: Path
) -> None:
    content = whole[format_name].read_bytes()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a b.bin").write_bytes(content)

    library = desk.screen(take_in(whole[format_name], limits=SETTINGS.limits)).screening.canonical_json()
    scan(tmp_path / "in", tmp_path / "out", desk=desk, options=ScanOptions(), progress=Progress())
    line = (tmp_path / "out" / RECORDS_NAME).read_bytes()
    answer = client.post("/v1/screenings", files={"file": ("x.png", content)})
    assert answer.status_code == 201, answer.text

    assert library in line
    assert Screening.model_validate(json.loads(line)["screening"]).canonical_json() == library
    assert client.get(answer.json()["record_href"]).content == library


def test_new_desk_gives_the_same_bytes(desk: ScreeningDesk, whole: dict[str, Path]) -> None:
    """Nothing of the process, its memory or its clock is in a record."""
    other = ScreeningDesk.with_fake_detectors(SETTINGS)
    try:
        for path in (whole["JPEG"], whole["mp4"], whole["wav"]):
            assert screen(path, desk=other).canonical_json() == screen(path, desk=desk).canonical_json()
    finally:
        other.close()


@pytest.fixture(scope="module")
def real_desk() -> Iterator[ScreeningDesk]:
    desk = ScreeningDesk.build(SETTINGS)
    yield desk
    desk.close()


NOT_SCORED: dict[str, tuple[Maker, dict[str, str]]] = {
    "one pixel.png": (
        lambda path: save_picture(path, "PNG", picture(2, 2)),
        {"image_clip": "too_small", "face_clip": "no_face"},
    ),
    "made pattern without a face.png": (
        lambda path: save_picture(path, "PNG", picture(300, 200)),
        {"image_clip": "out_of_domain", "face_clip": "no_face"},
    ),
    "small clip.mp4": (
        lambda path: save_clip(path, size=(32, 24)),
        {"video_clip": "too_small", "audio_whisper": "no_audio_track"},
    ),
    "0.2 s.wav": (sound_of(0.2, 16_000), {"audio_whisper": "too_short"}),
    "silence.wav": (lambda p: save_sound(p, np.zeros((48_000, 1), np.float32), 16_000), {"audio_whisper": "silent"}),
    "tone.wav": (sound_of(3.0, 16_000), {"audio_whisper": "no_speech"}),
}


@pytest.mark.weights
@pytest.mark.parametrize("name", NOT_SCORED)
def test_shipped_detectors_do_not_score_what_they_cannot(real_desk: ScreeningDesk, tmp_path: Path, name: str) -> None:
    make, absences = NOT_SCORED[name]
    make(tmp_path / name)
    record = screen(tmp_path / name, desk=real_desk)
    assert_whole(record)
    found = {u.detector: u.absence.value for result in record.modalities.values() for u in result.not_scored}
    assert found == absences


@pytest.mark.weights
def test_shipped_silence_is_not_screened_and_says_why(real_desk: ScreeningDesk) -> None:
    record = screen(MEDIA / "edge_cases/silence.wav", desk=real_desk)
    assert record.overall.verdict is Verdict.NOT_SCREENED
    assert "audio: not screened (silent)" in record.overall.explanation


@pytest.mark.weights
@pytest.mark.parametrize("name", ["bona_fide/portrait_hopper.jpg", "spoof/partly_synthetic.opus"])
def test_shipped_detectors_give_the_same_bytes_twice(real_desk: ScreeningDesk, name: str) -> None:
    first, second = (real_desk.screen(take_in(MEDIA / name, limits=SETTINGS.limits)) for _ in range(2))
    assert first.screening.canonical_json() == second.screening.canonical_json()
    assert dict(first.artefacts) == dict(second.artefacts)
    assert_whole(first.screening)
