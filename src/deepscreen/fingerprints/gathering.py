"""Fingerprints of what is decoded anyway: they are taken while the detectors read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from deepscreen.fingerprints.kinds import FRAMES
from deepscreen.fingerprints.pdq import MIN_QUALITY, pdq
from deepscreen.fingerprints.sound import LONGEST_SECONDS, SAMPLE_RATE_HZ, sound_words
from deepscreen.media.samples import Frame, Pixels, SamplingPlan, Waveform

# A low-pass filter before every second sample is left out; the fingerprint looks at nothing above 2 kHz.
HALVING_TAPS = 31


def picture_fingerprint(pixels: Pixels) -> bytes:
    """The PDQ hash of a picture; empty where it has too few features to be told by."""
    found, quality = pdq(pixels)
    return found if quality >= MIN_QUALITY else b""


def sound_fingerprint(samples: NDArray[np.float32]) -> bytes:
    """The words of mono sound at 8 kHz as bytes; empty where there is too little to tell it by."""
    words = sound_words(samples)
    return b"" if words is None else words.tobytes()


def frames_plan(duration_seconds: float) -> SamplingPlan:
    """When the frames of a clip are shown that its fingerprint is made of."""
    return SamplingPlan.over(
        duration_seconds, frames_per_second=FRAMES / duration_seconds if duration_seconds else 1, max_frames=FRAMES
    )


class ClipFingerprint:
    """Takes the frames that are shown at ``FRAMES`` times, out of those that a detector reads from first to last."""

    def __init__(self, duration_seconds: float) -> None:
        self._times_seconds = frames_plan(duration_seconds).times_seconds
        self.content = b""  # the PDQ hashes, one after the other; empty until a reading has ended
        self.is_whole = False  # whether one has

    def watched(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The same frames. A reading that is broken off leaves nothing, and the first whole one is enough."""
        if self.is_whole:
            yield from frames
            return
        wanted, taken = list(self._times_seconds), list[bytes]()
        shown: Frame | None = None
        for frame in frames:
            if shown is not None and wanted and frame.pts_seconds > wanted[0]:
                taken.append(picture_fingerprint(shown.pixels))
                wanted = [time for time in wanted if time >= frame.pts_seconds]
            shown = frame
            yield frame
        if shown is not None and wanted:
            taken.append(picture_fingerprint(shown.pixels))
        self.content, self.is_whole = b"".join(taken), True


class SoundFingerprint:
    """Takes the first minute out of the blocks that a detector reads."""

    def __init__(self) -> None:
        self.content = b""  # of the sound's words; empty until a reading got far enough
        self._is_done = False

    def watched(self, blocks: Iterator[Waveform]) -> Iterator[Waveform]:
        """The same blocks. A reading that is broken off before the minute is over leaves nothing."""
        kept, seconds = list[Waveform](), 0.0
        for block in blocks:
            if not self._is_done:
                kept.append(block)
                seconds += block.duration_seconds
                if seconds >= LONGEST_SECONDS:
                    self._take(kept)
            yield block
        if kept and not self._is_done:
            self._take(kept)

    def _take(self, blocks: list[Waveform]) -> None:
        self._is_done = True
        if blocks[0].sample_rate_hz != 2 * SAMPLE_RATE_HZ:
            return  # no detector reads at another rate
        samples = np.concatenate([block.samples for block in blocks])
        samples = samples[: round(LONGEST_SECONDS * 2 * SAMPLE_RATE_HZ)]
        self.content = sound_fingerprint(halved_rate(samples))


def halved_rate(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every second sample after a low-pass filter at a quarter of the rate (a sinc under a Hamming window)."""
    if len(samples) < HALVING_TAPS:
        return samples[::2]
    places = np.arange(HALVING_TAPS) - HALVING_TAPS // 2
    taps = np.sinc(places / 2) * np.hamming(HALVING_TAPS)
    return np.asarray(np.convolve(samples, (taps / taps.sum()).astype(np.float32), "same")[::2], np.float32)
