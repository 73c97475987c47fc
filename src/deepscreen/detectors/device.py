"""Which device and number format the networks run in."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deepscreen.errors import ConfigError

if TYPE_CHECKING:  # torch is loaded once a plan is made: a service that leaves screening to workers makes none
    from deepscreen.detectors.nets.clip import Precision

logger = logging.getLogger(__name__)
# Processor features that make bf16 faster than fp32; without them bf16 is emulated and slow.
BF16_CPU_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16", "svebf16"})
CPU_BATCH, CUDA_BATCH = 1, 32


@dataclass(frozen=True, slots=True)
class ComputePlan:
    """Device ("cpu", "cuda:0"), precision, and the fixed batch size that goes with the device."""

    device: str
    precision: Precision
    batch_size: int

    @property
    def device_class(self) -> str:
        """What numbers depend on: the kind of device, not its index or name."""
        return self.device.split(":")[0]


def plan_compute(device: str, precision: str) -> ComputePlan:
    """Resolves "auto"; raises ConfigError for a CUDA device that is not there."""
    from torch import cuda

    chosen = device
    if device == "auto":
        chosen = "cuda:0" if cuda.is_available() else "cpu"
    if chosen.startswith("cuda") and not _has_cuda(chosen):
        raise ConfigError(f"device {device}: no such CUDA device; found {cuda.device_count()}; use --device cpu")
    is_cuda = chosen.startswith("cuda")
    number_format: Precision = "fp32"
    if precision == "bf16" or (precision == "auto" and _has_fast_bf16(is_cuda)):
        number_format = "bf16"
    return ComputePlan(chosen, number_format, CUDA_BATCH if is_cuda else CPU_BATCH)


def _has_cuda(device: str) -> bool:
    from torch import cuda

    return cuda.is_available() and int(device.partition(":")[2] or 0) < cuda.device_count()


def _has_fast_bf16(is_cuda: bool) -> bool:
    if is_cuda:
        from torch import cuda

        return bool(cuda.is_bf16_supported(including_emulation=False))
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    lines = (line for line in text.splitlines() if line.startswith(("flags", "Features")))
    return bool(BF16_CPU_FLAGS & set(next(lines, "").split()))
