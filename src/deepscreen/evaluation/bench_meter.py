"""Counts and times the passes of the pretrained backbones from outside: no detector knows that it is measured.

PyTorch's module hooks see where a pass enters a backbone and leaves its last block; a pass is what lies between.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from transformers.models.whisper.modeling_whisper import WhisperEncoderLayer

from deepscreen.absence import NotScored
from deepscreen.detectors.contract import Detector, DetectorCard, Sample, Scored
from deepscreen.detectors.nets.clip import ClipBlock, ClipEmbeddings
from deepscreen.detectors.nets.whisper import MELS

Direction = Literal["forward", "backward"]


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of a batch through a backbone: wall time from its entry to the end of the last block that ran."""

    direction: Direction
    seconds: float


@dataclass(frozen=True, slots=True)
class DetectorRun:
    """One detector's work on one file: all of ``score``. ``n_samples`` is 0 where it gave no reading."""

    detector: str
    n_samples: int
    seconds: float
    passes: tuple[Pass, ...]

    def pass_seconds(self, direction: Direction) -> list[float]:
        """The passes of one direction, in their order."""
        return [one.seconds for one in self.passes if one.direction == direction]


@dataclass(slots=True)
class _Open:
    """A pass that has begun; ``end`` moves on with every block that is left."""

    direction: Direction
    start: float
    end: float


class PassMeter:
    """While it is open, every backbone pass of this process is timed. For one thread, and for networks on a CPU.

    On an accelerator a call returns before the work is done, so the times would mean nothing: there it refuses.
    """

    def __init__(self) -> None:
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        self._passes: list[Pass] = []
        self._open: _Open | None = None

    def __enter__(self) -> Self:
        self._handles = [
            register_module_forward_pre_hook(self._before_module),
            register_module_forward_hook(self._after_module),
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def take(self) -> tuple[Pass, ...]:
        """The passes since the last call, in their order."""
        self._close()
        taken, self._passes = tuple(self._passes), []
        return taken

    def _before_module(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if not _is_entry(module):
            return
        given: Any = inputs[0]  # a Tensor, whose register_hook is not typed
        if given.device.type != "cpu":
            raise ValueError(
                f"passes are timed on a CPU only, not on {given.device}; run the benchmark with --device cpu"
            )
        self._begin("forward")
        if given.requires_grad:
            given.register_hook(self._end_backward)

    def _after_module(self, module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
        if not isinstance(module, ClipBlock | WhisperEncoderLayer) or self._open is None:
            return
        self._open.end = time.perf_counter()
        if output.requires_grad:
            output.register_hook(self._in_backward)

    def _in_backward(self, _gradient: Tensor) -> None:
        """The gradient of a block's output is known: the first time, that is where the way back begins."""
        if self._open is None or self._open.direction == "forward":
            self._begin("backward")

    def _end_backward(self, _gradient: Tensor) -> None:
        if self._open is not None and self._open.direction == "backward":
            self._open.end = time.perf_counter()
            self._close()

    def _begin(self, direction: Direction) -> None:
        self._close()
        now = time.perf_counter()
        self._open = _Open(direction, now, now)

    def _close(self) -> None:
        if self._open is not None:
            self._passes.append(Pass(self._open.direction, self._open.end - self._open.start))
        self._open = None


def _is_entry(module: nn.Module) -> bool:
    """CLIP is entered by its embeddings, Whisper by the convolution over mel bands."""
    return isinstance(module, ClipEmbeddings) or (isinstance(module, nn.Conv1d) and module.in_channels == MELS)


class MeteredDetector:
    """A detector that notes in ``runs`` what each call cost; its results are the detector's own."""

    def __init__(self, detector: Detector, meter: PassMeter, runs: list[DetectorRun]) -> None:
        self._detector, self._meter, self._runs = detector, meter, runs

    @property
    def card(self) -> DetectorCard:
        return self._detector.card

    def score(self, sample: Sample) -> Scored | NotScored:
        """As the detector, with the cost noted."""
        self._meter.take()
        start = time.perf_counter()
        outcome = self._detector.score(sample)
        seconds = time.perf_counter() - start
        n_samples = outcome.reading.n_samples if isinstance(outcome, Scored) else 0
        self._runs.append(DetectorRun(self.card.name, n_samples, seconds, self._meter.take()))
        return outcome
