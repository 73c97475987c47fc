"""AASIST and AASIST-L: graph attention over a spectro-temporal map of the raw waveform.

Source: Jung et al., "AASIST: Audio Anti-Spoofing using Integrated Spectro-Temporal Graph Attention Networks", 2022;
clovaai/aasist @a04c986 (MIT). Differs from the source in: inference only (no dropout, no frequency masking), and the
polarity is named (``spoof`` first, as the official output is ordered). Module names are those of the official weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from deepscreen.weights.store import VerifiedWeights, load_tensors

SAMPLE_RATE_HZ = 16_000
INPUT_SAMPLES = 64_600  # about 4 s; shorter sound is repeated from its start, as the official code does
SINC_FILTERS = 70
SINC_TAPS = 129
SPECTRAL_NODES = 23
GRAPH_WIDTH = 32


@dataclass(frozen=True, slots=True)
class AasistSize:
    """What differs between AASIST and AASIST-L."""

    channels: int  # of the last four residual blocks
    graph_width: int
    spectral_kept: float  # share of graph nodes that a pooling keeps
    temporal_kept: float
    joint_kept: float


SIZES = {
    "aasist": AasistSize(channels=64, graph_width=64, spectral_kept=0.5, temporal_kept=0.7, joint_kept=0.5),
    "aasist-l": AasistSize(channels=24, graph_width=24, spectral_kept=0.4, temporal_kept=0.5, joint_kept=0.7),
}


class Aasist(nn.Module):
    """Waveforms (n, 64600) float32 at 16 kHz to logits (n, 2): spoof, bona fide."""

    filters: Tensor

    def __init__(self, size: AasistSize) -> None:
        super().__init__()
        c, g = size.channels, size.graph_width
        self.register_buffer("filters", _sinc_filters(), persistent=False)
        self.first_bn = nn.BatchNorm2d(1)
        widths = ((1, 32), (32, 32), (32, c), (c, c), (c, c), (c, c))
        blocks = (_ResidualBlock(a, b, is_first=k == 0) for k, (a, b) in enumerate(widths))
        self.encoder = nn.Sequential(*(nn.Sequential(block) for block in blocks))
        self.pos_S = nn.Parameter(torch.empty(1, SPECTRAL_NODES, c))
        self.master1 = nn.Parameter(torch.empty(1, 1, g))
        self.master2 = nn.Parameter(torch.empty(1, 1, g))
        self.GAT_layer_S = _GraphAttention(c, g, temperature=2.0)
        self.GAT_layer_T = _GraphAttention(c, g, temperature=2.0)
        self.HtrgGAT_layer_ST11 = _JointAttention(g, GRAPH_WIDTH, temperature=100.0)
        self.HtrgGAT_layer_ST12 = _JointAttention(GRAPH_WIDTH, GRAPH_WIDTH, temperature=100.0)
        self.HtrgGAT_layer_ST21 = _JointAttention(g, GRAPH_WIDTH, temperature=100.0)
        self.HtrgGAT_layer_ST22 = _JointAttention(GRAPH_WIDTH, GRAPH_WIDTH, temperature=100.0)
        self.pool_S = _GraphPool(g, size.spectral_kept)
        self.pool_T = _GraphPool(g, size.temporal_kept)
        self.pool_hS1 = _GraphPool(GRAPH_WIDTH, size.joint_kept)
        self.pool_hT1 = _GraphPool(GRAPH_WIDTH, size.joint_kept)
        self.pool_hS2 = _GraphPool(GRAPH_WIDTH, size.joint_kept)
        self.pool_hT2 = _GraphPool(GRAPH_WIDTH, size.joint_kept)
        self.out_layer = nn.Linear(5 * GRAPH_WIDTH, 2)

    def forward(self, samples: Tensor) -> Tensor:
        bands = F.conv1d(samples[:, None], self.filters).unsqueeze(1)
        encoded = self.encoder(F.selu(self.first_bn(F.max_pool2d(bands.abs(), (3, 3)))))
        spectral_nodes = encoded.abs().amax(dim=3).transpose(1, 2) + self.pos_S
        temporal_nodes = encoded.abs().amax(dim=2).transpose(1, 2)
        spectral = self.pool_S(self.GAT_layer_S(spectral_nodes))
        temporal = self.pool_T(self.GAT_layer_T(temporal_nodes))
        one = self._branch(
            (temporal, spectral, self.master1),
            (self.HtrgGAT_layer_ST11, self.HtrgGAT_layer_ST12),
            (self.pool_hT1, self.pool_hS1),
        )
        two = self._branch(
            (temporal, spectral, self.master2),
            (self.HtrgGAT_layer_ST21, self.HtrgGAT_layer_ST22),
            (self.pool_hT2, self.pool_hS2),
        )
        t, s, master = (torch.maximum(a, b) for a, b in zip(one, two, strict=True))
        pooled = [t.abs().amax(dim=1), t.mean(dim=1), s.abs().amax(dim=1), s.mean(dim=1), master.squeeze(1)]
        logits: Tensor = self.out_layer(torch.cat(pooled, dim=1))
        return logits

    def _branch(
        self,
        nodes: tuple[Tensor, Tensor, Tensor],
        layers: tuple[_JointAttention, _JointAttention],
        pools: tuple[_GraphPool, _GraphPool],
    ) -> tuple[Tensor, Tensor, Tensor]:
        t, s, master = layers[0](*nodes)
        t, s = pools[0](t), pools[1](s)
        t_more, s_more, master_more = layers[1](t, s, master)
        return t + t_more, s + s_more, master + master_more


class _ResidualBlock(nn.Module):
    def __init__(self, width_in: int, width_out: int, *, is_first: bool) -> None:
        super().__init__()
        if not is_first:
            self.bn1 = nn.BatchNorm2d(width_in)  # in the weights; the official forward pass does not use what it gives
        self.conv1 = nn.Conv2d(width_in, width_out, (2, 3), padding=(1, 1))
        self.bn2 = nn.BatchNorm2d(width_out)
        self.conv2 = nn.Conv2d(width_out, width_out, (2, 3), padding=(0, 1))
        if width_in != width_out:
            self.conv_downsample = nn.Conv2d(width_in, width_out, (1, 3), padding=(0, 1))
        self._changes_width = width_in != width_out

    def forward(self, x: Tensor) -> Tensor:
        residual = self.conv2(F.selu(self.bn2(self.conv1(x))))
        return F.max_pool2d(residual + (self.conv_downsample(x) if self._changes_width else x), (1, 3))


class _GraphAttention(nn.Module):
    """Attention among the nodes (n, nodes, width_in) of one fully joined graph."""

    def __init__(self, width_in: int, width_out: int, *, temperature: float) -> None:
        super().__init__()
        self.att_proj = nn.Linear(width_in, width_out)
        self.att_weight = nn.Parameter(torch.empty(width_out, 1))
        self.proj_with_att = nn.Linear(width_in, width_out)
        self.proj_without_att = nn.Linear(width_in, width_out)
        self.bn = nn.BatchNorm1d(width_out)
        self._temperature = temperature

    def forward(self, x: Tensor) -> Tensor:
        scores = torch.tanh(self.att_proj(_pair_products(x))) @ self.att_weight
        attention = torch.softmax(scores / self._temperature, dim=-2).squeeze(-1)
        return F.selu(_normalised(self.bn, self.proj_with_att(attention @ x) + self.proj_without_att(x)))


class _JointAttention(nn.Module):
    """Attention among temporal and spectral nodes together, with a master node that gathers from all."""

    def __init__(self, width_in: int, width_out: int, *, temperature: float) -> None:
        super().__init__()
        self.proj_type1 = nn.Linear(width_in, width_in)
        self.proj_type2 = nn.Linear(width_in, width_in)
        self.att_proj = nn.Linear(width_in, width_out)
        self.att_projM = nn.Linear(width_in, width_out)
        for name in ("att_weight11", "att_weight22", "att_weight12", "att_weightM"):
            self.register_parameter(name, nn.Parameter(torch.empty(width_out, 1)))
        self.proj_with_att = nn.Linear(width_in, width_out)
        self.proj_without_att = nn.Linear(width_in, width_out)
        self.proj_with_attM = nn.Linear(width_in, width_out)
        self.proj_without_attM = nn.Linear(width_in, width_out)
        self.bn = nn.BatchNorm1d(width_out)
        self._temperature = temperature

    att_weight11: Tensor
    att_weight22: Tensor
    att_weight12: Tensor
    att_weightM: Tensor

    def forward(self, temporal: Tensor, spectral: Tensor, master: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n_temporal = temporal.shape[1]
        x = torch.cat([self.proj_type1(temporal), self.proj_type2(spectral)], dim=1)
        gathered = self._gathered(x, master)
        attention = self._attention(x, n_temporal)
        x = F.selu(_normalised(self.bn, self.proj_with_att(attention @ x) + self.proj_without_att(x)))
        return x[:, :n_temporal], x[:, n_temporal:], gathered

    def _attention(self, x: Tensor, n_temporal: int) -> Tensor:
        hidden = torch.tanh(self.att_proj(_pair_products(x)))
        t = slice(None, n_temporal), slice(n_temporal, None)
        scores = hidden.new_zeros(hidden.shape[:3])
        scores[:, t[0], t[0]] = (hidden[:, t[0], t[0]] @ self.att_weight11).squeeze(-1)
        scores[:, t[1], t[1]] = (hidden[:, t[1], t[1]] @ self.att_weight22).squeeze(-1)
        for rows, columns in ((t[0], t[1]), (t[1], t[0])):
            scores[:, rows, columns] = (hidden[:, rows, columns] @ self.att_weight12).squeeze(-1)
        return torch.softmax(scores / self._temperature, dim=-1)

    def _gathered(self, x: Tensor, master: Tensor) -> Tensor:
        scores = torch.tanh(self.att_projM(x * master)) @ self.att_weightM
        attention = torch.softmax(scores / self._temperature, dim=-2)
        gathered: Tensor = self.proj_with_attM(attention.transpose(1, 2) @ x) + self.proj_without_attM(master)
        return gathered


class _GraphPool(nn.Module):
    """The highest-scoring share of the nodes, each multiplied by its score, best first."""

    def __init__(self, width: int, kept: float) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 1)
        self._kept = kept

    def forward(self, nodes: Tensor) -> Tensor:
        scores = torch.sigmoid(self.proj(nodes))
        _, best = scores.topk(max(int(nodes.shape[1] * self._kept), 1), dim=1)
        return (nodes * scores).gather(1, best.expand(-1, -1, nodes.shape[2]))


def _pair_products(x: Tensor) -> Tensor:
    return x.unsqueeze(2) * x.unsqueeze(1)


def _normalised(norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    flat: Tensor = norm(x.reshape(-1, x.shape[-1]))
    return flat.reshape(x.shape)


def _sinc_filters() -> Tensor:
    """Band-pass filters on the mel scale, fixed; (70, 1, 129) float32."""
    bins_hz = SAMPLE_RATE_HZ // 2 * np.linspace(0, 1, 257)
    mel = 2595 * np.log10(1 + bins_hz / 700)
    edges_hz = 700 * (10 ** (np.linspace(mel.min(), mel.max(), SINC_FILTERS + 1) / 2595) - 1)
    half = (SINC_TAPS - 1) / 2
    taps = np.arange(-half, half + 1)
    low_pass = [2 * hz / SAMPLE_RATE_HZ * np.sinc(2 * hz * taps / SAMPLE_RATE_HZ) for hz in edges_hz]
    band_pass = np.diff(np.stack(low_pass), axis=0).astype(np.float32)
    return torch.from_numpy(np.hamming(SINC_TAPS).astype(np.float32) * band_pass)[:, None]


def fitted_length(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first INPUT_SAMPLES of *samples*, repeated from the start where there are fewer."""
    repeats = -(-INPUT_SAMPLES // len(samples))
    return np.tile(samples, repeats)[:INPUT_SAMPLES]


def load_aasist(weights: VerifiedWeights, size: AasistSize) -> Aasist:
    """The network with its proven weights, on the CPU, ready to run."""
    network = Aasist(size)
    network.load_state_dict(load_tensors(weights), strict=True)
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def spoof_logits(network: Aasist, windows: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Log-odds of spoof (spoof logit minus bona fide logit) of each window, one window at a time; (n,)."""
    outputs = [network(torch.from_numpy(fitted_length(window))[None])[0] for window in windows]
    return np.array([float(o[0]) - float(o[1]) for o in outputs])
