"""The laundering test: does what was decided of an item stand when the item is re-encoded, as sharing it would do?

The item is scored again at three levels of an ordinary codec. A verdict that is not the same at all of them becomes
``inconclusive``: a trace that one more re-encoding removes or makes is no ground for a verdict. Pictures go through
JPEG, the sampled frames of a clip through H.264 as key frames, sound through Opus; faces stay where they were found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial

from deepscreen.detectors.contract import ClipSample, FrameSample, ImageSample, Modality, Sample, SoundSample
from deepscreen.media.recode import FRAME_TREATMENTS, PICTURE_TREATMENTS, SOUND_TREATMENTS, Sound
from deepscreen.media.samples import Pixels, Still, Waveform
from deepscreen.record import Caveat, ModalityResult, RecodedLevel, Stability, Verdict
from deepscreen.scoring.fusion import Scale
from deepscreen.scoring.judgement import Outcome, joint_lr
from deepscreen.scoring.verdict import decide
from deepscreen.settings import VerdictPolicy

DECIDED = frozenset({Verdict.SPOOF_SUPPORTED, Verdict.BONA_FIDE_SUPPORTED})
UNSTABLE = "unstable_when_recoded"
LR_DECIMALS = 3
SampleSource = Callable[[], Sample]  # a fresh sample of the item at each call


def laundering_test(
    modality: Modality,
    result: ModalityResult,
    source: SampleSource,
    score: Callable[[SampleSource], Sequence[Outcome]],
    *,
    scale: Scale,
    policy: VerdictPolicy,
) -> ModalityResult:
    """*result* with its ``stability``; unchanged where nothing was decided, so that there is nothing to test.

    ``score``: what the detectors that decide make of a copy.
    """
    if result.verdict not in DECIDED:
        return result
    levels = []
    for treatment, copy in recoded_copies(modality, source):
        lr = joint_lr(modality, score(copy), scale)
        verdict = Verdict.NOT_SCREENED if lr is None else decide(lr.log10_lr, policy)
        levels.append(RecodedLevel(treatment=treatment, log10_lr=lr.log10_lr if lr else None, verdict=verdict))
    return with_stability(result, tuple(levels))


def recoded_copies(modality: Modality, source: SampleSource) -> Iterator[tuple[str, SampleSource]]:
    """Name of the treatment and source of the copy, from mild to strong; at most one copy of a picture at a time."""
    if modality == "image":
        for name, treat in PICTURE_TREATMENTS.items():
            yield name, cache(partial(_recoded_picture, source, treat))  # all detectors read the same copy
    elif modality == "video":
        for name, treat in FRAME_TREATMENTS.items():
            yield name, partial(_recoded_clip, source, treat)
    else:
        for name, treat_sound in SOUND_TREATMENTS.items():
            yield name, partial(_recoded_sound, source, treat_sound)


def with_stability(result: ModalityResult, levels: tuple[RecodedLevel, ...]) -> ModalityResult:
    """*result* with what became of it at each of the *levels*, and with the verdict that is left."""
    known = [lr for lr in (result.log10_lr, *(level.log10_lr for level in levels)) if lr is not None]
    stability = Stability(
        first_verdict=result.verdict,
        levels=levels,
        log10_lr_spread=round(max(known) - min(known), LR_DECIMALS),
        is_stable=all(level.verdict is result.verdict for level in levels),
    )
    if stability.is_stable:
        return result.model_copy(update={"stability": stability})
    caveats = (*result.caveats, _unstable(result, stability))
    changes = {"verdict": Verdict.INCONCLUSIVE, "caveats": caveats, "stability": stability}
    return result.model_copy(update=changes)


def _unstable(result: ModalityResult, stability: Stability) -> Caveat:
    became = ", ".join(f"{level.treatment}: {_figure(level)}" for level in stability.levels)
    return Caveat(
        code=UNSTABLE,
        message=(
            f"The first verdict, {stability.first_verdict.value.replace('_', ' ')} at log10 LR {result.log10_lr:+.2f}, "
            f"does not stand when the item is re-encoded ({became}). What sharing a file once more would change is no "
            "ground for a verdict: it is inconclusive."
        ),
    )


def _figure(level: RecodedLevel) -> str:
    if level.log10_lr is None:
        return "nothing could be scored"
    return f"{level.log10_lr:+.2f}, {level.verdict.value.replace('_', ' ')}"


def _recoded_picture(source: SampleSource, treat: Callable[[Pixels], Pixels]) -> Sample:
    sample = source()
    if not isinstance(sample, ImageSample):
        raise TypeError(f"source: want an ImageSample, got {type(sample).__name__}")
    return replace(sample, still=Still(treat(sample.still.pixels)), wants_evidence=False)


def _recoded_clip(source: SampleSource, treat: Callable[[Pixels], Pixels]) -> Sample:
    sample = source()
    if not isinstance(sample, ClipSample):
        raise TypeError(f"source: want a ClipSample, got {type(sample).__name__}")
    return replace(sample, frames=_recoded_frames(sample.frames, treat), wants_evidence=False, closer=None)


def _recoded_frames(frames: Iterator[FrameSample], treat: Callable[[Pixels], Pixels]) -> Iterator[FrameSample]:
    for one in frames:
        yield replace(one, frame=replace(one.frame, pixels=treat(one.frame.pixels)))


def _recoded_sound(source: SampleSource, treat: Callable[[Sound], Sound]) -> Sample:
    sample = source()
    if not isinstance(sample, SoundSample):
        raise TypeError(f"source: want a SoundSample, got {type(sample).__name__}")
    return replace(sample, blocks=_recoded_blocks(sample.blocks, treat), wants_evidence=False)


def _recoded_blocks(blocks: Iterator[Waveform], treat: Callable[[Sound], Sound]) -> Iterator[Waveform]:
    for block in blocks:
        yield replace(block, samples=treat(block.samples))
