# SPDX-License-Identifier: Apache-2.0
"""Rounding as on the device, with gradients that pass through it unchanged (straight-through).

Weights are rounded by the rules of host/convert/quantize.cpp, in fp32; `rounding.py` has the same
in fp64, bit for bit, for what is shipped. Activations follow docs/NUMERICS.md.
"""

from __future__ import annotations

from typing import Any, Callable

import torch
from torch import Tensor

from .model import MATRICES, Numerics, Weights

HEADROOM = 1.5  # least squares may lift a block's scale so far above the covering one
TINY = 1e-30


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


def block_scales_int4(blocks: Tensor) -> Tensor:
    """(n, width) to (n, 1): the least-squares scale of the best of a few ranges."""
    covering = torch.maximum(blocks.amax(-1, keepdim=True) / 7, blocks.amin(-1, keepdim=True) / -8)
    steps = torch.arange(-4, 17, device=blocks.device)
    lanes, x = try_units(blocks, covering * (1 - 0.025 * steps), -8, 7)
    product = (x * lanes).sum(-1)
    square = lanes.square().sum(-1).clamp(min=1)
    best = (product.square() / square).argmax(1, keepdim=True)
    return torch.minimum((product / square).gather(1, best), covering * HEADROOM)


def round_blocks_int4(blocks: Tensor, scales: Tensor, row_scales: Tensor) -> Tensor:
    """(n, width) to int4 with the 8-bit factor of least error near scales / row_scales (n, 1)."""
    middle = torch.round(scales / row_scales.clamp(min=TINY)).clamp(0, 255)
    offsets = torch.arange(-2, 3, device=blocks.device)
    units = (middle + offsets).clamp(1, 255) * row_scales
    lanes, x = try_units(blocks, units, -8, 7)
    errors = (x - lanes * units[..., None]).square().sum(-1)
    unit = units.gather(1, errors.argmin(1, keepdim=True))
    return torch.round(blocks / unit.clamp(min=TINY)).clamp(-8, 7) * unit


def round_int4(matrices: list[tuple[Tensor, int]]) -> list[Tensor]:
    """Rounds (..., rows, columns) matrices with their block widths, all of one width at once."""
    out: list[Tensor] = [m for m, _ in matrices]
    for width in sorted({w for _, w in matrices}):
        chosen = [i for i, (_, w) in enumerate(matrices) if w == width]
        blocks = torch.cat([matrices[i][0].reshape(-1, width) for i in chosen])
        scales = block_scales_int4(blocks)
        row_scales = []
        first = 0
        for i in chosen:
            count = matrices[i][0].numel() // width
            per_row = scales[first : first + count].view(-1, matrices[i][0].shape[-1] // width)
            widest = scale_nearest(per_row.amax(1, keepdim=True) / 255)
            row_scales.append(widest.expand_as(per_row).reshape(-1, 1))
            first += count
        rounded = round_blocks_int4(blocks, scales, torch.cat(row_scales))
        first = 0
        for i in chosen:
            count = matrices[i][0].numel() // width
            out[i] = rounded[first : first + count].view_as(matrices[i][0])
            first += count
    return out


class DeviceNumerics(Numerics):
    """int8 blocks of activations, queries, keys and values; weights of `format`.

    format      "int8", "int4" or "exact" (weights stay as they are)
    block       lanes of a block of int4 weights
    head_block  the same of wo
    """

    def __init__(self, format: str, block: int, head_block: int) -> None:
        self.format, self.block_width, self.head_block = format, block, head_block
        self.round_int4, self.round_int8 = compile_on_gpu(round_int4), compile_on_gpu(round_int8)

    def weights(self, weights: Weights) -> Weights:
        if self.format == "exact":
            return weights
        tied = weights.classifier is weights.embedding
        tensors = [weights.embedding] + [weights.layers[name] for name in MATRICES]
        widths = [self.block_width] * len(tensors)
        widths[1 + MATRICES.index("wo")] = self.head_block
        if not tied:
            tensors.append(weights.classifier)
            widths.append(self.block_width)
        with torch.no_grad(), torch.autocast(tensors[0].device.type, enabled=False):
            exact = [t.detach().float() for t in tensors]
            if self.format == "int8":
                rounded = [self.round_int8(t.flatten(0, -2)).view_as(t) for t in exact]
            else:
                rounded = self.round_int4(list(zip(exact, widths)))
        passed = [straight_through(t, r) for t, r in zip(tensors, rounded)]
        embedding = passed[0]
        layers = dict(zip(MATRICES, passed[1:]))
        return Weights(embedding, embedding if tied else passed[-1], weights.final_norm, layers)

    def block(self, x: Tensor, width: int) -> Tensor:
        return straight_through(x, round_lanes(x, width).to(x.dtype))

    def rotated(self, x: Tensor) -> Tensor:
        return self.block(hadamard(x.float()), x.shape[-1])

    def final(self, x: Tensor, gains: Tensor, width: int) -> Tensor:
        return self.block(x * gains, width)


class FixedScaleNumerics(DeviceNumerics):
    """int4 weights whose scales no longer follow the weights: only lanes change. A scale that is
    chosen anew each step now and then moves a whole block at once, which costs more than the best
    scale gains."""

    def __init__(self, units: Weights, block: int, head_block: int) -> None:
        super().__init__("exact", block, head_block)
        self.units = units

    def weights(self, weights: Weights) -> Weights:
        def rounded(x: Tensor, units: Tensor) -> Tensor:
            lanes = torch.round(x.detach() / units.clamp(min=TINY)).clamp(-8, 7)
            return straight_through(x, lanes * units)

        embedding = rounded(weights.embedding, self.units.embedding)
        classifier = embedding
        if weights.classifier is not weights.embedding:
            classifier = rounded(weights.classifier, self.units.classifier)
        layers = {n: rounded(weights.layers[n], self.units.layers[n]) for n in MATRICES}
        return Weights(embedding, classifier, weights.final_norm, layers)
