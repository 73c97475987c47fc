"""The converted networks against stored numbers, and the promises that the detectors build on."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from backbone_readings import STORED, picture, read_backbones, sound
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection
from transformers.models.whisper.feature_extraction_whisper import WhisperFeatureExtractor

from deepscreen.detectors.nets.clip import MEAN, STD, ClipBackbone, Precision
from deepscreen.detectors.nets.frozen_linear import FrozenLinear
from deepscreen.detectors.nets.silero import CHUNK_SAMPLES, SileroVad, load_silero_vad
from deepscreen.detectors.nets.whisper import LogMel, WhisperBackbone
from deepscreen.errors import WeightsMissing
from deepscreen.settings import load_settings
from deepscreen.weights.store import WeightsStore, load_tensors

# Of the largest stored value. Kernels of other processors move fp32 by about 1e-5; another network by about 1.
GOLDEN_TOLERANCE = 1e-3
BF16_MIN_COSINE = 0.995


@pytest.fixture(scope="module")
def store() -> WeightsStore:
    store = WeightsStore.from_settings(load_settings())
    try:
        for row in store.manifest.pulled:
            store.locate(row.name)
    except WeightsMissing as error:
        pytest.skip(f"weights are not pulled: {error}")
    return store


@pytest.fixture(scope="module")
def clip(store: WeightsStore) -> ClipBackbone:
    return ClipBackbone(store.locate("clip-vit-b16"))


@pytest.fixture(scope="module")
def whisper(store: WeightsStore) -> WhisperBackbone:
    return WhisperBackbone(store.locate("whisper-base-encoder"))


@pytest.fixture(scope="module")
def vad(store: WeightsStore) -> SileroVad:
    return load_silero_vad(store.locate("silero-vad"))


@pytest.mark.weights
def test_networks_give_the_stored_numbers(store: WeightsStore, clip: ClipBackbone, whisper: WhisperBackbone) -> None:
    stored = json.loads(STORED.read_text())
    readings = read_backbones(store, clip, whisper)
    assert readings.keys() == stored.keys()
    for name, values in readings.items():
        error = np.abs(np.subtract(values, stored[name])).max() / np.abs(stored[name]).max()
        assert error <= GOLDEN_TOLERANCE, f"{name}: off by {error:.2e} of its largest value"


@pytest.mark.weights
def test_clip_blocks_are_those_of_the_published_implementation(store: WeightsStore, clip: ClipBackbone) -> None:
    published = CLIPVisionModelWithProjection(CLIPVisionConfig(patch_size=16, hidden_act="quick_gelu")).eval()
    published.load_state_dict(load_tensors(store.locate("clip-vit-b16")), strict=True)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    with torch.inference_mode():
        expected = published(
            pixel_values=(picture()[None] / 255 - mean) / std, output_hidden_states=True
        ).hidden_states[1:]
    for ours, theirs in zip(clip.hidden_states(picture()[None]), expected, strict=True):
        assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max()


@pytest.mark.weights
def test_packed_weights_give_the_very_same_products(monkeypatch: pytest.MonkeyPatch, store: WeightsStore) -> None:
    packed = ClipBackbone(store.locate("clip-vit-b16"), precision="bf16").hidden_states(picture()[None], blocks=[4])
    monkeypatch.setattr(FrozenLinear, "pack", lambda *_: None)
    plain = ClipBackbone(store.locate("clip-vit-b16"), precision="bf16").hidden_states(picture()[None], blocks=[4])
    assert torch.equal(packed[0], plain[0])


@pytest.mark.weights
def test_bf16_stays_near_fp32(store: WeightsStore, clip: ClipBackbone, whisper: WhisperBackbone) -> None:
    low_clip = ClipBackbone(store.locate("clip-vit-b16"), precision="bf16")
    low_whisper = WhisperBackbone(store.locate("whisper-base-encoder"), precision="bf16")
    pairs = [
        *zip(clip.hidden_states(picture()[None]), low_clip.hidden_states(picture()[None]), strict=True),
        *zip(whisper.hidden_states(sound()[None]), low_whisper.hidden_states(sound()[None]), strict=True),
    ]
    for exact, low in pairs:
        assert torch.cosine_similarity(exact.flatten(), low.flatten(), dim=0) >= BF16_MIN_COSINE


@pytest.mark.weights
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_clip_row_does_not_depend_on_its_company(store: WeightsStore, precision: Precision, batch_size: int) -> None:
    clip = ClipBackbone(store.locate("clip-vit-b16"), precision=precision, batch_size=batch_size)
    views = torch.stack([picture(), picture().flip(1), picture().flip(2)])
    together = clip.hidden_states(views, blocks=[2])[0]
    alone = torch.cat([clip.hidden_states(view[None], blocks=[2])[0] for view in views])
    assert torch.equal(together, alone)


@pytest.mark.weights
def test_views_of_several_threads_share_batches_and_keep_every_bit(store: WeightsStore) -> None:
    clip = ClipBackbone(store.locate("clip-vit-b16"), batch_size=4)
    assert clip.shares_batches
    views = torch.stack([torch.roll(picture(), 9 * k, dims=1) for k in range(9)])
    asked = [views[:1], views[1:3], views[3:4], views[4:9]]
    alone = [clip.hidden_states(some, blocks=[1])[0] for some in asked]
    with ThreadPoolExecutor(len(asked)) as threads:
        together = [work.result()[0] for work in [threads.submit(clip.hidden_states, s, blocks=[1]) for s in asked]]
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one, other)


@pytest.mark.weights
@pytest.mark.parametrize("batch_size", [1, 2])
def test_whisper_row_does_not_depend_on_its_company(store: WeightsStore, batch_size: int) -> None:
    whisper = WhisperBackbone(store.locate("whisper-base-encoder"), batch_size=batch_size)
    windows = torch.stack([sound(1.0), sound(1.0).flip(0), 0.1 * sound(1.0)])
    together = whisper.hidden_states(windows)
    alone = torch.cat([whisper.hidden_states(window[None]) for window in windows], dim=1)
    assert together.shape == (7, 3, 50, 512)
    assert torch.equal(together, alone)


@pytest.mark.weights
def test_clip_bytes_and_unit_floats_mean_the_same(clip: ClipBackbone) -> None:
    from_bytes = clip.hidden_states(picture()[None], blocks=[1])[0]
    from_floats = clip.hidden_states(picture()[None].float() / 255, blocks=[1])[0]
    # Not to the last bit: torchvision scales bytes in its own way.
    assert torch.allclose(from_bytes, from_floats, atol=1e-4)


@pytest.mark.weights
def test_chosen_blocks_are_those_of_the_whole_run(clip: ClipBackbone) -> None:
    every = clip.hidden_states(picture()[None])
    chosen = clip.hidden_states(picture()[None], blocks=[2, 5])
    assert torch.equal(chosen[0], every[1])
    assert torch.equal(chosen[1], every[4])


@pytest.mark.weights
@pytest.mark.parametrize("blocks", [[], [0], [13], [3, 2], [2, 2]])
def test_clip_refuses_blocks_that_are_none(clip: ClipBackbone, blocks: list[int]) -> None:
    with pytest.raises(ValueError, match="blocks: want"):
        clip.hidden_states(picture()[None], blocks=blocks)


@pytest.mark.weights
def test_gradients_reach_the_spectrogram_and_not_the_weights(whisper: WhisperBackbone) -> None:
    log_mel = whisper.log_mel(sound(1.0)[None]).clone().requires_grad_()
    layers = whisper.differentiable_hidden_states(log_mel)
    layers[3].sum().backward()
    assert log_mel.grad is not None
    assert log_mel.grad.abs().max() > 0
    assert torch.equal(layers.detach(), whisper.hidden_states(sound(1.0)[None]))


def test_log_mel_is_that_of_the_published_feature_extractor() -> None:
    published = WhisperFeatureExtractor(feature_size=80, chunk_length=3)
    expected = published(sound().numpy(), sampling_rate=16_000, return_tensors="pt").input_features
    assert torch.allclose(LogMel()(sound()[None]), expected, atol=1e-4)


@pytest.mark.weights
def test_vad_blocks_of_a_stream_give_what_the_whole_gives(vad: SileroVad) -> None:
    whole = vad.speech_probabilities(sound())
    state = vad.initial_state()
    parts = []
    for block in sound().split(20 * CHUNK_SAMPLES):
        probabilities, state = vad.continue_from(state, block)
        parts.append(probabilities)
    assert torch.allclose(torch.cat(parts), whole, atol=1e-6)
    assert len(whole) == -(-len(sound()) // CHUNK_SAMPLES)


@pytest.mark.weights
def test_vad_hears_no_speech_in_silence_and_noise(vad: SileroVad) -> None:
    noise = torch.randn(32_000, generator=torch.Generator().manual_seed(0)) * 0.05
    assert vad.speech_probabilities(torch.zeros(32_000)).max() < 0.3
    assert vad.speech_probabilities(noise).median() < 0.3
    assert len(vad.speech_probabilities(torch.zeros(0))) == 0
