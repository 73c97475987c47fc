"""What a decoder process does with a file: examine it, look it over, sample its frames, or give its sound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepscreen.findings.finding import Finding
from deepscreen.findings.picture import picture_findings
from deepscreen.media.animation import animation_frames, probe_animation
from deepscreen.media.audio import Samples, sound_blocks
from deepscreen.media.image import copy_pixels, is_animated, open_picture, pillow_errors, upright_rgb
from deepscreen.media.inspection import findings_of
from deepscreen.media.probe import check_pixels, probe_container
from deepscreen.media.samples import MediaFacts, Pixels, StreamFacts
from deepscreen.media.sniff import Sniffed, sniff
from deepscreen.media.video import clip_frames, frame_pixels, shown_at
from deepscreen.media.wire import MAX_FINDINGS, Job


class Outlet(Protocol):
    """Where results go."""

    def tell_facts(self, facts: MediaFacts) -> None: ...

    def tell_finding(self, found: Finding) -> None: ...

    def reserve(self, pixels: int) -> Callable[[Callable[[NDArray[np.uint8]], None]], None]:
        """Ask for a buffer of so many pixels (times 3) while they are not yet decoded; call the answer to fill it."""
        ...

    def send_pixels(self, height_px: int, width_px: int, pts_seconds: float, write: Callable[[Pixels], None]) -> None:
        """Ask for a buffer and let *write* fill it, (height, width, 3)."""
        ...

    def send_sound(self, samples: Samples) -> None: ...


def perform(job: Job, file: BinaryIO, outlet: Outlet) -> None:
    """Do what *job* asks; raises MediaError with the reason when the file does not allow it."""
    sniffed = sniff(file)
    OPERATIONS[job.operation](job, file, sniffed, outlet)


def _examine(job: Job, file: BinaryIO, sniffed: Sniffed, outlet: Outlet) -> None:
    if sniffed.reader == "ffmpeg":
        outlet.tell_facts(probe_container(file, sniffed, job.limits))
        return
    with pillow_errors(sniffed.format):
        image = open_picture(file, sniffed, max_pixels=job.limits.max_pixels)
        if is_animated(image):
            longest = job.limits.max_duration_seconds
            outlet.tell_facts(probe_animation(image, sniffed, max_duration_seconds=longest))
        else:
            _examine_still(image, sniffed, outlet)


def _examine_still(image: Image.Image, sniffed: Sniffed, outlet: Outlet) -> None:
    fill = outlet.reserve(image.width * image.height)
    container = image.format or sniffed.format
    rgb, facts = upright_rgb(image)
    if sniffed.format == "JPEG":
        facts += tuple(picture_findings(image))
    stream = StreamFacts(kind="image", codec=container.lower(), width_px=rgb.width, height_px=rgb.height)
    outlet.tell_facts(MediaFacts("image", container, sniffed.mime, (stream,), facts))
    fill(lambda buffer: copy_pixels(rgb, buffer.reshape(rgb.height, rgb.width, 3)))


def _inspect(job: Job, file: BinaryIO, sniffed: Sniffed, outlet: Outlet) -> None:
    for found in islice(findings_of(job, file, sniffed), MAX_FINDINGS):
        outlet.tell_finding(found)


def _frames(job: Job, file: BinaryIO, sniffed: Sniffed, outlet: Outlet) -> None:
    if sniffed.reader == "ffmpeg":
        for pts_seconds, frame in clip_frames(file, sniffed, job.times_seconds):
            check_pixels(frame.width, frame.height, job.limits)
            _send_array(frame_pixels(frame), pts_seconds, outlet)
        return
    with pillow_errors(sniffed.format):
        image = open_picture(file, sniffed, max_pixels=job.limits.max_pixels)
        frames = animation_frames(image) if is_animated(image) else iter(())
        _send_pictures(shown_at(frames, job.times_seconds) if job.times_seconds else (), outlet)


def _send_array(pixels: Pixels, pts_seconds: float, outlet: Outlet) -> None:
    def write(target: Pixels) -> None:
        target[:] = pixels

    outlet.send_pixels(pixels.shape[0], pixels.shape[1], pts_seconds, write)


def _send_pictures(frames: Iterable[tuple[float, Image.Image]], outlet: Outlet) -> None:
    for pts_seconds, rgb in frames:
        outlet.send_pixels(rgb.height, rgb.width, pts_seconds, partial(copy_pixels, rgb))


def _sound(job: Job, file: BinaryIO, sniffed: Sniffed, outlet: Outlet) -> None:
    for samples in _sound_of(job, file, sniffed):
        outlet.send_sound(samples)


def _sound_of(job: Job, file: BinaryIO, sniffed: Sniffed) -> Iterator[Samples]:
    if sniffed.reader == "ffmpeg":
        block_samples = max(1, round(job.block_seconds * job.sample_rate_hz))
        yield from sound_blocks(file, sniffed, sample_rate_hz=job.sample_rate_hz, block_samples=block_samples)


OPERATIONS: dict[str, Callable[[Job, BinaryIO, Sniffed, Outlet], None]] = {
    "examine": _examine,
    "inspect": _inspect,
    "frames": _frames,
    "sound": _sound,
}
