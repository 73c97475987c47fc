"""Makes sample_media/ anew from free originals in Python, Debian and npm packages, and its README with hashes.

Needs, besides Deepscreen's own environment: a Debian or Ubuntu with espeak-ng and flite, npm, and `pip install pyworld`
(not a dependency). Encoders differ between versions, so a rerun gives the same content but not the same bytes; the
README lists the bytes that are there.

    python scripts/make_sample_media.py --work /tmp/originals        (add --readme-only to renew the table)
"""

from __future__ import annotations

import argparse
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pillow_heif
from media_recipes import clips, pictures, sounds
from media_recipes.readme import write_readme
from media_recipes.sources import SOURCES, fetch
from PIL import Image, ImageOps

from deepscreen.faces import FaceLocator
from deepscreen.settings import load_settings
from deepscreen.weights.store import locate_weights

ROOT = Path(__file__).resolve().parents[1]
WEBCAM_START_SECONDS, CLIP_SECONDS, CLIP_RATE = 6.0, 6.0, 25
SPLICED_TEXT = "Please transfer the whole amount"


class Originals:
    """The packages' files by their name in SOURCES, fetched and proven when first asked for."""

    def __init__(self, work: Path) -> None:
        self._work = work

    def path(self, name: str) -> Path:
        """The proven file itself."""
        return fetch(SOURCES[name], self._work)

    def picture(self, name: str) -> pictures.Pixels:
        """Its pixels, RGB, turned upright."""
        with Image.open(self.path(name)) as picture:
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"), np.uint8)

    def sound(self, name: str) -> sounds.Samples:
        """Its samples at 16 kHz."""
        path = self.path(name)
        return sounds.load(path, container="g722" if path.suffix == ".g722" else None)


def save_picture(path: Path, pixels: pictures.Pixels) -> None:
    """JPEG, WebP and HEIC at quality 90, PNG lossless, by suffix."""
    Image.fromarray(pixels).save(path, quality=90)


def make_pictures(originals: Originals, locator: FaceLocator, out: Path) -> None:
    """Four bona fide photographs and four manipulated ones, in the same four formats."""
    shutil.copyfile(originals.path("hopper"), out / "bona_fide/portrait_hopper.jpg")
    shutil.copyfile(originals.path("collins"), out / "bona_fide/portrait_collins.png")
    dogs = pictures.resize_long_side(originals.picture("dogs"), 1600)
    save_picture(out / "bona_fide/dogs.webp", dogs)
    save_picture(out / "bona_fide/fig.heic", pictures.resize_long_side(originals.picture("fig"), 1600))

    collins, hopper = originals.picture("collins"), originals.picture("hopper")
    face_of = partial(locator.locate, max_faces=1)
    swapped = pictures.swap_face(collins, face_of(collins)[0], hopper, face_of(hopper)[0])
    save_picture(out / "spoof/face_swap.jpg", swapped)
    save_picture(out / "spoof/face_self_blend.png", pictures.self_blend(collins, face_of(collins)[0]))
    third_dog = pictures.splice(dogs, dogs, (500, 690, 225, 360), scale=1.0, to=(870, 900))
    save_picture(out / "spoof/copied_dog.webp", third_dog)
    mountains = pictures.resize_long_side(originals.picture("mountains"), 1600)
    bird = pictures.resize_long_side(originals.picture("bird"), 1440)
    save_picture(
        out / "spoof/spliced_bird.heic",
        pictures.splice(mountains, bird, (350, 600, 600, 330), scale=0.5, to=(420, 380)),
    )


def make_clips(originals: Originals, locator: FaceLocator, out: Path) -> None:
    """A street, a man before a webcam, and the same man with another's face: throughout, and for two seconds."""
    shutil.copyfile(originals.path("street"), out / "bona_fide/street.mp4")
    webcam, donor = originals.path("webcam"), originals.picture("hopper")
    voice = sounds.cut(originals.sound("italian"), 1.0, 1.0 + CLIP_SECONDS)
    cut = partial(clips.frames_of, webcam, WEBCAM_START_SECONDS, WEBCAM_START_SECONDS + CLIP_SECONDS)
    write = partial(clips.write, rate=CLIP_RATE)
    write(out / "bona_fide/webcam.webm", cut(), sound=voice, encoding=clips.WEBM)
    partly = clips.swap_in_clip(cut(), donor, locator, from_frame=2 * CLIP_RATE, to_frame=4 * CLIP_RATE)
    write(out / "spoof/face_swap_2s_to_4s.webm", partly, sound=voice, encoding=clips.WEBM)
    speech = sounds.speak(
        "Good morning. This is a message from the director. Please open the attached file.", engine="flite"
    )
    speech = np.pad(speech, (0, max(0, round(CLIP_SECONDS * sounds.RATE_HZ) - speech.size)))[
        : round(CLIP_SECONDS * sounds.RATE_HZ)
    ]
    whole = clips.swap_in_clip(cut(), donor, locator)
    write(out / "spoof/face_swap_synthetic_voice.mp4", whole, sound=speech, encoding=clips.MP4)


def make_sounds(originals: Originals, out: Path) -> None:
    """Three recordings, three manipulated or synthetic ones in the same three formats, and silence."""
    shutil.copyfile(originals.path("prompt_telephone"), out / "bona_fide/telephone_prompt.wav")
    reading, prompt = originals.sound("reading"), originals.sound("prompt")
    sounds.write_pcm(out / "bona_fide/reading.flac", reading)
    sounds.write_opus(out / "bona_fide/prompt.opus", prompt)

    robot = sounds.speak(
        "You have reached the account department. To approve the payment, press one.", engine="espeak-ng"
    )
    sounds.write_pcm(out / "spoof/telephone_espeak.wav", sounds.level_as(robot, prompt), rate_hz=8_000)
    sounds.write_pcm(out / "spoof/vocoded_reading.flac", sounds.vocode(originals.sound("reading_next")))
    inserted = sounds.level_as(sounds.speak(SPLICED_TEXT, engine="flite"), prompt)
    spliced = np.concatenate([sounds.cut(prompt, 0.0, 5.95), inserted, sounds.cut(prompt, 5.95, 8.4)])
    sounds.write_opus(out / "spoof/partly_synthetic.opus", spliced)
    sounds.write_pcm(out / "edge_cases/silence.wav", np.zeros(3 * sounds.RATE_HZ, np.float32))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the fetched originals")
    parser.add_argument("--out", type=Path, default=ROOT / "sample_media")
    parser.add_argument(
        "--readme-only", action="store_true", help="only rewrite README.md from the files that are there"
    )
    options = parser.parse_args()
    if not options.readme_only:
        for folder in ("bona_fide", "spoof", "edge_cases"):
            (options.out / folder).mkdir(parents=True, exist_ok=True)
        options.work.mkdir(parents=True, exist_ok=True)
        pillow_heif.register_heif_opener()
        originals = Originals(options.work.resolve())
        locator = FaceLocator(locate_weights("yunet", load_settings()).path)
        make_pictures(originals, locator, options.out)
        make_clips(originals, locator, options.out)
        make_sounds(originals, options.out)
    write_readme(options.out)


if __name__ == "__main__":
    main()
