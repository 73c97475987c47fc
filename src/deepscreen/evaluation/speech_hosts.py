"""Half minutes of speech with one synthetic second, and their bona fide controls with the same joins.

A host is joined from bona fide recordings of one source, again and again until it is long enough. In the control a
second is exchanged for one of another bona fide recording of that source, in the manipulated one for a second of a
spoof: so joins, their number, their kind and their places are the same, and no join can be the cue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from deepscreen.evaluation.span_cases import UNTOUCHED, SpanCase
from deepscreen.evaluation.span_hosts import Host, hosts_of
from deepscreen.training.audio_features import load_recording
from deepscreen.training.labelled import LabelledFile, item_rng

RATE_HZ = 16_000
HOST_SAMPLES, SPAN_SAMPLES = 30 * RATE_HZ, RATE_HZ
CLIPS_PER_HOST = 10
CASES_PER_HOST = 4
MIN_CLIPS = 6  # a host of fewer would be the same few seconds all over
MARGIN_SAMPLES = 3 * RATE_HZ  # the second lies no nearer to either end
FADE_SAMPLES = 160  # 10 ms at every join
LEVEL = 0.05  # root mean square of everything that is joined
SAME_SOURCE, OTHER_SOURCE = "spoof of the same source", "spoof of another source"
Sound = NDArray[np.float32]


def speech_hosts(files: Sequence[LabelledFile], folds: NDArray[np.int64]) -> list[Host]:
    """One host of up to CLIPS_PER_HOST recordings for every source with MIN_CLIPS bona fide ones."""
    return [host for host in hosts_of(files, folds, CLIPS_PER_HOST) if len(host.clips) >= MIN_CLIPS]


def speech_cases(host: Host, spoofs: Sequence[LabelledFile]) -> Iterator[tuple[SpanCase, Sound]]:
    """CASES_PER_HOST times the control, then the host with a second of a spoof in the same place.

    ``spoofs``: of the host's fold; those of its own source are taken where there are any.
    """
    whole, at = joined(host)
    near = [spoof for spoof in spoofs if spoof.source == host.source] or list(spoofs)
    for number in range(CASES_PER_HOST):
        rng = item_rng(host.name, f"second{number or ''}", 0)
        first = int(rng.integers(MARGIN_SAMPLES, HOST_SAMPLES - SPAN_SAMPLES - MARGIN_SAMPLES))
        others = [clip for k, clip in enumerate(host.clips) if k not in set(at[first : first + SPAN_SAMPLES])]
        other = others[int(rng.integers(len(others)))]
        yield _case(host, UNTOUCHED, "", 0.0, 0.0), _exchanged(whole, first, other)
        if near:
            spoof = near[int(rng.integers(len(near)))]
            maker = SAME_SOURCE if spoof.source == host.source else OTHER_SOURCE
            start, end = first / RATE_HZ, (first + SPAN_SAMPLES) / RATE_HZ
            yield _case(host, maker, spoof.generator, start, end), _exchanged(whole, first, spoof)


def joined(host: Host) -> tuple[Sound, NDArray[np.int64]]:
    """The host's sound, and for each sample the number of the recording that it is of."""
    clips = [_levelled(load_recording(clip.path)) for clip in host.clips]
    pieces, numbers, n_samples = [], [], 0
    for number, clip in cycle(enumerate(clips)):
        pieces.append(_faded(clip))
        numbers.append(np.full(len(clip), number))
        n_samples += len(clip)
        if n_samples >= HOST_SAMPLES:
            break
    return np.concatenate(pieces)[:HOST_SAMPLES], np.concatenate(numbers)[:HOST_SAMPLES]


def loudest_second(samples: Sound) -> Sound:
    """The second with the most energy, on a grid of 0.1 s; all of a shorter recording, with silence after it."""
    if len(samples) <= SPAN_SAMPLES:
        return np.pad(samples, (0, SPAN_SAMPLES - len(samples)))
    starts = range(0, len(samples) - SPAN_SAMPLES + 1, RATE_HZ // 10)
    best = max(starts, key=lambda start: float(np.square(samples[start : start + SPAN_SAMPLES]).sum()))
    return samples[best : best + SPAN_SAMPLES]


def _case(host: Host, maker: str, system: str, start: float, end: float) -> SpanCase:
    return SpanCase("", host.name, host.source, host.fold, maker, system, start, end)


def _exchanged(whole: Sound, first: int, clip: LabelledFile) -> Sound:
    last = first + SPAN_SAMPLES
    second = _faded(_levelled(loudest_second(load_recording(clip.path))))
    return np.concatenate([_faded(whole[:first], start=False), second, _faded(whole[last:], end=False)])


def _levelled(samples: Sound) -> Sound:
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return np.asarray(np.clip(samples * (LEVEL / max(rms, 1e-9)), -1, 1), np.float32)


def _faded(samples: Sound, *, start: bool = True, end: bool = True) -> Sound:
    """In and out within 10 ms, so that no join clicks."""
    faded = samples.copy()
    ramp = np.linspace(0, 1, FADE_SAMPLES, dtype=np.float32)
    if start:
        faded[:FADE_SAMPLES] *= ramp
    if end:
        faded[-FADE_SAMPLES:] *= ramp[::-1]
    return faded
