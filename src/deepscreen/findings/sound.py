"""What lossless sound tells of its past: a lossy codec's band limit, an upsampling, cuts and inserted silence.

Works on samples at their own rate. Cuts that were cross-faded, and codecs at high bit rates, leave none of these
traces.
*Sources:* D'Alessandro and Shi, MP3 bit rate quality detection through frequency spectrum analysis (2009), for band
limits; Cooper, Detecting butt-spliced edits in forensic digital audio recordings (2010), for jumps. Simpler than
both.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from deepscreen.findings.finding import Finding, finding

FFT_SAMPLES = 2048
LEAST_SECONDS = 1.0
LEAST_RATE_HZ = 16_000
BAND_HZ = 600.0
CLIFF_DECIBEL = 25.0
CLIFF_BEGINS_AT = 0.6  # of its whole depth
FLOOR_DECIBEL = -115.0  # of full scale, per bin: 16-bit dither lies near -130
LOWEST_LIMIT_HZ, HIGHEST_SHARE = 3_000.0, 0.93
QUIET_SHARE = 0.25  # frames that are loud enough to show a limit, counted from the loudest
KNOWN_HALF_RATES_HZ = (4_000, 5_512, 8_000, 11_025, 12_000)  # at 16 kHz and above also MP3 and AAC cut
LIMIT_LOW, LIMIT_HIGH = 0.86, 1.1  # filters of converters end a little below or above half the old rate
SILENCE_SECONDS = 0.03
LEAST_LOUDNESS = 1e-3
JUMP_RATIO = 10.0
JUMP_LEAST = 0.08
JUMP_WINDOW_SECONDS = 0.01
MOST_ASKED = 20_000  # each takes tens of microseconds
MOST_PLACES = 8
Samples = NDArray[np.float32]


def sound_history(samples: Samples, sample_rate_hz: int) -> Iterator[Finding]:
    """Findings on mono *samples* of a lossless track at its own rate."""
    if len(samples) < LEAST_SECONDS * sample_rate_hz or float(np.abs(samples).max(initial=0)) < LEAST_LOUDNESS:
        return
    yield from _band_limit(samples, sample_rate_hz)
    yield from _inner_silence(samples, sample_rate_hz)
    yield from _jumps(samples, sample_rate_hz)


def _band_limit(samples: Samples, sample_rate_hz: int) -> Iterator[Finding]:
    if sample_rate_hz < LEAST_RATE_HZ:
        return
    limit_hz, drop = band_limit(samples, sample_rate_hz)
    if limit_hz is None:
        return
    half = next((h for h in KNOWN_HALF_RATES_HZ if LIMIT_LOW * h < limit_hz <= LIMIT_HIGH * h), None)
    facts = {"limit_hz": round(limit_hz), "drop_decibel": round(drop, 1), "sample_rate_hz": sample_rate_hz}
    if half is not None and half < 0.75 * sample_rate_hz / 2:
        yield finding(
            "upsampled_sound",
            f"The sound ends sharply near {limit_hz / 1000:.1f} kHz, as if recorded at {2 * half} Hz and "
            "converted to a higher rate, or sent through a narrow channel.",
            source="samples",
            severity="notice",
            facts={**facts, "likely_rate_hz": 2 * half},
        )
        return
    yield finding(
        "lossy_history",
        f"The sound is stored without loss but ends sharply near {limit_hz / 1000:.1f} kHz, as MP3, AAC and "
        "their relatives cut it, or as a synthesis of that bandwidth leaves it.",
        source="samples",
        severity="notice",
        facts=facts,
    )


def band_limit(samples: Samples, sample_rate_hz: int) -> tuple[float | None, float]:
    """The frequency of a cliff in the long-term spectrum, and its depth in decibel; None where there is none."""
    power = _loud_power(samples)
    level = 10 * np.log10(power + 1e-20)
    bin_hz = sample_rate_hz / FFT_SAMPLES
    span = max(3, round(BAND_HZ / bin_hz))
    gap = max(1, span // 4)
    sums = np.concatenate(([0.0], np.cumsum(level)))
    first, last = round(LOWEST_LIMIT_HZ / bin_hz), min(round(HIGHEST_SHARE * len(level)), len(level) - span - gap)
    at = np.arange(max(first, span + gap), last)
    if len(at) == 0:
        return None, 0.0
    below = (sums[at - gap] - sums[at - gap - span]) / span
    above = (sums[at + gap + span] - sums[at + gap]) / span
    drop = below - above
    best = int(drop.argmax())
    edge = int(at[np.flatnonzero(drop >= CLIFF_BEGINS_AT * drop[best])[0]])  # where it begins: some are wide
    beyond = level[int(at[best]) + gap + span :]
    stays_low = len(beyond) == 0 or float(beyond.mean()) <= above[best] + 6
    if drop[best] < CLIFF_DECIBEL or not stays_low or below[best] < FLOOR_DECIBEL:
        return None, float(drop[best])
    return edge * bin_hz, float(drop[best])


def _loud_power(samples: Samples) -> NDArray[np.float64]:
    """Mean power of the loudest quarter of windows, by frequency, of full scale."""
    frames = len(samples) // FFT_SAMPLES
    windows = samples[: frames * FFT_SAMPLES].reshape(frames, FFT_SAMPLES)
    energy = (windows.astype(np.float64) ** 2).mean(axis=1)
    kept = windows[np.argsort(energy, kind="stable")[-max(4, round(frames * QUIET_SHARE)) :]]
    window = np.hanning(FFT_SAMPLES)
    spectrum = np.abs(np.fft.rfft(kept * window, axis=1)) / window.sum()
    power: NDArray[np.float64] = (spectrum**2).mean(axis=0)
    return power


def _inner_silence(samples: Samples, sample_rate_hz: int) -> Iterator[Finding]:
    """Stretches of one and the same value between sound: a microphone with a fine converter is never so still."""
    same = np.concatenate(([False], samples[1:] == samples[:-1], [False]))
    edges = np.flatnonzero(same[1:] != same[:-1])
    starts, ends = edges[::2], edges[1::2]
    long = (ends - starts) >= SILENCE_SECONDS * sample_rate_hz
    inner = [(int(a), int(b)) for a, b in zip(starts[long], ends[long], strict=True) if a > 0 and b < len(samples) - 1]
    inner = [(a, b) for a, b in inner if abs(float(samples[a])) < 0.5]  # clipped peaks are something else
    if inner:
        yield finding(
            "digital_silence",
            f"Between sounds the samples stand still {_times(len(inner))}, as in silence that was inserted or "
            "gated, or that a coarse converter recorded.",
            source="samples",
            severity="notice",
            facts={"places": len(inner), "at": _places(inner, sample_rate_hz)},
        )


def _jumps(samples: Samples, sample_rate_hz: int) -> Iterator[Finding]:
    """Steps from one sample to the next far beyond those around them, as a cut without a cross-fade leaves them."""
    steps = np.abs(np.diff(samples))
    window = max(8, round(JUMP_WINDOW_SECONDS * sample_rate_hz))
    asked = _could_be_jumps(steps, window)
    if len(asked) > MOST_ASKED:
        return  # so many are crackling, not cuts
    found = []
    for at in asked:
        around = np.concatenate((steps[max(0, at - window) : max(0, at - 2)], steps[at + 3 : at + 3 + window]))
        if len(around) >= window and steps[at] >= JUMP_RATIO * (np.sort(around)[int(0.95 * len(around))] + 1e-4):
            found.append((int(at), int(at)))
        if len(found) > 100:
            return  # so many are crackling, not cuts
    if found:
        yield finding(
            "sound_jumps",
            f"The sound jumps from one sample to the next {_times(len(found))}, as at a cut without "
            "cross-fade or a click.",
            source="samples",
            severity="notice",
            facts={"places": len(found), "at": _places(found, sample_rate_hz)},
        )


def _could_be_jumps(steps: Samples, window: int) -> NDArray[np.int64]:
    """Places of steps that are large and far beyond most of those shortly before: a quick look that misses no jump.

    Where at most a twentieth of the steps around are larger than some level, of the half window of them that lies in a
    block of its own the rest are at most that level too.
    """
    large = np.flatnonzero(steps >= JUMP_LEAST)
    half, around = (window - 2) // 2, 2 * window - 2
    beyond = around - 1 - int(0.95 * around)
    blocks = np.sort(steps[: len(steps) // half * half].reshape(-1, half), axis=1)
    quiet = blocks[:, half - 1 - beyond]
    before = (large - 2) // half - 1  # the last block that ends before what is left out around a step
    far = steps[large] >= JUMP_RATIO * (quiet[np.maximum(before, 0)] + 1e-4)
    return np.asarray(large[(before < 0) | far])


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _places(stretches: list[tuple[int, int]], sample_rate_hz: int) -> str:
    def text(a: int, b: int) -> str:
        start, end = a / sample_rate_hz, b / sample_rate_hz
        return f"{start:.3f} s" if a == b else f"{start:.3f} to {end:.3f} s"

    return ", ".join(text(a, b) for a, b in stretches[:MOST_PLACES]) + (", ..." if len(stretches) > MOST_PLACES else "")
