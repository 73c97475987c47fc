"""Half minutes of speech, and by how much each second stands out to heads that saw nothing of their fold.

No likelihood ratio is made of it: the highest contrast of an honest half minute is as high as a synthetic second,
so that a calibration would say that it means nothing. ``audio_whisper`` therefore reports no such seconds.
"""

from __future__ import annotations

from collections.abc import Iterator

from deepscreen.evaluation.span_figures import ReadCase
from deepscreen.evaluation.speech_hosts import speech_cases, speech_hosts
from deepscreen.training.audio_features import AudioFeatureCache
from deepscreen.training.audio_hold_out import HeldOutFits

TOLERANCE_SECONDS = 1.0


def read_speech_cases(held: HeldOutFits, cache: AudioFeatureCache) -> Iterator[ReadCase]:
    """Those of all hosts, with contrasts of log-odds; a half minute without speech is left out."""
    files, folds = held.recordings()
    for host in speech_hosts(files, folds):
        spoofs = [file for file, fold in zip(files, folds, strict=True) if file.label and fold == host.fold]
        made = list(speech_cases(host, spoofs))
        for (case, _), slices in zip(made, cache.slices(sound for _, sound in made), strict=True):
            if slices is not None:
                moments = slices.moments(held.fits[host.fold].head)
                yield ReadCase(case, moments, tolerance_seconds=TOLERANCE_SECONDS)
