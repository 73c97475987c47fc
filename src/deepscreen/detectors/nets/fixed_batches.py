"""Runs a network on batches of one fixed size, so that an item's numbers do not depend on its company.

Matrix kernels are chosen by shape: the same row in a batch of 1 and of 8 can differ in its last bits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def run_fixed_batches(
    forward: Callable[[Tensor], tuple[Tensor, ...]], items: Tensor, batch_size: int
) -> tuple[Tensor, ...]:
    """``forward`` over *items* (n, ...), n >= 1, in batches of exactly *batch_size*; the last one is filled with zeros.

    Gives the outputs joined along their first axis, n rows each.
    """
    parts: list[tuple[Tensor, ...]] = []
    for start in range(0, len(items), batch_size):
        chunk = items[start : start + batch_size]
        missing = batch_size - len(chunk)
        filled = torch.cat([chunk, chunk.new_zeros(missing, *chunk.shape[1:])]) if missing else chunk
        parts.append(tuple(output[: len(chunk)] for output in forward(filled)))
    return tuple(torch.cat(outputs) if len(outputs) > 1 else outputs[0] for outputs in zip(*parts, strict=True))
