"""Fingerprints find re-encoded copies, and nothing else, and are what the published ones are."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from deepscreen.fingerprints import near
from deepscreen.fingerprints.grouping import group_clips, group_pictures, group_sounds
from deepscreen.fingerprints.near import near_pairs
from deepscreen.fingerprints.pdq import MAX_DISTANCE, MIN_QUALITY, pdq
from deepscreen.fingerprints.sound import SAMPLE_RATE_HZ, bit_errors, sound_words

SHARED_PICTURES = Path(__file__).resolve().parents[3] / "shared/data/image"
SAMPLES = Path(__file__).resolve().parents[2] / "sample_media"
PORTRAIT = SAMPLES / "bona_fide/portrait_hopper.jpg"
# Of the reference implementation (pdqhash 0.2.8), of pictures that need no scaling.
REFERENCE = {
    "spoof/face_swap.jpg": "6d6b1af3a956c529c79ca3d2506fa834d4196c81c6fd04de0a26f855fc99b724",
    "bona_fide/portrait_collins.png": "2d6b1af3a956c529e79ca3d2526fa834d4196c81cedd04de0a26b855fc99b724",
}


def distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def recoded(image: Image.Image, **options: object) -> np.ndarray:
    file = io.BytesIO()
    image.save(file, **options)  # type: ignore[arg-type]
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.mark.parametrize(("name", "expected"), REFERENCE.items())
def test_pdq_is_that_of_the_reference(name: str, expected: str) -> None:
    found, quality = pdq(np.asarray(Image.open(SAMPLES / name).convert("RGB")))
    assert (found.hex(), quality) == (expected, 100)


def test_copies_of_a_picture_have_nearly_one_hash() -> None:
    image = Image.open(PORTRAIT).convert("RGB")
    first, quality = pdq(np.asarray(image))
    assert quality >= MIN_QUALITY
    small = image.resize((image.width // 2, image.height // 2))
    copies = [recoded(image, format="JPEG", quality=30), recoded(small, format="WEBP", quality=60)]
    assert max(distance(first, pdq(copy)[0]) for copy in copies) <= MAX_DISTANCE


def test_picture_without_features_has_no_quality() -> None:
    assert pdq(np.full((100, 80, 3), 90, np.uint8))[1] < MIN_QUALITY


def test_small_and_long_pictures_have_a_hash() -> None:
    rng = np.random.default_rng(0)
    for height, width in ((1, 1), (3, 900), (2000, 30)):
        assert len(pdq(rng.integers(0, 255, (height, width, 3), np.uint8))[0]) == 32


def pairs_of(hashes: np.ndarray) -> set[tuple[int, int]]:
    blocks = near_pairs(hashes, MAX_DISTANCE)
    return {pair for ones, others in blocks for pair in zip(ones.tolist(), others.tolist(), strict=True)}


def with_bits_changed(base: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """*base* with *count* of its 256 bits changed."""
    changed = base.copy()
    for bit in rng.choice(256, count, replace=False).tolist():
        changed[bit // 64] ^= np.uint64(1 << bit % 64)
    return changed


@pytest.mark.parametrize("spread", [True, False], ids=["unrelated", "one long scene"])
def test_near_pairs_are_all_those_that_comparing_one_by_one_finds(
    spread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Distances around the greatest that counts; looked up by parts, or, where those are alike, all with all."""
    monkeypatch.setattr(near, "PAIRS_AT_ONCE", 5000)
    rng = np.random.default_rng(1)
    count = 3000 if spread else 200
    hashes = rng.integers(0, 2**64, (count, 4), np.uint64)
    if not spread:
        hashes[:] = hashes[0]
    for number in range(count // 10):
        at = rng.integers(0, count)
        hashes[number] = with_bits_changed(hashes[at], int(rng.integers(0, 40)), rng)
    distances = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(axis=2)
    ones, others = np.nonzero(distances <= MAX_DISTANCE)
    expected = {(i, j) for i, j in zip(ones.tolist(), others.tolist(), strict=True) if i < j}
    assert len(expected) > count // 20
    assert pairs_of(hashes) == expected


def test_two_bits_in_every_part_are_too_far() -> None:
    """The nearest hashes that no part would find are those that must not be found; with a bit less they must be."""
    base = np.zeros(4, np.uint64)
    far = np.full(4, 0x0003_0003_0003_0003, np.uint64)
    near_enough = far.copy()
    near_enough[2] ^= np.uint64(1 << 16)
    others = np.random.default_rng(2).integers(0, 2**64, (400, 4), np.uint64)
    assert pairs_of(np.vstack([base, far, others])) == set()
    assert pairs_of(np.vstack([base, near_enough, others])) == {(0, 1)}
    with pytest.raises(ValueError, match="0 to 31"):
        list(near_pairs(others, 32))


def test_groups_go_by_chains_and_copies_of_one_hash() -> None:
    rng = np.random.default_rng(1)
    hashes = rng.integers(0, 2**64, (60, 4), np.uint64)
    hashes[40] = with_bits_changed(hashes[7], 30, rng)
    hashes[8] = with_bits_changed(hashes[40], 30, rng)
    hashes[50] = hashes[51] = hashes[20]
    assert group_pictures([row.tobytes() for row in hashes]) == [[7, 8, 40], [20, 50, 51]]


def test_clips_are_one_when_most_of_their_frames_are() -> None:
    frames = [bytes([k]) * 32 for k in range(12)]
    clips = [frames[:8], [*frames[:6], frames[9], frames[10]], [*frames[:3], *frames[8:12]], frames[:1]]
    assert group_clips(clips) == [[0, 1]]


def sound(seed: int, seconds: float = 4.0) -> np.ndarray:
    """Noise that swells and fades: something that has a course in every band."""
    rng, length = np.random.default_rng(seed), int(seconds * SAMPLE_RATE_HZ)
    loudness = np.interp(np.arange(length), np.linspace(0, length, 12), rng.uniform(0.02, 0.2, 12))
    return np.asarray(rng.normal(0, 1, length) * loudness, np.float32)


def test_copies_of_a_recording_are_one_and_others_are_not() -> None:
    rng = np.random.default_rng(5)
    sounds = [sound(seed) for seed in range(12)]
    late = np.concatenate([np.zeros(777, np.float32), sounds[3]])
    noisy = sounds[3] * 0.5 + rng.normal(0, 0.002, len(sounds[3])).astype(np.float32)
    found = [sound_words(samples) for samples in [*sounds, late, noisy]]
    words = [one for one in found if one is not None]
    assert len(words) == 14
    assert group_sounds(words) == [[3, 12, 13]]
    assert bit_errors(words[0], words[1]) > 0.4


def test_silence_and_a_steady_tone_have_no_fingerprint() -> None:
    times = np.arange(5 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    assert sound_words(np.zeros(5 * SAMPLE_RATE_HZ, np.float32)) is None
    assert sound_words(np.zeros(10, np.float32)) is None
    assert sound_words(np.asarray(np.sin(2 * np.pi * 440 * times), np.float32)) is None


KNOWN_COPY = "_teaser_c8.jpg"  # shows the very photograph of another group, seen by eye


def unrelated_pictures(count: int) -> list[Path]:
    """Pictures of the labelled collection, one of each group and source of a generator's pictures."""
    manifest = SHARED_PICTURES / "manifest.csv"
    if not manifest.is_file():
        pytest.skip("the labelled collection is not here")
    with manifest.open(newline="", encoding="utf-8") as file:
        by_group = {row["group"]: SHARED_PICTURES / row["path"] for row in csv.DictReader(file)}
    return [path for path in by_group.values() if not path.name.endswith(KNOWN_COPY)][:count]


def opened(path: Path) -> Image.Image:
    register_heif_opener()
    with Image.open(path) as image:
        has_bytes = isinstance(image.info.get("transparency"), bytes)  # a palette that says how clear each colour is
        return (image.convert("RGBA") if has_bytes else image).convert("RGB")


@pytest.mark.slow
def test_a_thousand_unrelated_pictures_are_not_merged_and_their_copies_are() -> None:
    """Pictures of the labelled collection, each of a group of its own; a copy of every twentieth, coded again."""
    paths = unrelated_pictures(1000)
    hashes, copies = [], []
    for number, path in enumerate(paths):
        image = opened(path)
        found, quality = pdq(np.asarray(image))
        if quality < MIN_QUALITY:
            continue
        hashes.append(found)
        if number % 20 == 0:
            copies.append((len(hashes) - 1, pdq(recoded(image, format="JPEG", quality=50))[0]))
    assert len(hashes) > 900
    assert group_pictures(hashes) == []
    merged = group_pictures([*hashes, *(copy for _, copy in copies)])
    assert merged == [[original, len(hashes) + k] for k, (original, _) in enumerate(copies)]
