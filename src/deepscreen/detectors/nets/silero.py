"""Silero VAD, 16 kHz: the probability of speech in each chunk of 512 samples (32 ms).

Source: snakers4/silero-vad 6.2.3 (MIT). Differs from the source in: the convolutions of all chunks run as one batch and
the recurrent layer over the whole sequence at once, not chunk by chunk.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deepscreen.weights.store import VerifiedWeights, load_tensors

WEIGHTS_NAME = "silero-vad"
SAMPLE_RATE_HZ = 16_000
CHUNK_SAMPLES = 512
CONTEXT_SAMPLES = 64  # each chunk is seen with the end of the one before it
STFT_SAMPLES = 256
STFT_HOP_SAMPLES = 128
STFT_PAD_SAMPLES = 64  # mirrored at the end of a chunk
BINS = STFT_SAMPLES // 2 + 1
WIDTH = 128
# Convolutions of about 65 s at once: memory stays flat however long the block is.
MAX_BATCH_CHUNKS = 2048


@dataclass(frozen=True, slots=True)
class VadState:
    """What one block leaves to the next: the last samples, and the recurrent state (1, 1, 128) twice."""

    context: Tensor
    hidden: Tensor
    cell: Tensor


class SileroVad(nn.Module):
    """The network: a Fourier transform as a convolution, four convolutions, a recurrent layer, one output."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 2 * BINS, STFT_SAMPLES, stride=STFT_HOP_SAMPLES, bias=False)
        self.conv1 = nn.Conv1d(BINS, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm = nn.LSTM(WIDTH, WIDTH)
        self.final_conv = nn.Conv1d(WIDTH, 1, 1)

    def initial_state(self) -> VadState:
        """The state before the first sample: silence."""
        zeros = self.final_conv.weight.new_zeros
        return VadState(zeros(CONTEXT_SAMPLES), zeros(1, 1, WIDTH), zeros(1, 1, WIDTH))

    def speech_probabilities(self, samples: Tensor) -> Tensor:
        """(ceil(n / 512),) float32 in [0, 1] for ``samples`` (n,) float32 in [-1, 1] at 16 kHz, zero-padded."""
        return self.continue_from(self.initial_state(), samples)[0]

    @torch.inference_mode()
    def continue_from(self, state: VadState, samples: Tensor) -> tuple[Tensor, VadState]:
        """As ``speech_probabilities``, for the next block of a stream, with the state to go on from.

        All blocks but the last must be whole chunks long, since a short chunk is filled with zeros.
        """
        if samples.ndim != 1 or samples.dtype != torch.float32:
            raise ValueError(f"samples: want float32 (n,), got {samples.dtype} {tuple(samples.shape)}")
        if len(samples) == 0:
            return samples.clone(), state
        padded = nn.functional.pad(samples, (0, -len(samples) % CHUNK_SAMPLES))
        stream = torch.cat([state.context, padded])
        chunks = stream.unfold(0, CONTEXT_SAMPLES + CHUNK_SAMPLES, CHUNK_SAMPLES)
        starts = range(0, len(chunks), MAX_BATCH_CHUNKS)
        features = torch.cat([self._encode(chunks[start : start + MAX_BATCH_CHUNKS]) for start in starts])
        outputs, (hidden, cell) = self.lstm(features.unsqueeze(1), (state.hidden, state.cell))
        logits = self.final_conv(outputs.squeeze(1).relu().unsqueeze(-1))
        # A copy, or the whole stream would live on in the state.
        return torch.sigmoid(logits).reshape(-1), VadState(stream[-CONTEXT_SAMPLES:].clone(), hidden, cell)

    def _encode(self, chunks: Tensor) -> Tensor:
        """(n, 576) samples to (n, 128) features, chunk by chunk independent."""
        mirrored = nn.functional.pad(chunks.unsqueeze(1), (0, STFT_PAD_SAMPLES), mode="reflect")
        spectrum = self.stft_conv(mirrored)
        state = (spectrum[:, :BINS] ** 2 + spectrum[:, BINS:] ** 2).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            state = layer(state).relu()
        encoded: Tensor = state.squeeze(-1)
        return encoded


def load_silero_vad(weights: VerifiedWeights) -> SileroVad:
    """The network with its proven weights, on the CPU, ready to run."""
    network = SileroVad()
    network.load_state_dict(load_tensors(weights), strict=True)
    return network.eval().requires_grad_(False)
