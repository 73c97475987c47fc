"""The audio head: arrays, pooling over speech only, and gradients that belong to the logit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepscreen.detectors.audio_head import HEAD_VIEWS, REACH, STEP, AudioHead, ViewExamples, views_of
from deepscreen.detectors.audio_whisper import NARROW_BAND, WIDE_BAND, stratum_of, track_logit
from deepscreen.detectors.speech import WINDOW_FRAMES, WINDOW_SAMPLES, SpeechWindow
from deepscreen.detectors.speech_features import VIEWS, WindowFeatures, pooled_states, state_mask

LAYERS = (1, 3)
N_ALL = max(view.stop for view in VIEWS.values())


def head(n: int = 12) -> AudioHead:
    rng = np.random.default_rng(9)
    whisper, spectral = rng.standard_normal((n, 7, 1024)), rng.standard_normal((n, N_ALL))
    read = views_of(whisper.astype(np.float32), spectral, LAYERS)
    weights = rng.uniform(0.5, 2, n)
    views = tuple(ViewExamples.of(read[name], weights, width=0.5, share=1 / 3) for name in HEAD_VIEWS)
    return AudioHead(LAYERS, views, rng.standard_normal(n), 0.25)


def features(seed: int = 0) -> WindowFeatures:
    rng = np.random.default_rng(seed)
    return WindowFeatures(rng.standard_normal((7, 1024)).astype(np.float32), rng.standard_normal(N_ALL))


def window(speech: slice, seconds: float = 3.0) -> SpeechWindow:
    mask = np.zeros(WINDOW_FRAMES, np.bool_)
    mask[speech] = True
    return SpeechWindow(np.zeros(WINDOW_SAMPLES, np.float32), mask, 0.0, seconds)


def test_head_is_the_same_after_its_arrays_were_stored() -> None:
    restored = AudioHead.from_arrays(head().arrays())
    assert restored.layers == LAYERS
    assert restored.logit(features()) == head().logit(features())


def test_only_the_chosen_layers_count() -> None:
    changed = features()
    changed.whisper[[0, 2, 4, 5, 6]] += 100
    assert head().logit(changed) == head().logit(features())
    changed.whisper[3] += 100
    assert head().logit(changed) != head().logit(features())


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_counts(view: str) -> None:
    changed = features()
    changed.spectral[VIEWS[view]] += 1
    assert head().logit(changed) != head().logit(features())


def test_logit_is_the_kernel_written_out() -> None:
    seen, given = head(), features()
    read = {name: values[0] for name, values in views_of(given.whisper[None], given.spectral[None], LAYERS).items()}
    nearness = np.zeros(12)
    for name, view in zip(HEAD_VIEWS, seen.views, strict=True):
        standardised = np.clip((read[name] - view.mean) / view.scale, -REACH, REACH)
        nearness += np.exp(-0.5 * ((view.examples - standardised) ** 2).mean(axis=1)) / 3
    assert seen.logit(given) == pytest.approx(float(nearness @ seen.coef) + 0.25, abs=1e-5)


def test_examples_are_kept_in_whole_steps_within_reach() -> None:
    far = ViewExamples.of(np.vstack([np.zeros((99, 3)), np.full((1, 3), 1e6)]), np.ones(100), width=1.0, share=1.0)
    steps = far.examples / STEP
    assert np.abs(steps - np.rint(steps)).max() < 1e-4
    assert far.examples.max() == pytest.approx(REACH)


def test_layers_beyond_the_last_one_that_is_read_need_not_be_there() -> None:
    whole = features()
    early = WindowFeatures(whole.whisper[: head().last_layer + 1], whole.spectral)
    assert head().logit(early) == head().logit(whole)


def test_differentiable_logit_is_the_whisper_term_of_the_logit() -> None:
    one, other = features(0), WindowFeatures(features(1).whisper, features(0).spectral)
    logits = [float(head().differentiable_whisper_logit(torch.from_numpy(f.whisper))) for f in (one, other)]
    difference = head().logit(one) - head().logit(other)
    assert logits[0] - logits[1] == pytest.approx(difference, abs=1e-5)


def test_differentiable_logit_has_a_gradient_in_the_chosen_layers_only() -> None:
    pooled = torch.from_numpy(features().whisper).requires_grad_()
    head().differentiable_whisper_logit(pooled).backward()
    assert pooled.grad is not None
    moved = pooled.grad.abs().sum(dim=1) > 0
    assert moved.tolist() == [k in LAYERS for k in range(7)]


def test_pooling_looks_at_speech_frames_only() -> None:
    states = torch.randn(7, 150, 512, generator=torch.Generator().manual_seed(0))
    mask = state_mask(window(slice(0, 200)).speech)
    other = states.clone()
    other[:, 100:] = 1e6
    assert int(mask.sum()) == 100
    assert torch.equal(pooled_states(states, mask), pooled_states(other, mask))
    mean, deviation = pooled_states(states, mask).split(512, dim=-1)
    assert torch.allclose(mean, states[:, :100].mean(1), atol=1e-6)
    assert torch.allclose(deviation, states[:, :100].std(1, correction=0), atol=1e-5)


def test_pooling_has_a_finite_gradient_where_states_do_not_move() -> None:
    states = torch.ones(1, 150, 512, requires_grad=True)
    pooled_states(states, state_mask(window(slice(0, 300)).speech)).sum().backward()
    assert states.grad is not None
    assert torch.isfinite(states.grad).all()


def test_track_logit_weighs_windows_by_their_speech() -> None:
    seconds = [w.speech_seconds for w in (window(slice(0, 300)), window(slice(0, 100)))]
    assert track_logit(seconds, [2.0, -2.0]) == pytest.approx(1.0)


@pytest.mark.parametrize(("level_db", "stratum"), [(-58.0, NARROW_BAND), (-20.0, WIDE_BAND)])
def test_telephone_sound_has_a_stratum_of_its_own(level_db: float, stratum: str) -> None:
    assert stratum_of(level_db) == stratum
