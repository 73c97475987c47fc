"""Which times and frequencies of a window of speech moved the Whisper view's term of its log-odds.

Gradient times difference from a window in which every mel band is constant at its own median, taken halfway between the
two: integrated gradients with one step (Sundararajan et al. 2017, "Axiomatic attribution for deep networks"); more
steps were not more faithful. A cell of the map holds the log-odds of its neighbourhood, about 0.2 s by an eighth of the
mel bands. The spectral statistics have no place in time and frequency and are not shown.
"""

from __future__ import annotations

import cv2
import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepscreen.detectors.audio_head import AudioHead
from deepscreen.detectors.contract import LOGIT_DECIMALS, Faithfulness, SpectrogramSaliency
from deepscreen.detectors.nets.whisper import MELS, WhisperBackbone
from deepscreen.detectors.speech import SpeechWindow
from deepscreen.detectors.speech_features import pooled_states, state_mask

NEIGHBOURHOOD_MELS = 3.0  # standard deviations of the neighbourhood's Gaussian, in cells
NEIGHBOURHOOD_FRAMES = 6.0
NEIGHBOURHOOD_CELLS = 4 * np.pi * NEIGHBOURHOOD_MELS * NEIGHBOURHOOD_FRAMES  # a box of equal effect
MASKED_SHARE = 0.1
RANDOM_DRAWS = 2
RANDOM_SEED = 20260101  # the same random tenths for every window, so that a record is reproducible
MEL_TOP_HZ = 8000.0

Cells = NDArray[np.float32]  # (80 mels, speech frames of 10 ms)


def explain_window(backbone: WhisperBackbone, head: AudioHead, window: SpeechWindow) -> SpectrogramSaliency:
    """The saliency of one window and its faithfulness; seven passes of the backbone, one of them backwards."""
    seen = _SeenWindow(backbone, head, window)
    values = np.zeros((MELS, len(window.speech)), np.float32)
    values[:, window.speech] = _neighbourhood_sums(seen.attribution())
    n_frames = max(1, round((window.end_seconds - window.start_seconds) * 100))
    return SpectrogramSaliency(
        log_power_db=seen.log_power_db()[:, :n_frames],
        values=values[:, :n_frames],
        start_seconds=window.start_seconds,
        end_seconds=window.end_seconds,
        mel_frequencies_hz=np.asarray(librosa.mel_frequencies(MELS + 2, fmin=0, fmax=MEL_TOP_HZ)[1:-1], np.float64),
        faithfulness=seen.faithfulness(values[:, window.speech]),
    )


class _SeenWindow:
    """One window as the Whisper view sees it: its log-mel, and the log-odds of altered ones."""

    def __init__(self, backbone: WhisperBackbone, head: AudioHead, window: SpeechWindow) -> None:
        self._backbone, self._head = backbone, head
        self._mask = state_mask(window.speech)
        self._speech = torch.from_numpy(window.speech)
        log_mel = backbone.log_mel(torch.from_numpy(window.levelled())[None])
        self._log_mel = log_mel.clone().cpu()  # a clone made here may carry gradients, an inference tensor may not
        spoken = self._log_mel[0][:, self._speech]
        self._plain = self._log_mel.clone()
        self._plain[0][:, self._speech] = spoken.median(dim=1, keepdim=True).values.expand_as(spoken)

    def attribution(self) -> Cells:
        """Log-odds that each cell of speech adds to those of its band's median."""
        halfway = ((self._log_mel + self._plain) / 2).requires_grad_()
        (gradient,) = torch.autograd.grad(self._logit(halfway), halfway)
        return np.asarray((gradient * (self._log_mel - self._plain))[0][:, self._speech].numpy(), np.float32)

    def faithfulness(self, values: Cells) -> Faithfulness:
        """Drops when the hottest tenth of ``values``, or a random tenth, is set to its band's median."""
        count = round(MASKED_SHARE * values.size)
        rng = np.random.default_rng(RANDOM_SEED)
        draws = [rng.permutation(values.size)[:count] for _ in range(RANDOM_DRAWS)]
        whole = float(self._logit(self._log_mel).detach())
        hottest, *at_random = (
            whole - self._logit_without(cells, values.shape)
            for cells in [np.argsort(-values.ravel(), kind="stable")[:count], *draws]
        )
        return Faithfulness(
            round(hottest, LOGIT_DECIMALS), round(float(np.mean(at_random)), LOGIT_DECIMALS), MASKED_SHARE
        )

    def log_power_db(self) -> Cells:
        """The log-mel in decibels relative to the loudest cell; (80, 300) float32."""
        db = self._log_mel[0].numpy() * 40.0  # Whisper's scale is (log10 of power + 4) / 4
        return np.asarray(db - db.max(), np.float32)

    def _logit_without(self, cells: NDArray[np.int64], shape: tuple[int, ...]) -> float:
        gone = np.zeros(shape, np.bool_)
        gone.ravel()[cells] = True
        everywhere = torch.zeros(self._log_mel.shape[1:], dtype=torch.bool)
        everywhere[:, self._speech] = torch.from_numpy(gone)
        return float(self._logit(torch.where(everywhere, self._plain, self._log_mel)).detach())

    def _logit(self, log_mel: Tensor) -> Tensor:
        """What the Whisper view adds to the log-odds of the window."""
        states = self._backbone.differentiable_hidden_states(log_mel, last_layer=self._head.last_layer)[:, 0]
        return self._head.differentiable_whisper_logit(pooled_states(states, self._mask))


def _neighbourhood_sums(cells: Cells) -> Cells:
    means = cv2.GaussianBlur(cells, (0, 0), sigmaX=NEIGHBOURHOOD_FRAMES, sigmaY=NEIGHBOURHOOD_MELS)
    return np.asarray(means * NEIGHBOURHOOD_CELLS, np.float32)
