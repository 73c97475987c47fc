"""A linear layer whose weights never change, so that they can be laid out once for the processor at hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class FrozenLinear(nn.Module):
    """``x W^T + b`` for inference."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Buffer(weight)
        self.bias = nn.Buffer(bias)
        self._is_packed = False

    def pack(self, rows: int) -> None:
        """Lays the weights out for products of *rows* rows, where that pays: bf16 on a CPU.

        Without it oneDNN lays them out anew on every call, which costs a tenth of a pass; the products are the same to
        the last bit. The two operators are PyTorch's own (its compiler calls them) but not documented: where they are
        missing, or the processor has no bf16 of its own, nothing is packed.
        """
        is_bf16_on_cpu = self.weight.device.type == "cpu" and self.weight.dtype == torch.bfloat16
        if is_bf16_on_cpu and _can_pack():
            self.weight = nn.Buffer(torch.ops.mkldnn._reorder_linear_weight(self.weight, rows), persistent=False)
            self._is_packed = True

    def forward(self, rows: Tensor) -> Tensor:
        if self._is_packed:
            packed: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, "none", [], "")
            return packed
        return functional.linear(rows, self.weight, self.bias)


def _can_pack() -> bool:
    has_operators = hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    return has_operators and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
