"""Pictures of every format and mode come out upright, RGB, 8 bits, at full size; bad ones are refused by type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import media_factory
from deepscreen.errors import MediaError, MediaTooLarge, UndecodableMedia, UnsupportedMedia
from deepscreen.media.image import scaled_to_8_bits
from deepscreen.media.intake import take_in
from deepscreen.media.samples import SamplingPlan
from deepscreen.media.sandbox import Decoder, Examined
from deepscreen.settings import Limits

LIMITS = Limits()


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(LIMITS) as decoder:
        yield decoder


def _examine(decoder: Decoder, path: Path) -> Examined:
    return decoder.examine(take_in(path, limits=LIMITS))


def _pixels(examined: Examined) -> np.ndarray:
    assert examined.still is not None
    return examined.still.pixels


def _codes(examined: Examined) -> set[str]:
    return {fact.code for fact in examined.facts.facts}


def _assert_upright(examined: Examined, tolerance: int = 3) -> None:
    assert _pixels(examined).shape == (64, 96, 3)
    found = np.array(media_factory.quadrant_colours(_pixels(examined)))
    assert np.abs(found - np.array(media_factory.QUADRANTS)).max() <= tolerance


@pytest.mark.parametrize("format_name", list(media_factory.PICTURE_FORMATS))
def test_examine_decodes_every_format_under_a_lying_suffix(decoder: Decoder, tmp_path: Path, format_name: str) -> None:
    examined = _examine(decoder, media_factory.save_picture(tmp_path / "x.mp4", format_name))
    assert (examined.facts.kind, examined.facts.container) == ("image", format_name)
    assert (examined.facts.streams[0].width_px, examined.facts.streams[0].height_px) == (96, 64)
    assert examined.facts.facts == ()
    _assert_upright(examined)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_examine_applies_each_exif_orientation(decoder: Decoder, tmp_path: Path, orientation: int) -> None:
    examined = _examine(decoder, media_factory.save_oriented(tmp_path / "x", orientation))
    _assert_upright(examined)
    assert _codes(examined) == (set() if orientation == 1 else {"orientation_applied"})


@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_examine_turns_other_formats_once_and_says_so(decoder: Decoder, tmp_path: Path, format_name: str) -> None:
    examined = _examine(decoder, media_factory.save_oriented(tmp_path / "x", 6, format_name))
    _assert_upright(examined)
    assert _codes(examined) == {"orientation_applied"}


def test_examine_ignores_broken_exif(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_picture(tmp_path / "x", "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    _assert_upright(_examine(decoder, path))


def test_examine_converts_cmyk_with_adobe_inversion(decoder: Decoder, tmp_path: Path) -> None:
    examined = _examine(decoder, media_factory.save_cmyk_jpeg(tmp_path / "x"))
    _assert_upright(examined, tolerance=4)
    assert _codes(examined) == {"cmyk_converted"}


def test_examine_lays_transparent_pixels_over_white(decoder: Decoder, tmp_path: Path) -> None:
    image = media_factory.picture().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 48, 32))
    examined = _examine(decoder, media_factory.save_picture(tmp_path / "x", "PNG", image))
    colours = media_factory.quadrant_colours(_pixels(examined))
    assert colours == ((255, 255, 255), *media_factory.QUADRANTS[1:])
    assert _codes(examined) == {"alpha_composited"}


def test_examine_reports_no_compositing_when_alpha_is_opaque(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_picture(tmp_path / "x", "PNG", media_factory.picture().convert("RGBA"))
    examined = _examine(decoder, path)
    _assert_upright(examined)
    assert _codes(examined) == set()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA"])
def test_examine_gives_rgb_for_simple_modes(decoder: Decoder, tmp_path: Path, mode: str) -> None:
    source = media_factory.picture().convert("P" if mode == "PA" else mode)
    image = source.convert("PA") if mode == "PA" else source
    format_name = "TIFF" if mode == "PA" else "PNG"
    examined = _examine(decoder, media_factory.save_picture(tmp_path / "x", format_name, image))
    assert np.array_equal(_pixels(examined), np.asarray(image.convert("RGB")))


def test_examine_gives_palette_transparency_over_white(decoder: Decoder, tmp_path: Path) -> None:
    image = media_factory.picture().quantize(4)
    hidden = image.getpixel((5, 5))
    path = media_factory.save_picture(tmp_path / "x", "PNG", image, transparency=hidden)
    assert media_factory.quadrant_colours(_pixels(_examine(decoder, path)))[0] == (255, 255, 255)


def test_examine_scales_16_bit_grey_instead_of_clipping(decoder: Decoder, tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    for name, format_name in (("a", "PNG"), ("b", "TIFF")):
        examined = _examine(decoder, media_factory.save_picture(tmp_path / name, format_name, Image.fromarray(values)))
        assert np.array_equal(_pixels(examined)[..., 0], values >> 8)
        assert _codes(examined) == {"high_bit_depth_scaled"}


def test_examine_scales_16_bit_colour(decoder: Decoder, tmp_path: Path) -> None:
    import cv2

    values = np.zeros((16, 16, 3), np.uint16)
    values[..., 2], values[..., 1] = 65535, 0x8000  # OpenCV's order is blue, green, red
    ok, data = cv2.imencode(".png", values)
    assert ok
    (tmp_path / "x").write_bytes(data.tobytes())
    examined = _examine(decoder, tmp_path / "x")
    assert tuple(_pixels(examined)[8, 8]) == (255, 128, 0)
    assert _codes(examined) == {"high_bit_depth_scaled"}


def test_examine_scales_float_tiff(decoder: Decoder, tmp_path: Path) -> None:
    values = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    values[0, 0] = np.nan
    pixels = _pixels(_examine(decoder, media_factory.save_picture(tmp_path / "x", "TIFF", Image.fromarray(values))))
    assert (pixels[0, 0, 0], pixels[-1, -1, 0]) == (0, 255)
    assert abs(int(pixels[8, 0, 0]) - 128) <= 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 128, 255], np.int32), [0, 128, 255]),
        (np.array([0, 32768, 65535], np.int32), [0, 127, 255]),
        (np.array([-5, 0, 2**31 - 1], np.int32), [0, 0, 255]),
        (np.array([np.inf, 0.5, -1.0], np.float32), [0, 127, 0]),
        (np.array([0.0, 0.0], np.float32), [0, 0]),
    ],
)
def test_scaled_to_8_bits_takes_white_from_the_range(values: np.ndarray, expected: list[int]) -> None:
    assert scaled_to_8_bits(values).tolist() == expected


def test_examine_decodes_a_picture_of_one_pixel(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_picture(tmp_path / "x", "PNG", Image.new("RGB", (1, 1), (1, 2, 3)))
    assert _pixels(_examine(decoder, path)).tolist() == [[[1, 2, 3]]]


def test_examine_takes_the_first_page_and_says_so(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_picture(
        tmp_path / "x", "TIFF", save_all=True, append_images=[Image.new("RGB", (10, 10))] * 2
    )
    examined = _examine(decoder, path)
    _assert_upright(examined)
    assert _codes(examined) == {"multi_page"}


def test_examine_refuses_camera_raw_whose_first_picture_is_a_preview(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_picture(tmp_path / "x", "TIFF", tiffinfo={50706: b"\x01\x04\x00\x00"})
    with pytest.raises(UnsupportedMedia, match="camera raw"):
        _examine(decoder, path)


def test_examine_keeps_values_of_a_picture_with_a_colour_profile(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_picture(tmp_path / "x", "PNG", icc_profile=media_factory.srgb_profile())
    _assert_upright(_examine(decoder, path), tolerance=0)


@pytest.mark.parametrize("format_name", ["GIF", "PNG", "WEBP", "AVIF"])
def test_an_animation_is_a_clip_with_times_from_its_frame_durations(
    decoder: Decoder, tmp_path: Path, format_name: str
) -> None:
    path = media_factory.save_animation(tmp_path / "x", format_name, [100, 200, 300, 50])
    examined = _examine(decoder, path)
    stream = examined.facts.streams[0]
    assert (examined.facts.kind, examined.still, _codes(examined)) == ("video", None, {"animated"})
    assert (stream.frame_count_measured, stream.variable_frame_rate) == (4, True)
    assert stream.duration_seconds_measured == pytest.approx(0.65)
    plan = SamplingPlan((0.05, 0.1, 0.29, 0.6))
    frames = list(decoder.frames(take_in(path, limits=LIMITS), plan))
    found = [(f.index, round(f.pts_seconds, 3), media_factory.index_of(f.pixels)) for f in frames]
    assert found == [(0, 0.0, 0), (1, 0.1, 1), (2, 0.6, 3)]


def test_a_slow_animation_shows_every_picture(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_animation(tmp_path / "x", "GIF", [1000, 1000])
    plan = SamplingPlan.over(2.0, frames_per_second=2, max_frames=64)
    found = [media_factory.index_of(f.pixels) for f in decoder.frames(take_in(path, limits=LIMITS), plan)]
    assert found == [0, 1]


def test_examine_refuses_a_header_bomb_before_decoding(decoder: Decoder, tmp_path: Path) -> None:
    with pytest.raises(MediaTooLarge, match="pixels"):
        _examine(decoder, media_factory.save_png_header_bomb(tmp_path / "x"))


def test_examine_refuses_one_pixel_more_than_the_limit(tmp_path: Path) -> None:
    path = media_factory.save_picture(tmp_path / "x", "PNG", Image.new("L", (11, 10)))
    with Decoder(Limits(max_pixels=110)) as roomy, Decoder(Limits(max_pixels=109)) as tight:
        assert _pixels(_examine(roomy, path)).shape == (10, 11, 3)
        with pytest.raises(MediaTooLarge):
            _examine(tight, path)


@pytest.mark.parametrize("format_name", list(media_factory.PICTURE_FORMATS))
def test_a_picture_cut_at_ten_places_gives_a_typed_error_or_a_picture(
    decoder: Decoder, tmp_path: Path, format_name: str
) -> None:
    data = media_factory.save_picture(tmp_path / "whole", format_name).read_bytes()
    refused = 0
    for tenth in range(10):
        cut = tmp_path / f"cut{tenth}"
        cut.write_bytes(data[: max(1, len(data) * tenth // 10)])
        try:
            assert _pixels(_examine(decoder, cut)).shape == (64, 96, 3)
        except (UndecodableMedia, UnsupportedMedia):
            refused += 1
    assert refused >= 5


def test_damage_inside_a_picture_never_escapes_as_an_untyped_error(decoder: Decoder, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    for number, format_name in enumerate(["JPEG", "PNG", "WEBP", "TIFF", "GIF", "HEIF", "AVIF", "BMP"] * 3):
        data = bytearray(media_factory.save_picture(tmp_path / "whole", format_name).read_bytes())
        for place in rng.integers(0, len(data), 12):
            data[place] ^= int(rng.integers(1, 256))
        path = tmp_path / f"damaged{number}"
        path.write_bytes(data)
        with suppress(MediaError):
            _examine(decoder, path)


def test_two_runs_give_the_same_pixels_and_leave_the_file_alone(decoder: Decoder, tmp_path: Path) -> None:
    path = media_factory.save_oriented(tmp_path / "x", 7)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    first, second = _examine(decoder, path), _examine(decoder, path)
    assert np.array_equal(_pixels(first), _pixels(second))
    assert first.facts == second.facts
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
