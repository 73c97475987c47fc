"""Runs a network on batches of one fixed size, so that an item's numbers do not depend on its company.

Matrix kernels are chosen by shape: the same row in a batch of 1 and of 8 can differ in its last bits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from deepscreen.errors import InferenceFailed

logger = logging.getLogger(__name__)
Forward = Callable[[Tensor], tuple[Tensor, ...]]


def run_fixed_batches(forward: Forward, items: Tensor, batch_size: int) -> tuple[Tensor, ...]:
    """``forward`` over *items* (n, ...), n >= 1, in batches of exactly *batch_size*; the last one is filled with zeros.

    Gives the outputs joined along their first axis, n rows each. Where the device's memory does not hold a batch, the
    size is halved for the rest of the call, which is logged: last bits may then differ, within the golden tolerance.
    Raises InferenceFailed where not even one item fits.
    """
    parts: list[tuple[Tensor, ...]] = []
    start, size = 0, batch_size
    while start < len(items):
        chunk = items[start : start + size]
        try:
            parts.append(_filled(forward, chunk, size))
        except torch.OutOfMemoryError as error:
            if size == 1:
                raise InferenceFailed("the device's memory does not hold one item; use --device cpu") from error
            torch.cuda.empty_cache()
            size //= 2
            logger.warning("the device's memory does not hold a batch; going on with batches of %d", size)
            continue
        start += len(chunk)
    return tuple(torch.cat(outputs) if len(outputs) > 1 else outputs[0] for outputs in zip(*parts, strict=True))


def _filled(forward: Forward, chunk: Tensor, size: int) -> tuple[Tensor, ...]:
    missing = size - len(chunk)
    batch = torch.cat([chunk, chunk.new_zeros(missing, *chunk.shape[1:])]) if missing else chunk
    return tuple(output[: len(chunk)] for output in forward(batch))
