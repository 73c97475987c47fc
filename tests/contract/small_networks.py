"""Detectors of the registry with seeded random heads on small random networks: quick, and without any weight file.

Everything but the networks is the real thing. The networks have the shapes of the real ones and depend on every pixel
or sample, so that a view, frame or window that is mixed up or changed gives other numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepscreen.detectors.audio_aasist import AudioAasist
from deepscreen.detectors.audio_head import AudioHead, ViewExamples, views_of
from deepscreen.detectors.audio_whisper import AudioWhisper
from deepscreen.detectors.clip_features import ClipFeatures
from deepscreen.detectors.contract import Detector
from deepscreen.detectors.device import ComputePlan
from deepscreen.detectors.linear_head import LinearHead
from deepscreen.detectors.nets.aasist import SIZES, Aasist
from deepscreen.detectors.nets.fixed_batches import run_fixed_batches
from deepscreen.detectors.nets.whisper import LogMel
from deepscreen.detectors.patch_head import PatchHead
from deepscreen.detectors.registry import Workshop, build_detector
from deepscreen.detectors.speech import CHUNK_SAMPLES, VoiceActivity
from deepscreen.detectors.speech_features import VIEWS, SpeechFeatures
from deepscreen.detectors.view_head import ViewHead
from deepscreen.settings import Settings
from deepscreen.weights.store import WeightsStore

CLASS_FEATURES, PATCH_FEATURES, AUDIO_LAYERS = 6 * 768, 3 * 768, (1, 2)
N_SPECTRAL = max(view.stop for view in VIEWS.values())
BATCH_SIZE = 2
SPEECH_RMS = 0.01


class SmallClip:
    """In place of CLIP: every patch's pixels, weighted at random in each block; the class token is their mean."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self._layers = torch.randn(12, 768, generator=generator)
        self.device, self.precision, self.batch_size = torch.device("cpu"), "fp32", BATCH_SIZE

    def hidden_states(self, views: Tensor, *, blocks: Sequence[int], at_least: int = 1) -> tuple[Tensor, ...]:
        return run_fixed_batches(lambda batch: self._forward(batch, blocks), views, max(self.batch_size, at_least))

    def _forward(self, views: Tensor, blocks: Sequence[int]) -> tuple[Tensor, ...]:
        patches = (views.float() / 255 - 0.5).unfold(2, 16, 16).unfold(3, 16, 16)
        state = patches.permute(0, 2, 3, 1, 4, 5).reshape(len(views), 196, 768)
        states = [torch.tanh(state * self._layers[block - 1]) for block in blocks]
        return tuple(torch.cat([s.mean(dim=1, keepdim=True), s], dim=1) for s in states)


class SmallWhisper:
    """In place of the Whisper encoder: pairs of frames of the real log-mel through one random layer each."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(2)
        self._layers = torch.randn(7, 160, 512, generator=generator) / 160**0.5
        self._log_mel = LogMel()
        self.device, self.precision, self.batch_size = torch.device("cpu"), "fp32", BATCH_SIZE

    def log_mel(self, samples: Tensor) -> Tensor:
        return torch.cat([self._log_mel(window[None]) for window in samples])

    def hidden_states(self, samples: Tensor, *, last_layer: int = 6) -> Tensor:
        return torch.stack(run_fixed_batches(self._forward, self.log_mel(samples), self.batch_size)[: last_layer + 1])

    def differentiable_hidden_states(self, log_mel: Tensor, *, last_layer: int = 6) -> Tensor:
        return torch.stack(self._forward(log_mel)[: last_layer + 1])

    def _forward(self, log_mel: Tensor) -> tuple[Tensor, ...]:
        pairs = log_mel.permute(0, 2, 1).reshape(len(log_mel), -1, 160)
        return tuple(torch.tanh(pairs @ layer) for layer in self._layers)


class SmallWorkshop(Workshop):
    """A workshop with small networks and random heads of the right shapes."""

    @cached_property
    def clip_features(self) -> ClipFeatures:
        return ClipFeatures(SmallClip())  # type: ignore[arg-type]

    def head_arrays(self, name: str) -> dict[str, NDArray[np.float64]]:
        rng = np.random.default_rng(sum(name.encode()))
        views = {prefix: random_view_head(rng) for prefix in ("view", "frame", "face")}
        votes = {"face_vote": random_head(rng, 2), "vote_with_face": random_head(rng, 2)}
        clips = {"clip_face": random_head(rng, CLASS_FEATURES), "vote_no_face": random_head(rng, 1), **votes}
        gate = LinearHead(np.zeros(CLASS_FEATURES), np.ones(CLASS_FEATURES), np.zeros(CLASS_FEATURES), -1.0)  # open
        return _joined({**views, **clips, "gate": gate})


def random_head(rng: np.random.Generator, size: int) -> LinearHead:
    """A head whose logits are of the order of 1."""
    return LinearHead(np.zeros(size), np.full(size, 0.1), rng.normal(size=size) / size**0.5, 0.1)


def random_view_head(rng: np.random.Generator) -> ViewHead:
    """A head on one view."""
    patches = PatchHead(rng.normal(size=PATCH_FEATURES) / PATCH_FEATURES**0.5, -0.5, 0.5)
    return ViewHead(random_head(rng, CLASS_FEATURES), patches)


def small_detector(name: str) -> Detector:
    """The detector of row *name*, on small networks."""
    if name == "audio_whisper":
        return _small_audio()
    if name == "audio_aasist":
        return _small_aasist()
    return build_detector(name, SmallWorkshop(WeightsStore.from_settings(Settings()), ComputePlan("cpu", "fp32", 1)))


def _small_audio() -> AudioWhisper:
    rng = np.random.default_rng(3)
    examples = views_of(rng.normal(size=(8, 3, 1024)), 0.1 * rng.normal(size=(8, N_SPECTRAL)), AUDIO_LAYERS)
    views = tuple(ViewExamples.of(one, np.ones(8), width=0.01, share=1 / 3) for one in examples.values())
    head = AudioHead(AUDIO_LAYERS, views, 3 * rng.normal(size=8), 0.1)
    return AudioWhisper(SpeechFeatures(SmallWhisper(), last_layer=2), head, lambda: loud_is_speech)  # type: ignore[arg-type]


def _small_aasist() -> AudioAasist:
    """The network of AASIST-L's size with random weights: it is small as it is."""
    network = Aasist(SIZES["aasist-l"]).eval()
    generator = torch.Generator().manual_seed(4)
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5, generator=generator)
        elif name.endswith("bias"):  # the scales of the norms stay 1, or nothing of the sound would come through
            torch.nn.init.zeros_(parameter)
    return AudioAasist(network.requires_grad_(False), lambda: loud_is_speech)


def _loud(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    chunks = samples.reshape(-1, CHUNK_SAMPLES)
    return (np.sqrt(np.square(chunks).mean(axis=1)) > SPEECH_RMS).astype(np.float32)


loud_is_speech: VoiceActivity = _loud


def _joined(heads: Mapping[str, LinearHead | ViewHead]) -> dict[str, NDArray[np.float64]]:
    return {key: array for prefix, head in heads.items() for key, array in head.arrays(prefix).items()}
