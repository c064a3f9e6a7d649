# SPDX-License-Identifier: Apache-2.0
"""Rounding as on the device, with gradients that pass through it unchanged (straight-through).

int8 weights are rounded by the rules of host/convert/quantize.cpp, in fp32; `rounding.py` has the
same in fp64, bit for bit, for what is shipped. Activations follow docs/NUMERICS.md.
"""

from __future__ import annotations

from typing import Any, Callable

import torch
from torch import Tensor, nn

from .freezing import LaneFreezer
from .model import MATRICES, NORM_BEFORE, Decoder, Numerics, Weights
from .rounding import FACTOR_TOP, INT4_LOW, INT4_TOP
from .shape import ModelShape

TINY = 1e-30
TINY_UNIT = 2.0**-20  # of blocks without a weight, of the largest


def compile_on_gpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled where PyTorch can, and where it pays."""
    if torch.cuda.is_available() and hasattr(torch, "compile"):
        return torch.compile(function)
    return function


def straight_through(x: Tensor, rounded: Tensor) -> Tensor:
    return x + (rounded - x).detach()


def scale_up(x: Tensor) -> Tensor:
    """The smallest number of 12 significant bits that is not below x (fp32, >= 0)."""
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0xFFF) & ~0xFFF).view(torch.float32)


def scale_nearest(x: Tensor) -> Tensor:
    """The number of 12 significant bits nearest to x (fp32, >= 0), half up."""
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0x800) & ~0xFFF).view(torch.float32)


def round_lanes(x: Tensor, width: int) -> Tensor:
    """Blocks of `width` lanes of the last dimension as int8 with a scale each, as real numbers."""
    blocks = x.detach().float().unflatten(-1, (-1, width))
    scale = scale_up(blocks.abs().amax(-1, keepdim=True) / 127)
    inverse = torch.where(scale > 0, 1 / scale.clamp(min=2.0**-28), torch.zeros_like(scale))
    lanes = (torch.floor(blocks * inverse + 0.5)).clamp(-127, 127)
    return (lanes * scale).flatten(-2)


def hadamard(x: Tensor) -> Tensor:
    """x H / sqrt(n) along the last dimension, n the largest power of two that divides it."""
    size = x.shape[-1]
    width = size & -size
    i = torch.arange(width, device=x.device)
    shared = i[:, None] & i[None, :]
    for shift in (4, 2, 1):  # the parity of up to 8 bits
        shared = shared ^ (shared >> shift)
    matrix = (1 - 2 * (shared & 1)).to(x.dtype) * width**-0.5
    return (x.unflatten(-1, (-1, width)) @ matrix).flatten(-2)


def try_units(x: Tensor, units: Tensor, low: int, high: int) -> tuple[Tensor, Tensor]:
    """Rounds blocks x (n, width) to each of units (n, tries), all at once. Returns the lanes
    (n, tries, width) and x (n, 1, width)."""
    x = x[:, None]
    return torch.round(x / units.clamp(min=TINY)[..., None]).clamp(low, high), x


def round_int8(rows: Tensor) -> Tensor:
    """Rows (n, columns): of 16 scales the one of least squared error."""
    tops = torch.arange(127, 111, -1, device=rows.device)
    scales = scale_nearest(rows.abs().amax(-1, keepdim=True) / tops)
    lanes, x = try_units(rows, scales, -127, 127)
    errors = (x - lanes * scales[..., None]).square().sum(-1)
    scale = scales.gather(1, errors.argmin(1, keepdim=True))
    return torch.round(rows / scale.clamp(min=TINY)).clamp(-127, 127) * scale


def round_int8_stack(stack: Tensor) -> Tensor:
    """(..., rows, columns), each row with a scale of its own."""
    return round_int8(stack.flatten(0, -2)).view_as(stack)


class DeviceNumerics(Numerics):
    """int8 blocks of activations, queries, keys and values; weights stay as they are."""

    def block(self, x: Tensor, width: int) -> Tensor:
        return straight_through(x, round_lanes(x, width).to(x.dtype))

    def rotated(self, x: Tensor) -> Tensor:
        return self.block(hadamard(x.float()), x.shape[-1])

    def final(self, x: Tensor, gains: Tensor, width: int) -> Tensor:
        return self.block(x * gains, width)


class Int8Numerics(DeviceNumerics):
    """Weights are int8 too."""

    def __init__(self) -> None:
        self.round_int8 = compile_on_gpu(round_int8_stack)

    def weights(self, weights: Weights) -> Weights:
        def rounded(x: Tensor) -> Tensor:
            with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
                return self.round_int8(x.detach().float())

        return map_weights(weights, lambda _, x: straight_through(x, rounded(x)))


def map_weights(weights: Weights, of: Callable[[str, Tensor], Tensor]) -> Weights:
    """of(name, tensor) for every matrix; a tied classifier stays tied."""
    embedding = of("embedding", weights.embedding)
    classifier = embedding
    if weights.classifier is not weights.embedding:
        classifier = of("classifier", weights.classifier)
    layers = {name: of(name, x) for name, x in weights.layers.items()}
    return Weights(embedding, classifier, weights.final_norm, layers)


def representable(units: Tensor) -> Tensor:
    """The units (..., rows, blocks) that an image can have, nearest to these: a factor of 1 to 255
    times the row's number of 12 bits."""
    row = scale_nearest(units.amax(-1, keepdim=True) / FACTOR_TOP)
    return (units / row).round().clamp(1, FACTOR_TOP) * row


class Int4Numerics(DeviceNumerics):
    """int4 weights with scales that are trained as they are (LSQ: Esser et al., 2020), but for the
    matrices that the shape keeps in int8. A scale chosen anew from the weights at each step would
    now and then move a whole block at once, which costs more than the best scale gains."""

    def __init__(self, shape: ModelShape, units: dict[str, Tensor]) -> None:
        """units: by name of a matrix what one unit of each block is worth, (..., rows, blocks)."""
        self.shape = shape
        self.log_units = {
            name: nn.Parameter(u.clamp(min=float(u.max()) * TINY_UNIT).log())
            for name, u in units.items()
        }
        self.lanes: dict[str, Tensor] = {}  # of the last weights, before any was held
        self.freezers: dict[str, LaneFreezer] = {}

    def units(self) -> dict[str, Tensor]:
        """As the image will hold them."""
        return {name: representable(u.detach().exp()) for name, u in self.log_units.items()}

    def weights(self, weights: Weights) -> Weights:
        return map_weights(weights, self.rounded)

    def rounded(self, name: str, x: Tensor) -> Tensor:
        units = self.log_units[name].exp()
        units = self.spread(name, straight_through(units, representable(units.detach())))
        lanes = (x / units).clamp(INT4_LOW, INT4_TOP)
        whole = self.lanes[name] = lanes.detach().round()
        if name in self.freezers:
            lanes, whole = self.freezers[name].hold(lanes), self.freezers[name].hold(whole)
        out = straight_through(lanes, whole) * units
        wide = self.wide(name)
        if not wide.any():
            return out
        return torch.where(wide, straight_through(x, round_int8_stack(x.detach())), out)

    def spread(self, name: str, units: Tensor) -> Tensor:
        """Units of blocks as those of their lanes."""
        return units.repeat_interleave(self.shape.block_of(name), -1)

    def wide(self, name: str) -> Tensor:
        """Whether the matrix stays int8, (layers, 1, 1)."""
        layers = range(self.shape.n_layers if name in MATRICES else 1)
        wide = [self.shape.is_int8(name, layer) for layer in layers]
        return torch.tensor(wide, device=self.log_units[name].device)[:, None, None]

    def watch(self, limit: float) -> None:
        """The lanes of a step of training; holds those that change at more than `limit` of the
        steps."""
        for name, lanes in self.lanes.items():
            self.freezers.setdefault(name, LaneFreezer(lanes)).watch(lanes, limit)

    def held(self) -> float:
        """Share of the lanes that are held, over all matrices."""
        sizes = {name: self.lanes[name].numel() for name in self.freezers}
        held = sum(self.freezers[name].share() * n for name, n in sizes.items())
        return held / max(1, sum(sizes.values()))

    @torch.no_grad()
    def settle(self, model: Decoder) -> None:
        """Makes the model's weights those that the held lanes stand for."""
        units = self.units()
        for name, freezer in self.freezers.items():
            weight = getattr(model, name)
            value = freezer.state["value"] * self.spread(name, units[name])
            if name in NORM_BEFORE:
                value = value / getattr(model, NORM_BEFORE[name])[:, None, :]
            held = freezer.state["held"] & ~self.wide(name).view([-1] + [1] * (weight.dim() - 1))
            weight.copy_(torch.where(held, value, weight))
