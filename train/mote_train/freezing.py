# SPDX-License-Identifier: Apache-2.0
"""Lanes of int4 weights that go to and fro between two values, held at one of them.

A weight that lies near the middle between two lanes is drawn back over it at every step, however
small the step is, and each time moves all that depends on it. Once a lane changes too often it is
fixed at its mean value, rounded, and learns no more, while the others adapt to it (Nagel et al.,
"Overcoming Oscillations in Quantization-Aware Training", 2022).
"""

from __future__ import annotations

import torch
from torch import Tensor

FORGET = 0.01  # weight of the last step in the means


class LaneFreezer:
    """Of the lanes of one matrix, or of a stack of them."""

    def __init__(self, lanes: Tensor) -> None:
        """lanes: whole numbers, at first."""
        self.state = {
            "last": lanes.clone(),
            "mean": lanes.clone(),
            "rate": torch.zeros_like(lanes),  # changes a step
            "held": torch.zeros_like(lanes, dtype=torch.bool),
            "value": lanes.clone(),  # of those that are held
        }

    @torch.no_grad()
    def watch(self, lanes: Tensor, limit: float) -> None:
        """The lanes of one more step; holds those that change at more than `limit` of the steps."""
        s = self.state
        s["rate"].lerp_((lanes != s["last"]).to(lanes.dtype), FORGET)
        s["mean"].lerp_(lanes, FORGET)
        s["last"].copy_(lanes)
        new = (s["rate"] > limit) & ~s["held"]
        s["value"].copy_(torch.where(new, s["mean"].round(), s["value"]))
        s["held"] |= new

    def hold(self, lanes: Tensor) -> Tensor:
        """`lanes` with those that are held in place; no gradient passes these."""
        return torch.where(self.state["held"], self.state["value"], lanes)

    def share(self) -> float:
        """Of lanes that are held."""
        return self.state["held"].float().mean().item()
