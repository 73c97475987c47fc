"""Whisper base encoder, frozen: log-mel spectrograms and the hidden states of its layers, for windows of up to 30 s.

Source: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022; openai/whisper-base (MIT).
Differs from the source in: windows shorter than 30 s are not padded; they use the first rows of the position embedding.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from transformers.audio_utils import mel_filter_bank
from transformers.models.whisper.configuration_whisper import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from deepscreen.detectors.nets.fixed_batches import run_fixed_batches
from deepscreen.weights.store import VerifiedWeights, load_tensors

WEIGHTS_NAME = "whisper-base-encoder"
SAMPLE_RATE_HZ = 16_000
MELS = 80
FFT_SAMPLES = 400
HOP_SAMPLES = 160
SAMPLES_PER_FRAME = 2 * HOP_SAMPLES  # the second convolution halves the rate: 50 frames a second
LAYERS = 6
WIDTH = 512
DEFAULT_WINDOW_SECONDS = 3.0
MAX_WINDOW_SAMPLES = 30 * SAMPLE_RATE_HZ
DYNAMIC_RANGE_LOG10 = 8.0
POWER_FLOOR = 1e-10

Precision = Literal["bf16", "fp32"]
DTYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp32": torch.float32}


class LogMel(nn.Module):
    """Whisper's log-mel spectrogram: (n, samples) float32 in [-1, 1] at 16 kHz to (n, 80, samples // 160) float32."""

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        filters = mel_filter_bank(
            num_frequency_bins=1 + FFT_SAMPLES // 2, num_mel_filters=MELS, min_frequency=0.0, max_frequency=8000.0,
            sampling_rate=SAMPLE_RATE_HZ, norm="slaney", mel_scale="slaney",
        )  # fmt: skip
        self.register_buffer("window", torch.hann_window(FFT_SAMPLES), persistent=False)
        self.register_buffer("filters", torch.from_numpy(filters).float().T.contiguous(), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        spectrum = torch.stft(samples, FFT_SAMPLES, HOP_SAMPLES, window=self.window, return_complex=True)
        power = spectrum[..., :-1].abs() ** 2
        log_mel = (self.filters @ power).clamp(min=POWER_FLOOR).log10()
        floor = log_mel.amax(dim=(1, 2), keepdim=True) - DYNAMIC_RANGE_LOG10
        return (torch.maximum(log_mel, floor) + 4.0) / 4.0


class WhisperBackbone:
    """The encoder on one device in one precision, run in batches of one fixed size.

    ``batch_size`` belongs to the method: another size may give other last bits.
    """

    def __init__(
        self,
        weights: VerifiedWeights,
        *,
        device: str | torch.device = "cpu",
        precision: Precision = "fp32",
        batch_size: int = 1,
    ) -> None:
        self.device = torch.device(device)
        self.precision = precision
        self.batch_size = batch_size
        self._log_mel = LogMel().to(self.device)
        self._encoder = _build(weights).to(self.device, DTYPES[precision])

    @torch.inference_mode()
    def log_mel(self, samples: Tensor) -> Tensor:
        """(n, samples) float32 at 16 kHz to (n, 80, samples // 160) float32; each window by its own maximum."""
        _check_samples(samples)
        # Window by window: the spectrogram must not depend on the company either, and costs next to nothing.
        return torch.cat([self._log_mel(window[None]) for window in samples.to(self.device)])

    @torch.inference_mode()
    def hidden_states(self, samples: Tensor, *, last_layer: int = LAYERS) -> Tensor:
        """(last_layer + 1, n, frames, 512) float32 for windows ``samples`` (n, W * 16000), 50 frames a second.

        Entry 0 is the input embedding with positions, the others the layers' outputs: a residual stream, without the
        final layer norm. Layers beyond *last_layer* are not run. W may be up to 30 s and is the same for all windows.
        """
        log_mel = self.log_mel(samples)
        states = run_fixed_batches(partial(self._forward, last_layer=last_layer), log_mel, self.batch_size)
        return torch.stack(states)

    def differentiable_hidden_states(self, log_mel: Tensor, *, last_layer: int = LAYERS) -> Tensor:
        """As ``hidden_states``, from a log-mel (n, 80, frames), in one batch, with gradients to it."""
        with torch.enable_grad():
            return torch.stack(self._forward(log_mel.to(self.device), last_layer))

    def _forward(self, log_mel: Tensor, last_layer: int) -> tuple[Tensor, ...]:
        encoder = self._encoder
        state = nn.functional.gelu(encoder.conv1(log_mel.to(encoder.dtype)))
        state = nn.functional.gelu(encoder.conv2(state)).permute(0, 2, 1)
        state = state + encoder.embed_positions.weight[: state.shape[1]]
        states = [state.float()]
        for layer in encoder.layers[:last_layer]:
            state = layer(state, None)
            states.append(state.float())
        return tuple(states)


def _check_samples(samples: Tensor) -> None:
    n_samples = samples.shape[-1]
    whole_frames = n_samples % SAMPLES_PER_FRAME == 0
    if samples.ndim != 2 or len(samples) == 0 or not whole_frames or not FFT_SAMPLES < n_samples <= MAX_WINDOW_SAMPLES:
        want = f"(n >= 1, a multiple of {SAMPLES_PER_FRAME} up to {MAX_WINDOW_SAMPLES})"
        raise ValueError(f"samples: want {want}, got {tuple(samples.shape)}")


def _build(weights: VerifiedWeights) -> WhisperEncoder:
    config = WhisperConfig(
        d_model=WIDTH, encoder_layers=LAYERS, encoder_attention_heads=8, encoder_ffn_dim=2048, num_mel_bins=MELS,
        max_source_positions=1500,
    )  # fmt: skip
    with torch.device("meta"):
        encoder = WhisperEncoder(config)
    encoder.load_state_dict(load_tensors(weights), strict=True, assign=True)
    return encoder.eval().requires_grad_(False)
