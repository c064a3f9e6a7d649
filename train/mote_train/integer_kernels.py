# SPDX-License-Identifier: Apache-2.0
"""The engine's kernels (docs/NUMERICS.md), bit for bit, on numpy arrays.

Everything is an integer: int64, or a float where all partial sums are integers that it holds
exactly, so that matrix products can use BLAS. Arrays of activations have one row for each text and
position.
"""

import math

import numpy as np

from .fixed_point import (
    LOG2E_Q16,
    SCALE_FRACTION_BITS,
    Multiplier,
    encode_scale_up,
    exp2_negative,
    int64,
    multiply_shift,
    saturate_s32,
    scale_exponent,
    scale_mantissa,
    shift_round,
    shift_saturate,
    significant_bits,
)

EPSILON_FRACTION_BITS = 44

# Lanes are within +-127 and aligned scales below 2^27.
LARGEST_INPUT = 127 << 27
FLOAT64_INTEGERS = 1 << 53


# From wide integers to int8.


def quantize_block(lanes, lane_unit):
    """int8 values (..., n), as int64, and Scale16 bits (...) of lanes (..., n) below 2^62.

    lane_unit (...) is what one is worth; its mantissa is 1 to 2^20.
    """
    largest = np.abs(lanes).max(axis=-1)
    drop = np.maximum(significant_bits(largest) - 30, 0)
    top = shift_round(largest, drop)
    lift = np.maximum(20 - significant_bits(lane_unit.mantissa), 0)
    mantissa = lane_unit.mantissa << lift
    exponent = lane_unit.exponent - lift + drop + SCALE_FRACTION_BITS
    scale = _scale_for_largest(top * mantissa, exponent)
    ratio = (mantissa << 11) // np.maximum(scale_mantissa(scale), 1)
    shift = 11 + scale_exponent(scale) - exponent
    products = shift_round(lanes, drop[..., None]) * ratio[..., None]
    return np.clip(shift_saturate(products, shift[..., None]), -127, 127), scale


def _scale_for_largest(values, exponent):
    """Scale16 bits of the smallest scale not below values * 2^exponent / 127. values < 2^51."""
    shift = significant_bits(values) - 31
    down = np.maximum(shift, 0)
    top = (values + ((np.int64(1) << down) - 1)) >> down
    top = top << np.clip(-shift, 0, 31)
    return encode_scale_up((top + 126) // 127, exponent + shift)


class Blocks:
    """Vectors of int8 blocks: values (rows, blocks, block), scales (rows, blocks) Scale16 bits."""

    def __init__(self, values, scales):
        self.values = values
        self.scales = scales
        self.aligned, self.unit = align_scales(scales)

    @classmethod
    def quantize(cls, lanes, block, lane_unit):
        """Of lanes (rows, n); the last block may be filled up with zeros."""
        rows, count = lanes.shape
        missing = -count % block
        if missing:
            lanes = np.concatenate((lanes, np.zeros((rows, missing), np.int64)), axis=1)
        return cls(*quantize_block(lanes.reshape(rows, -1, block), lane_unit))


def align_scales(scales):
    """Scales (..., blocks) of one exponent, below 2^27, and the exponent of their unit (...)."""
    exponents = scale_exponent(scales)
    largest = exponents.max(axis=-1)
    aligned = (scale_mantissa(scales) << 15) >> (largest[..., None] - exponents)
    return aligned, largest - 15 - SCALE_FRACTION_BITS


# Matrices.


class Weights:
    """A matrix, ready for products.

    A row's sum may have 61 bits. It is cut by columns, so that all sums of a part are below 2^53
    and exact in float64.
    """

    def __init__(self, matrix):
        self.matrix = matrix
        self.mantissas = scale_mantissa(matrix.row_scales)
        self.exponents = scale_exponent(matrix.row_scales) + matrix.exponent
        largest = 8 * 255 if matrix.is_int4 else 128
        width = FLOAT64_INTEGERS // (largest * LARGEST_INPUT)
        values = matrix.scaled_values()
        self.parts = [
            np.ascontiguousarray(values[:, first : first + width].T.astype(np.float64))
            for first in range(0, values.shape[1], width)
        ]

    def sums(self, x):
        """(rows of x, rows of the matrix): exact integers."""
        lanes = (x.values * x.aligned[..., None]).reshape(len(x.values), -1).astype(np.float64)
        total = np.int64(0)
        first = 0
        for part in self.parts:
            total = total + (lanes[:, first : first + len(part)] @ part).astype(np.int64)
            first += len(part)
        return total

    def times(self, x, factor, fraction_bits):
        """Rounded once, in Q fraction_bits; factor (rows of x) beside the unit of x's scales."""
        exponents = (factor.exponent + x.unit + fraction_bits)[:, None] + self.exponents
        mantissas = factor.mantissa[..., None] * self.mantissas
        return multiply_shift(self.sums(x), mantissas, -exponents)

    def rows(self, tokens, fraction_bits):
        """dequantize_row of these rows, without padding."""
        values = self.matrix.scaled_values(tokens)[:, : self.matrix.columns]
        shift = -(self.exponents[tokens] + fraction_bits)
        return multiply_shift(values, self.mantissas[tokens][:, None], shift[:, None])


# RMSNorm.


def norm_factor(x, dim, epsilon):
    """1 / sqrt(mean square + epsilon) of each row, as a multiplier."""
    sum_unit = x.unit + 10
    shift = -EPSILON_FRACTION_BITS - 2 * sum_unit
    scaled_epsilon = (int64(epsilon) << np.maximum(shift, 0)) >> np.maximum(-shift, 0)
    squares = (x.values * x.values).sum(axis=-1)
    total = scaled_epsilon + (((squares * x.aligned) >> 20) * x.aligned).sum(axis=-1)
    total = np.maximum(total, 1)
    lift = 64 - significant_bits(total)
    mean = (total.astype(np.uint64) << lift.astype(np.uint64)) // np.uint64(dim)
    mean_lift = 64 - significant_bits(mean)
    exponent = lift + mean_lift
    mean = (mean << mean_lift.astype(np.uint64)) >> (exponent % 2).astype(np.uint64)
    exponent = exponent // 2
    roots = int64([math.isqrt(int(value)) for value in mean])
    return Multiplier(np.int64(1 << 51) // roots, exponent - 51 - sum_unit)


def apply_gains(x, gains, gains_exponent):
    """Blocks whose lanes are multiplied by gains (lanes, padded)."""
    products = x.values * gains.reshape(x.values.shape[1:])
    mantissa = np.maximum(scale_mantissa(x.scales), 1)
    exponent = scale_exponent(x.scales) - SCALE_FRACTION_BITS + gains_exponent
    return Blocks(*quantize_block(products, Multiplier(mantissa, exponent)))


# Rotary embedding and Hadamard transform.

# round(2^15 * sin(i / 256 * pi / 2)) for i = 0 to 256.
QUARTER_WAVE = int64([round(2.0**15 * math.sin(i / 512 * math.pi)) for i in range(257)])
QUARTER_TURN = 1 << 30


def sine(phase):
    """In Q15, of phases in 2^-32 turn."""
    angle = phase & (QUARTER_TURN - 1)
    angle = np.where(phase & QUARTER_TURN, QUARTER_TURN - angle, angle)
    index = np.minimum(angle >> 22, 255)
    between = np.where(angle == QUARTER_TURN, 1 << 16, (angle >> 6) & 0xFFFF)
    step = QUARTER_WAVE[index + 1] - QUARTER_WAVE[index]
    magnitude = QUARTER_WAVE[index] + ((step * between + (1 << 15)) >> 16)
    return np.where(phase >> 31 & 1, -magnitude, magnitude)


def rotate_pairs(lanes, frequencies, positions):
    """Lanes (..., positions, head_size) turned by their position."""
    phase = (int64(positions)[:, None] * int64(frequencies)) & 0xFFFFFFFF
    s, c = sine(phase), sine((phase + QUARTER_TURN) & 0xFFFFFFFF)
    x, y = lanes[..., 0::2], lanes[..., 1::2]
    turned = np.empty_like(lanes)
    turned[..., 0::2] = saturate_s32(shift_round(x * c - y * s, 15))
    turned[..., 1::2] = saturate_s32(shift_round(x * s + y * c, 15))
    return turned


def hadamard_width(head_size):
    return head_size & -head_size


def hadamard_transform(lanes):
    """Of each run of hadamard_width lanes, in natural order, without a factor."""
    width = hadamard_width(lanes.shape[-1])
    step = 1
    while step < width:
        pairs = lanes.reshape(*lanes.shape[:-1], -1, 2, step)
        a, b = pairs[..., 0, :], pairs[..., 1, :]
        lanes = np.stack((a + b, a - b), axis=-2).reshape(lanes.shape)
        step *= 2
    return lanes


# SwiGLU.


def sigmoid_q16(x):
    magnitude = np.minimum(np.abs(x), 24 << 16)
    power = exp2_negative(shift_round(magnitude * LOG2E_Q16, 16))
    denominator = (1 << 16) + ((power + (1 << 13)) >> 14)
    positive = 1 + ((1 << 32) - (denominator - denominator // 2)) // denominator
    return np.where(x >= 0, positive, (1 << 16) - positive)


def silu_q16_q20(x):
    limit = (1 << 27) - 1
    return shift_round(np.clip(x, -limit, limit) * sigmoid_q16(x), 12)


def swiglu_q36(gate, up):
    return silu_q16_q20(gate) * up
