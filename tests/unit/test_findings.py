"""Findings on pictures, clips and sound that were made for it; each beside a file that gives no such finding."""

from __future__ import annotations

import ast
import io
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, JpegPresets, PngImagePlugin

import media_factory
from deepscreen.findings.finding import MAX_FACTS, MAX_MESSAGE_CHARACTERS, MAX_VALUE_CHARACTERS, Finding, finding
from deepscreen.findings.programs import programs_in
from deepscreen.findings.sound import _could_be_jumps
from deepscreen.media.intake import take_in
from deepscreen.media.sandbox import Decoder
from deepscreen.settings import Limits

LIMITS = Limits()
RATE_HZ = 44_100
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description {}/></x:xmpmeta>'
UI_PARAMETERS = (
    "a man on a bench\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Model: dream_5"
)
GRAPH = json.dumps({"3": {"class_type": "KSampler", "inputs": {}}, "4": {"class_type": "CheckpointLoaderSimple"}})


@pytest.fixture(scope="module")
def look() -> Iterator[Callable[[Path], dict[str, Finding]]]:
    with Decoder(LIMITS) as decoder:

        def all_findings(path: Path) -> dict[str, Finding]:
            intake = take_in(path, limits=LIMITS)
            found = decoder.examine(intake).facts.facts + decoder.inspect(intake)
            return {one.code: one for one in found}

        yield all_findings


Look = Callable[[Path], dict[str, Finding]]


def scenery(width_px: int = 512, height_px: int = 384, seed: int = 0) -> Image.Image:
    """Structure at all scales, as a photograph has it."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height_px, width_px, 3))
    for step in (64, 32, 16, 8, 4, 2, 1):
        small = rng.integers(0, 255, (height_px // step + 1, width_px // step + 1, 3), np.uint8)
        total += np.asarray(Image.fromarray(small).resize((width_px, height_px), Image.Resampling.BICUBIC)) * step**0.6
    total -= total.min()
    return Image.fromarray((total * (255 / total.max())).astype(np.uint8))


def camera_exif(**changes: str) -> Image.Exif:
    values = {"Make": "Canon", "Model": "Canon EOS R5", "DateTime": "2024:05:01 10:00:00"}
    taken = {"DateTimeOriginal": "2024:05:01 10:00:00", "DateTimeDigitized": "2024:05:01 10:00:00"} | changes
    exif = Image.Exif()
    for name, value in (values | {n: v for n, v in changes.items() if n in ("DateTime", "Software")}).items():
        exif[ExifTags.Base[name]] = value
    directory = exif.get_ifd(ExifTags.IFD.Exif)
    for name, value in taken.items():
        if name not in ("DateTime", "Software"):
            directory[ExifTags.Base[name]] = int(value) if value.isdecimal() else value
    return exif


def save_jpeg(path: Path, image: Image.Image | None = None, **options: object) -> Path:
    given = options if "qtables" in options else {"quality": 92} | options  # quality would scale the tables
    (image or scenery()).save(path, "JPEG", **given)
    return path


def save_png(path: Path, texts: dict[str, str]) -> Path:
    information = PngImagePlugin.PngInfo()
    for keyword, text in texts.items():
        information.add_itxt(keyword, text, zip=len(text) > 100)
    media_factory.picture().save(path, "PNG", pnginfo=information)
    return path


def test_camera_file_that_agrees_with_itself_gives_no_warning(look: Look, tmp_path: Path) -> None:
    found = look(save_jpeg(tmp_path / "a.jpg", exif=camera_exif()))
    assert found["metadata_claims"].facts["Model"] == "Canon EOS R5"
    assert [one.code for one in found.values() if one.severity == "warning"] == []


@pytest.mark.parametrize(
    ("changes", "code", "severity"),
    [
        ({"DateTimeOriginal": "2024:06:01 10:00:00"}, "changed_before_taken", "warning"),
        ({"DateTime": "2024:06:01 10:00:00"}, "changed_after_taken", "notice"),
        ({"DateTimeDigitized": "2024:05:09 10:00:00"}, "creation_dates_disagree", "warning"),
        ({"DateTimeOriginal": "2024:13:45 10:00:00"}, "date_impossible", "notice"),
        ({"DateTimeOriginal": "1975:05:01 10:00:00"}, "date_early", "notice"),
        ({"ExifImageWidth": "4000", "ExifImageHeight": "3000"}, "dimensions_mismatch", "warning"),
        ({"ExifImageWidth": "384", "ExifImageHeight": "512"}, "dimensions_turned", "notice"),
        ({"Software": "FaceApp 3.4"}, "retouching_named", "notice"),
        ({"Software": "Midjourney"}, "generator_named", "warning"),
    ],
)
def test_contradiction_in_exif_is_told(
    look: Look, tmp_path: Path, changes: dict[str, str], code: str, severity: str
) -> None:
    found = look(save_jpeg(tmp_path / "a.jpg", exif=camera_exif(**changes)))
    assert found[code].severity == severity
    assert code not in look(save_jpeg(tmp_path / "b.jpg", exif=camera_exif()))


def test_programs_that_differ_between_exif_and_xmp_are_told(look: Look, tmp_path: Path) -> None:
    xmp = XMP.format('xmp:CreatorTool="GIMP 2.10" xmp:CreateDate="2020-01-01T00:00:00"').encode()
    found = look(save_jpeg(tmp_path / "a.jpg", exif=camera_exif(Software="Adobe Photoshop 25.1"), xmp=xmp))
    assert found["software_statements_differ"].facts == {
        "EXIF Software": "Adobe Photoshop 25.1",
        "XMP CreatorTool": "GIMP 2.10",
    }
    assert "creation_dates_disagree" in found


def test_steps_of_editing_are_counted_once_and_a_year_alone_is_a_date(look: Look, tmp_path: Path) -> None:
    steps = "<stEvt:action>saved</stEvt:action>" * 3
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r xmp:CreateDate="2020"/>{steps}</x:xmpmeta>'.encode()
    found = look(save_jpeg(tmp_path / "a.jpg", xmp=xmp))
    assert found["edit_history"].facts["steps"] == 3
    assert "date_impossible" not in found


def test_camera_file_with_tables_of_a_program_is_told(look: Look, tmp_path: Path) -> None:
    found = look(save_jpeg(tmp_path / "a.jpg", exif=camera_exif(), quality=92))
    assert found["jpeg_tables"].facts["libjpeg_quality"] == 92
    assert "libjpeg's tables" in found["camera_file_saved_again"].message
    own = [[max(1, v // 9 + (k % 5)) for k, v in enumerate(range(40, 104))]] * 2
    assert "libjpeg_quality" not in look(save_jpeg(tmp_path / "b.jpg", qtables=own))["jpeg_tables"].facts


def test_photoshop_tables_are_known(look: Look, tmp_path: Path) -> None:
    tables = JpegPresets.presets["web_high"]["quantization"]
    assert look(save_jpeg(tmp_path / "a.jpg", qtables=tables))["jpeg_tables"].facts["photoshop_preset"] == "web_high"


@pytest.mark.parametrize(("first", "second"), [(50, 85), (60, 92), (75, 95)])
def test_second_saving_at_higher_quality_is_told(look: Look, tmp_path: Path, first: int, second: int) -> None:
    once = io.BytesIO()
    scenery().save(once, "JPEG", quality=first)
    found = look(save_jpeg(tmp_path / "twice.jpg", Image.open(once), quality=second))["double_compression"]
    assert abs(int(found.facts["earlier_quality"]) - first) <= 4


@pytest.mark.parametrize("quality", [40, 75, 90, 98])
def test_first_saving_is_not_taken_for_a_second(look: Look, tmp_path: Path, quality: int) -> None:
    assert "double_compression" not in look(save_jpeg(tmp_path / "once.jpg", quality=quality))


def exif_with_thumbnail(thumbnail: Image.Image) -> bytes:
    """A TIFF structure whose second directory embeds *thumbnail*."""
    packed = io.BytesIO()
    thumbnail.save(packed, "JPEG")
    jpeg = packed.getvalue()
    first = struct.pack("<HI", 0, 14)
    second = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, 14 + 30, 0x0202, 4, 1, len(jpeg), 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + second + jpeg


def test_thumbnail_of_another_picture_is_told(look: Look, tmp_path: Path) -> None:
    picture, other = scenery(), scenery(seed=7)
    own = look(save_jpeg(tmp_path / "a.jpg", picture, exif=exif_with_thumbnail(picture.resize((160, 120)))))
    assert "thumbnail_mismatch" not in own
    found = look(save_jpeg(tmp_path / "b.jpg", picture, exif=exif_with_thumbnail(other.resize((160, 120)))))
    assert found["thumbnail_mismatch"].severity == "warning"


@pytest.mark.parametrize(
    ("texts", "maker"),
    [
        ({"parameters": UI_PARAMETERS}, "a Stable Diffusion user interface"),
        ({"prompt": GRAPH}, "ComfyUI"),
        ({"workflow": json.dumps({"nodes": [{"type": "KSampler"}], "links": []})}, "ComfyUI"),
        (
            {"Comment": json.dumps({"prompt": "x", "steps": 28, "sampler": "k_euler", "seed": 1})},
            "NovelAI or a relative",
        ),
        ({"invokeai_metadata": json.dumps({"model": "x"})}, "InvokeAI"),
        ({"Description": "a castle --v 6 Job ID: 1a2b3c4d-1111-2222-3333-444455556666"}, "Midjourney"),
    ],
)
def test_generator_text_in_png_is_told(look: Look, tmp_path: Path, texts: dict[str, str], maker: str) -> None:
    found = look(save_png(tmp_path / "a.png", texts))["generator_trace"]
    assert (found.facts["maker"], found.severity) == (maker, "warning")


def test_settings_of_the_generator_are_kept(look: Look, tmp_path: Path) -> None:
    facts = look(save_png(tmp_path / "a.png", {"parameters": UI_PARAMETERS}))["generator_trace"].facts
    assert (facts["steps"], facts["sampler"], facts["seed"], facts["model"]) == ("20", "Euler a", "42", "dream_5")
    assert str(facts["prompt"]).startswith("a man on a bench")


def test_generator_text_in_jpeg_comment_is_told(look: Look, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"UNICODE\0" + UI_PARAMETERS.encode("utf-16-be")
    assert look(save_jpeg(tmp_path / "a.jpg", exif=exif))["generator_trace"].facts["seed"] == "42"


def test_ordinary_text_is_no_generator_trace(look: Look, tmp_path: Path) -> None:
    texts = {"Comment": "Steps: up, and down", "prompt": "Say cheese", "Description": json.dumps({"a": 1})}
    assert "generator_trace" not in look(save_png(tmp_path / "a.png", texts))


@pytest.mark.parametrize(
    ("kind", "code"),
    [("trainedAlgorithmicMedia", "synthetic_source_declared"), ("digitalCapture", "digital_source_declared")],
)
def test_declared_source_type_is_told(look: Look, tmp_path: Path, kind: str, code: str) -> None:
    address = f"http://cv.iptc.org/newscodes/digitalsourcetype/{kind}"
    xmp = XMP.format(f'Iptc4xmpExt:DigitalSourceType="{address}"').encode()
    assert look(save_jpeg(tmp_path / "a.jpg", xmp=xmp))[code].facts["digital_source_type"] == kind


def test_broken_exif_is_not_told_as_none(tmp_path: Path) -> None:
    broken = b"Exif\0\0II*\0" + b"\xff" * 40
    path = save_jpeg(tmp_path / "a.jpg")
    content = path.read_bytes()
    path.write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(broken)) + broken + content[2:])
    with Decoder(LIMITS) as decoder:
        codes = {found.code for found in decoder.inspect(take_in(path, limits=LIMITS))}
    assert "exif_unreadable" in codes
    assert "no_metadata" not in codes


def test_data_behind_the_end_is_told(look: Look, tmp_path: Path) -> None:
    path = save_jpeg(tmp_path / "a.jpg")
    assert "trailing_data" not in look(path)
    path.write_bytes(path.read_bytes() + b"PK\3\4" + bytes(500))
    assert look(path)["trailing_data"].facts == {"bytes": 504, "looks_like": "a ZIP archive"}
    path.write_bytes(path.read_bytes() + b"\xff\xd9" + bytes(98))  # by chance: no end of the picture
    assert look(path)["trailing_data"].facts["bytes"] == 604


def test_cut_picture_ends_nowhere_though_its_thumbnail_does(tmp_path: Path) -> None:
    path = save_jpeg(tmp_path / "a.jpg")
    content = path.read_bytes()
    inner = b"\xff\xd8\xff\xd9"
    path.write_bytes(content[:2] + b"\xff\xed" + struct.pack(">H", 2 + len(inner)) + inner + content[2:-200])
    with Decoder(LIMITS) as decoder:
        assert "trailing_data" not in {found.code for found in decoder.inspect(take_in(path, limits=LIMITS))}


def test_order_and_encoder_of_a_clip_are_told(look: Look, tmp_path: Path) -> None:
    found = look(media_factory.save_clip(tmp_path / "a.mp4"))
    assert str(found["box_order"].facts["order"]).startswith("ftyp")
    assert found["software_named"].facts["program"] == "FFmpeg"
    assert found["software_encoder"].facts["encoder"] == "x264"
    assert "dates_empty" in found


def patched(path: Path, box: bytes, offset: int, value: bytes) -> Path:
    content = bytearray(path.read_bytes())
    at = content.index(box) + 4 + offset
    content[at : at + len(value)] = value
    path.write_bytes(content)
    return path


def test_dates_and_sizes_in_boxes_are_compared(look: Look, tmp_path: Path) -> None:
    path = media_factory.save_clip(tmp_path / "a.mp4")
    patched(path, b"mvhd", 4, struct.pack(">II", 3_800_000_000, 3_700_000_000))
    assert "track_dates_differ" not in look(path)  # they name none
    patched(path, b"mdhd", 4, struct.pack(">II", 3_600_000_000, 3_600_000_000))
    patched(path, b"tkhd", 76, struct.pack(">II", 640 << 16, 480 << 16))
    found = look(path)
    assert found["changed_before_created"].severity == "warning"
    assert "track_dates_differ" in found
    assert found["display_size_differs"].facts["shown_width_px"] == 640


def test_edit_list_that_cuts_is_told(look: Look, tmp_path: Path) -> None:
    path = media_factory.save_clip(tmp_path / "a.mp4")
    content = path.read_bytes()
    at = content.index(b"elst")
    entry = struct.pack(">IiI", 200, 0, 1 << 16) + struct.pack(">IiI", 200, 5_000, 1 << 16)
    old_size = int.from_bytes(content[at - 4 : at], "big")
    box = struct.pack(">I", 16 + len(entry)) + b"elst" + bytes(4) + struct.pack(">I", 2) + entry
    grown = bytearray(content[: at - 4] + box + content[at - 4 + old_size :])
    for holder in (b"edts", b"trak", b"moov"):
        where = grown.index(holder) - 4
        size = int.from_bytes(grown[where : where + 4], "big") + len(box) - old_size
        grown[where : where + 4] = struct.pack(">I", size)
    path.write_bytes(grown)
    assert look(path)["edit_list_cuts"].facts["stretches"] == 2


def hiss(seconds: float = 4.0, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    """Noise over the whole band, falling with frequency as speech and music do."""
    rng = np.random.default_rng(1)
    spectrum = np.fft.rfft(rng.standard_normal(round(seconds * rate_hz)))
    spectrum /= 1 + np.arange(len(spectrum)) / (len(spectrum) / 20)
    wave = np.fft.irfft(spectrum)
    return (0.3 * wave / np.abs(wave).max()).astype(np.float32)[:, np.newaxis]


def through_mp3(samples: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    with av.open(path, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=RATE_HZ, layout="mono")
        stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="mono")
        frame.sample_rate = RATE_HZ
        frame.pts = 0
        size = stream.codec_context.frame_size
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=RATE_HZ, frame_size=size)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    with av.open(path) as container:
        decoded = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(decoded).astype(np.float32)[:, np.newaxis]


def test_sound_that_was_an_mp3_is_told(look: Look, tmp_path: Path) -> None:
    plain = media_factory.save_sound(tmp_path / "plain.wav", hiss(), RATE_HZ)
    assert {"lossy_history", "upsampled_sound", "digital_silence", "sound_jumps"} & look(plain).keys() == set()
    decoded = through_mp3(hiss(), tmp_path / "a.mp3")
    found = look(media_factory.save_sound(tmp_path / "was_mp3.wav", decoded, RATE_HZ))["lossy_history"]
    assert 13_000 < float(found.facts["limit_hz"]) < 20_500


def test_upsampled_sound_is_told(look: Look, tmp_path: Path) -> None:
    low = hiss(rate_hz=16_000)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(low.T), format="flt", layout="mono")
    frame.sample_rate = 16_000
    high = np.concatenate([f.to_ndarray()[0] for f in [*resampler.resample(frame), *resampler.resample(None)] if f])
    path = media_factory.save_sound(tmp_path / "up.wav", high[:, np.newaxis], RATE_HZ)
    assert look(path)["upsampled_sound"].facts["likely_rate_hz"] == 16_000


def test_inserted_silence_and_jumps_are_told_with_their_times(look: Look, tmp_path: Path) -> None:
    tone = media_factory.tone(3.0, RATE_HZ, hz=220.0)
    rng = np.random.default_rng(3)
    tone += (1e-4 * rng.standard_normal(tone.shape)).astype(np.float32)
    tone[RATE_HZ : RATE_HZ + RATE_HZ // 4] = 0
    tone[2 * RATE_HZ :] += 0.3
    found = look(media_factory.save_sound(tmp_path / "cut.wav", tone, RATE_HZ))
    assert found["digital_silence"].facts == {"places": 1, "at": "1.000 to 1.250 s"}
    assert "2.000 s" in str(found["sound_jumps"].facts["at"])


def test_loud_noise_is_not_asked_step_by_step() -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, 10 * RATE_HZ).astype(np.float32)
    assert len(_could_be_jumps(np.abs(np.diff(noise)), 441)) < 300  # those that no block lies before
    noise[: 5 * RATE_HZ] *= 1e-3
    noise[2 * RATE_HZ :][:1000] += 0.5
    asked = _could_be_jumps(np.abs(np.diff(noise)), 441)
    assert {2 * RATE_HZ - 1, 2 * RATE_HZ + 999} <= set(asked.tolist())


def test_lossy_sound_is_not_asked_for_a_lossy_past(look: Look, tmp_path: Path) -> None:
    assert "lossy_history" not in look(media_factory.save_encoded_sound(tmp_path / "a.mp3", "mp3", seconds=2.0))


@pytest.mark.parametrize("cut_at", [30, 300, 1_000, 5_000])
def test_truncated_files_are_inspected_as_far_as_they_go(look: Look, tmp_path: Path, cut_at: int) -> None:
    path = save_jpeg(tmp_path / "a.jpg", exif=exif_with_thumbnail(scenery(160, 120)))
    path.write_bytes(path.read_bytes()[:cut_at])
    with Decoder(LIMITS) as decoder:
        assert decoder.inspect(take_in(path, limits=LIMITS))


def test_hostile_bytes_never_end_an_inspection(tmp_path: Path) -> None:
    """Flipped bytes in metadata of pictures and clips: always a list of findings, never an exception."""
    rng = np.random.default_rng(5)
    whole = [
        save_jpeg(tmp_path / "a.jpg", exif=camera_exif()),
        save_png(tmp_path / "a.png", {"parameters": UI_PARAMETERS}),
        media_factory.save_clip(tmp_path / "a.mp4"),
    ]
    with Decoder(LIMITS) as decoder:
        for path in whole:
            content = path.read_bytes()
            for number in range(15):
                damaged = bytearray(content)
                for at in rng.integers(12, min(len(content), 1_500), 6):
                    damaged[at] = int(rng.integers(0, 256))
                target = path.with_stem(f"damaged_{number}")
                target.write_bytes(damaged)
                assert decoder.inspect(take_in(target, limits=LIMITS))


def test_finding_holds_what_a_record_can_carry() -> None:
    facts: dict[str, object] = {f"fact {n}": "x" * 1_000 for n in range(40)} | {"big": 2**70, "none": None}
    made = finding("a_code", "line\n\x1b[2J\ud800" + "y" * 2_000, source="test", facts=facts)
    assert len(made.facts) == MAX_FACTS
    assert max(len(str(value)) for value in made.facts.values()) <= MAX_VALUE_CHARACTERS
    assert len(made.message) <= MAX_MESSAGE_CHARACTERS
    assert made.message.isprintable()
    assert finding("a_code", "x", source="test", facts={"big": 2**70}).facts == {"big": str(2**70)}


def test_ordinary_words_are_no_names_of_programs() -> None:
    caption = "Sora Tanaka on the runway at the Topaz hotel, climbing a rope: an ideogram of our time"
    assert programs_in(caption) == ()
    told = {text: [program.name for program in programs_in(text)] for text in ("Sora", "RunwayML", "Topaz Photo AI")}
    assert told == {"Sora": ["Sora"], "RunwayML": ["Runway"], "Topaz Photo AI": ["Topaz"]}


def test_every_code_is_documented() -> None:
    """Each call that makes a finding names its code as its first argument."""
    source = Path(__file__).parents[2] / "src/deepscreen"
    makers = {"finding", "_date_finding", "Finding"}
    calls = (
        node
        for path in sorted((source / "findings").glob("*.py")) + sorted((source / "media").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in makers
    )
    codes = {call.args[0].value for call in calls if call.args and isinstance(call.args[0], ast.Constant)}
    page = (source.parents[1] / "docs/findings.md").read_text(encoding="utf-8")
    assert len(codes) > 40
    assert sorted(code for code in codes if f"`{code}`" not in page) == []
