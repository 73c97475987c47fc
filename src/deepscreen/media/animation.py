"""Animated GIF, PNG, WebP and AVIF as clips: Pillow's frames at the times that their durations give.

Runs in the decoder process.
"""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from deepscreen.errors import MediaTooLarge, UndecodableMedia
from deepscreen.findings.finding import finding
from deepscreen.media.image import to_rgb
from deepscreen.media.samples import MediaFacts, StreamFacts
from deepscreen.media.sniff import Sniffed

DEFAULT_STEP_MS = 100.0  # what browsers show a frame for whose duration is 0


def animation_steps(image: Image.Image) -> Iterator[tuple[float, float]]:
    """Start and length in seconds of each frame that decodes; *image* stands at that frame."""
    start_ms = 0.0  # summed as the files count, so that a frame at 0.6 s begins at 0.6 s
    for number in range(getattr(image, "n_frames", 1)):
        try:
            image.seek(number)
            image.load()
        except (EOFError, OSError, SyntaxError, ValueError) as error:
            if number == 0:
                raise UndecodableMedia(f"not one frame of the animation can be decoded: {error}") from error
            return
        step_ms = float(image.info.get("duration") or DEFAULT_STEP_MS)
        yield start_ms / 1000, step_ms / 1000
        start_ms += step_ms


def probe_animation(image: Image.Image, sniffed: Sniffed, *, max_duration_seconds: float) -> MediaFacts:
    """What the animation is, found by decoding all of it; raises MediaTooLarge beyond the longest duration."""
    steps, duration_seconds, frame_count = set(), 0.0, 0
    for start_seconds, step_seconds in animation_steps(image):
        steps.add(step_seconds)
        frame_count += 1
        duration_seconds = start_seconds + step_seconds
        if duration_seconds > max_duration_seconds:
            raise MediaTooLarge(f"an animation of more than {max_duration_seconds} s (limits.max_duration_seconds)")
    stream = StreamFacts(
        kind="video",
        codec=sniffed.format.lower(),
        width_px=image.width,
        height_px=image.height,
        frame_count_measured=frame_count,
        variable_frame_rate=len(steps) > 1,
        duration_seconds_measured=duration_seconds,
    )
    facts = [
        finding("animated", f"an animated picture of {frame_count} frames was screened as a clip", source="decoding")
    ]
    claimed = getattr(image, "n_frames", 1)
    if claimed != frame_count:
        facts.append(finding("truncated", f"{frame_count} of {claimed} frames could be decoded", source="decoding"))
    return MediaFacts("video", sniffed.format, sniffed.mime, (stream,), tuple(facts))


def animation_frames(image: Image.Image) -> Iterator[tuple[float, Image.Image]]:
    """Start in seconds and RGB picture of each frame, in order; transparent pixels over white."""
    for start_seconds, _ in animation_steps(image):
        rgb = to_rgb(image)[0]
        yield start_seconds, rgb.copy() if rgb is image else rgb  # the next seek changes `image` in place
