"""Clips: facts measured from packets, frames by time, upright, the same every time, and what happens to bad files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import media_factory
from deepscreen.errors import MediaError, MediaTooLarge, UndecodableMedia, UnsupportedMedia
from deepscreen.media.intake import take_in
from deepscreen.media.samples import Frame, MediaFacts, SamplingPlan
from deepscreen.media.sandbox import Decoder
from deepscreen.media.sniff import sniff
from deepscreen.media.video import clip_frames, frame_pixels, shown_at
from deepscreen.settings import Limits

LIMITS = Limits()


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(LIMITS) as decoder:
        yield decoder


def _facts(decoder: Decoder, path: Path) -> MediaFacts:
    return decoder.examine(take_in(path, limits=LIMITS)).facts


def _frames(decoder: Decoder, path: Path, *times_seconds: float) -> list[Frame]:
    return list(decoder.frames(take_in(path, limits=LIMITS), SamplingPlan(times_seconds)))


def _found(frames: list[Frame]) -> list[tuple[float, int]]:
    return [(round(f.pts_seconds, 3), media_factory.index_of(f.pixels)) for f in frames]


def _codes(facts: MediaFacts) -> set[str]:
    return {fact.code for fact in facts.facts}


@pytest.mark.parametrize("muxer", list(media_factory.CLIP_FORMATS))
def test_every_container_gives_facts_frames_and_sound(decoder: Decoder, tmp_path: Path, muxer: str) -> None:
    path = media_factory.save_clip(tmp_path / "lies.png", muxer, sound=True)
    facts = _facts(decoder, path)
    video, audio = facts.stream("video"), facts.stream("audio")
    assert facts.kind == "video"
    assert video is not None
    assert audio is not None
    assert (video.width_px, video.height_px, video.frame_count_measured) == (64, 48, 25)
    assert video.duration_seconds_measured == pytest.approx(1.0, abs=0.05)
    assert (audio.sample_rate_hz, audio.channels) == (48_000, 1)
    frames = _frames(decoder, path, 0.1, 0.5, 0.9)
    assert [f.index for f in frames] == [0, 1, 2]
    assert [f.pixels.shape for f in frames] == [(48, 64, 3)] * 3
    if muxer != "avi":  # its B-frame delay leaves a gap after the first frame
        assert _found(frames) == [(0.08, 2), (0.48, 12), (0.88, 22)]
    seconds = sum(w.duration_seconds for w in decoder.sound(take_in(path, limits=LIMITS)))
    assert seconds == pytest.approx(1.0, abs=0.06)


def test_frames_go_by_time_and_not_by_number_when_the_rate_varies(decoder: Decoder, tmp_path: Path) -> None:
    times_ms = [0, 40, 80, 500, 540, 1000, 1900]
    for muxer in ("mp4", "matroska"):
        path = media_factory.save_clip(tmp_path / muxer, muxer, times_ms=times_ms)
        facts = _facts(decoder, path)
        assert _codes(facts) == {"variable_frame_rate"}
        assert facts.streams[0].variable_frame_rate is True
        found = _found(_frames(decoder, path, 0.0, 0.3, 0.5, 0.9, 1.5, 1.9, 1.94))
        assert found == [(0.0, 0), (0.08, 2), (0.5, 3), (0.54, 4), (1.0, 5), (1.9, 6)]


def test_a_steady_rate_is_not_called_variable(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_clip(tmp_path / "x", "matroska", times_ms=[round(k * 1000 / 30) for k in range(40)])
    assert _facts(decoder, path).streams[0].variable_frame_rate is False


@pytest.mark.parametrize("key_interval", [1, 5, 250])
@pytest.mark.parametrize("open_gop", ["0", "1"])
def test_frames_are_what_full_decoding_gives_whatever_is_skipped(
    decoder: Decoder, tmp_path: Path, key_interval: int, open_gop: str
) -> None:
    options = {"preset": "medium", "bf": "3", "x264-params": f"open-gop={open_gop}:scenecut=0"}
    noise = Image.fromarray(np.random.default_rng(3).integers(0, 255, (48, 64, 3), dtype=np.uint8))
    path = media_factory.save_clip(tmp_path / "x", seconds=2, key_interval=key_interval, options=options, image=noise)
    with av.open(path) as container:
        stream = container.streams.video[0]
        whole = [(float(f.pts * stream.time_base), f.to_ndarray(format="rgb24")) for f in container.decode(stream)]
    times = (0.0, 0.13, 0.6, 0.61, 1.4, 1.99)
    frames = _frames(decoder, path, *times)
    expected = dict(max(pair for pair in enumerate(whole) if pair[1][0] <= t + 1e-6) for t in times)
    assert [f.pts_seconds for f in frames] == pytest.approx([pts for pts, _ in expected.values()])
    for frame, (_, pixels) in zip(frames, expected.values(), strict=True):
        assert np.array_equal(frame.pixels, pixels)


@pytest.mark.parametrize("key_interval", [5, 250])
def test_frames_are_the_same_when_packets_must_be_taken_in_small_chunks(
    decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key_interval: int
) -> None:
    path = media_factory.save_clip(tmp_path / "x", seconds=1, key_interval=key_interval, options={"preset": "medium"})
    times = (0.0, 0.3, 0.5, 0.9)
    monkeypatch.setattr("deepscreen.media.video.CHUNK_MAX_PACKETS", 3)
    with path.open("rb") as file:
        found = [
            (round(t, 3), media_factory.index_of(frame_pixels(f))) for t, f in clip_frames(file, sniff(file), times)
        ]
    assert found == _found(_frames(decoder, path, *times)) == [(0.0, 0), (0.28, 7), (0.48, 12), (0.88, 22)]


def test_frames_come_from_a_stream_that_starts_late(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_clip(tmp_path / "x", "mpegts")  # MPEG-TS begins at 1.4 s
    assert _found(_frames(decoder, path, 0.0, 0.2)) == [(0.0, 0), (0.2, 5)]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_of_the_display_matrix_is_applied(decoder: Decoder, tmp_path: Path, degrees: int) -> None:
    counterclockwise = {0: 0, 90: -90, 180: 180, 270: 90}[degrees]
    path = media_factory.save_clip(
        tmp_path / "x", "mov", image=media_factory.picture(), rotation_degrees=counterclockwise
    )
    facts = _facts(decoder, path)
    expected = np.asarray(media_factory.picture().rotate(-degrees, expand=True))
    stream = facts.streams[0]
    assert (stream.height_px, stream.width_px) == expected.shape[:2]
    assert stream.rotation_degrees == degrees
    assert ("orientation_applied" in _codes(facts)) == (degrees != 0)
    (frame,) = _frames(decoder, path, 0.4)
    found, wanted = (np.array(media_factory.quadrant_colours(p)) for p in (frame.pixels, expected))
    assert np.abs(found - wanted).max() <= 8


def test_limited_range_video_comes_out_with_full_range(decoder: Decoder, tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 48), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, 32, 48))
    path = media_factory.save_clip(tmp_path / "x", image=image)
    (frame,) = _frames(decoder, path, 0.2)
    assert frame.pixels[24, 8].max() <= 3
    assert frame.pixels[24, 56].min() >= 252


def test_cover_art_does_not_make_a_song_a_video(decoder: Decoder, tmp_path: Path) -> None:
    path = tmp_path / "x"
    with av.open(path, "w", format="mp3") as container:
        audio = container.add_stream("libmp3lame", rate=44_100, layout="mono")
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 96, 64, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        container.start_encoding()
        for packet in cover.encode(av.VideoFrame.from_image(media_factory.picture())):
            container.mux(packet)
        media_factory.encode_tone(container, audio, 1.0, 44_100)
    facts = _facts(decoder, path)
    assert (facts.kind, facts.mime, len(facts.streams)) == ("audio", "audio/mpeg", 1)
    assert _frames(decoder, path, 0.0) == []


def test_an_mp4_without_pictures_is_audio(decoder: Decoder, tmp_path: Path) -> None:
    facts = _facts(decoder, media_factory.save_encoded_sound(tmp_path / "x", "ipod"))
    assert (facts.kind, facts.mime) == ("audio", "audio/mp4")


def test_a_cut_clip_gives_the_frames_before_the_cut_and_the_mismatch(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_clip(tmp_path / "whole", "matroska", seconds=4)
    cut = tmp_path / "cut"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    facts = _facts(decoder, cut)
    assert "duration_mismatch" in _codes(facts)
    stream = facts.streams[0]
    assert stream.duration_seconds_claimed == pytest.approx(4.0, abs=0.1)
    assert stream.duration_seconds_measured == pytest.approx(2.0, abs=0.3)
    frames = _frames(decoder, cut, *np.arange(0.1, 4.0, 0.2))
    assert 5 <= len(frames) <= 12


@pytest.mark.parametrize("muxer", ["mp4", "matroska", "mpegts"])
def test_a_clip_cut_at_ten_places_gives_a_typed_error_or_frames(decoder: Decoder, tmp_path: Path, muxer: str) -> None:
    data = media_factory.save_clip(tmp_path / "whole", muxer, sound=True).read_bytes()
    for tenth in range(10):
        cut = tmp_path / f"cut{tenth}"
        cut.write_bytes(data[: max(1, len(data) * tenth // 10)])
        try:
            assert _facts(decoder, cut).kind in ("video", "audio")
            assert len(_frames(decoder, cut, 0.1, 0.5, 0.9)) <= 3
        except (UndecodableMedia, UnsupportedMedia):
            assert tenth < 10 - (muxer != "mp4")  # all but MP4, whose index is at the end, are read up to the cut


def test_a_damaged_clip_gives_the_same_frames_every_time(decoder: Decoder, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    noise = Image.fromarray(rng.integers(0, 255, (96, 128, 3), dtype=np.uint8))
    for codec, options in (("libx264", {"preset": "veryfast"}), ("mpeg4", {"b": "2000000"})):
        path = media_factory.save_clip(tmp_path / codec, seconds=2, image=noise, codec=codec, options=options)
        data = bytearray(path.read_bytes())
        for place in rng.integers(len(data) // 4, 3 * len(data) // 4, 20):
            data[place] ^= int(rng.integers(1, 256))
        path.write_bytes(data)
        runs = [_frames(decoder, path, *np.arange(0.1, 2.0, 0.3)) for _ in range(3)]
        for run in runs[1:]:
            assert [f.pts_seconds for f in run] == [f.pts_seconds for f in runs[0]]
            assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(runs[0], run, strict=True))


def test_noise_behind_a_true_header_is_undecodable(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_clip(tmp_path / "x", "avi", codec="mjpeg")
    data = bytearray(path.read_bytes())
    start = data.index(b"movi") + 4
    with av.open(path) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for position, size in packets:
        begin = data.index(b"\xff\xd8", max(start, position))
        data[begin : begin + size - 8] = bytes(size - 8)
    path.write_bytes(data)
    assert _facts(decoder, path).kind == "video"
    with pytest.raises(UndecodableMedia, match="not one frame"):
        _frames(decoder, path, 0.1)


def test_playlists_that_name_other_files_are_refused(decoder: Decoder, tmp_path: Path) -> None:
    clip = media_factory.save_clip(tmp_path / "clip.ts", "mpegts")
    for text in (f"#EXTM3U\n#EXTINF:1,\n{clip}\n", f"ffconcat version 1.0\nfile '{clip}'\n", "<MPD></MPD>"):
        (tmp_path / "list.mp4").write_text(text)
        with pytest.raises(UnsupportedMedia, match="playlist"):
            _facts(decoder, tmp_path / "list.mp4")


def test_frames_larger_than_the_limit_are_refused(tmp_path: Path) -> None:
    path = media_factory.save_clip(tmp_path / "x")
    with Decoder(Limits(max_pixels=64 * 48 - 1)) as decoder, pytest.raises(MediaTooLarge, match="64 x 48"):
        decoder.examine(take_in(path, limits=LIMITS))


def test_clips_longer_than_the_limit_are_refused(tmp_path: Path) -> None:
    path = media_factory.save_clip(tmp_path / "x")
    with Decoder(Limits(max_duration_seconds=0.5)) as decoder, pytest.raises(MediaTooLarge, match=r"1\.0 s long"):
        decoder.examine(take_in(path, limits=LIMITS))


def test_facts_do_not_depend_on_the_name(decoder: Decoder, tmp_path: Path) -> None:
    first = media_factory.save_clip(tmp_path / "a", sound=True)
    second = tmp_path / os.fsdecode(b"b\n\xff.jpg")
    second.write_bytes(first.read_bytes())
    assert _facts(decoder, first) == _facts(decoder, second)


def test_damage_anywhere_in_a_container_never_escapes_as_an_untyped_error(decoder: Decoder, tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    for muxer in ("mp4", "matroska", "avi", "mpegts"):
        whole = media_factory.save_clip(tmp_path / "whole", muxer, sound=True).read_bytes()
        for number in range(4):
            data = bytearray(whole)
            for place in rng.integers(0, len(data), 10):
                data[place] ^= int(rng.integers(1, 256))
            path = tmp_path / f"{muxer}{number}"
            path.write_bytes(data)
            with suppress(MediaError):
                _facts(decoder, path)
                _frames(decoder, path, 0.1, 0.5)


@pytest.mark.parametrize(
    ("starts", "times", "expected"),
    [
        ([0, 1, 2, 3], [0, 2], [0, 2]),
        ([0, 10], [3, 4, 12], [0, 10]),
        ([0, 1], [9], [1]),
        ([5, 6], [1], [5]),
        ([], [1], []),
        ([0], [0], [0]),
    ],
)
def test_shown_at_gives_the_frame_on_screen_once(starts: list[int], times: list[int], expected: list[int]) -> None:
    assert [start for start, _ in shown_at(((s, None) for s in starts), times)] == expected
