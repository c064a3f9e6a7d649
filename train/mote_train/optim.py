# SPDX-License-Identifier: Apache-2.0
"""Muon (Jordan et al., 2024) for the matrices of the layers, AdamW for all else."""

from __future__ import annotations

import math
from typing import Any, Sequence

import torch
from torch import Tensor, nn

from .model import MATRICES, Decoder

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalize(x: Tensor, steps: int = 5) -> Tensor:
    """(layers, rows, columns) to nearly orthogonal matrices, by Newton-Schulz iterations."""
    a, b, c = NEWTON_SCHULZ
    tall = x.shape[-2] > x.shape[-1]
    y = x.to(torch.bfloat16 if x.is_cuda else torch.float32)
    y = y.transpose(-1, -2) if tall else y
    y = y / (y.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = y @ y.transpose(-1, -2)
        y = a * y + (b * square + c * square @ square) @ y
    return (y.transpose(-1, -2) if tall else y).to(x.dtype)


class Optimizer:
    """A step size of its own for each of the two; `scale` of `step` multiplies all. Without one
    for Muon, AdamW has all. `units` are further parameters, trained with a third."""

    def __init__(
        self,
        model: Decoder,
        muon_lr: float,
        adam_lr: float,
        decay: float = 0.01,
        units: Sequence[nn.Parameter] = (),
        unit_lr: float = 0.0,
        momentum: float = 0.95,
    ) -> None:
        self.muon_lr, self.momentum, self.decay = muon_lr, momentum, decay
        names = MATRICES if muon_lr > 0 else ()
        self.matrices = [getattr(model, name) for name in names]
        self.buffers = [torch.zeros_like(p) for p in self.matrices]
        others = [p for name, p in model.named_parameters() if name not in names]
        fused = {"fused": True} if others[0].is_cuda else {}
        groups = [{"params": others, "lr": adam_lr}]
        if units:
            groups.append({"params": list(units), "lr": unit_lr})
        self.adam = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0, **fused)
        self.adam_lrs = [group["lr"] for group in groups]

    @torch.no_grad()
    def step(self, scale: float) -> None:
        for group, lr in zip(self.adam.param_groups, self.adam_lrs):
            group["lr"] = lr * scale
        self.adam.step()
        for parameter, buffer in zip(self.matrices, self.buffers):
            buffer.lerp_(parameter.grad, 1 - self.momentum)
            update = orthogonalize(parameter.grad.lerp(buffer, self.momentum))
            rows, columns = parameter.shape[-2:]
            lr = self.muon_lr * scale
            parameter.mul_(1 - lr * self.decay)
            parameter.add_(update, alpha=-lr * max(1.0, rows / columns) ** 0.5)

    def zero_grad(self) -> None:
        self.adam.zero_grad(set_to_none=True)
        for parameter in self.matrices:
            parameter.grad = None

    def state(self) -> dict[str, Any]:
        return {"buffers": self.buffers, "adam": self.adam.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        for buffer, saved in zip(self.buffers, state["buffers"]):
            buffer.copy_(saved)
        self.adam.load_state_dict(state["adam"])


def schedule(step: int, steps: int, warmup: int) -> float:
    """Rises to 1 over `warmup` steps, then falls to 0 along a cosine."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
