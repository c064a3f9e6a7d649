# SPDX-License-Identifier: Apache-2.0
"""Weights to integers, bit for bit as host/convert/quantize.cpp rounds them.

Sums run over the columns in order, as they do there: numpy's own sums pair their terms, and a tie
could fall the other way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

INT8_TOP = 127
INT8_FIRST_TOP = 112
INT4_LOW, INT4_TOP = -8, 7
FACTOR_TOP = 255
INT4_HEADROOM = 1.5
TOP_BIT = 41  # the top octave of Scale16 is [2^41, 2^42)
GAIN_TOP_BIT = 14
GAIN_TOP = 32767


@dataclass
class RoundedMatrix:
    """Real weight = values * units, values int8 or int4."""

    values: np.ndarray  # (rows, columns) int8
    factors: np.ndarray | None  # (rows, blocks) uint8, int4 only
    scales: np.ndarray  # (rows) uint16, bits of Scale16
    exponent: int
    block: int

    def units(self) -> np.ndarray:
        """(rows, columns) float32: factor (1 for int8) * value of the Scale16 * 2^exponent."""
        rows = real_scales([int(s) for s in self.scales], self.exponent)[:, None]
        if self.factors is None:
            return np.repeat(rows, self.values.shape[1], axis=1).astype(np.float32)
        units = np.repeat(rows * self.factors, self.block, axis=1)
        return units[:, : self.values.shape[1]].astype(np.float32)

    def real(self) -> np.ndarray:
        """(rows, columns) float32; exact, as units have 20 bits at most."""
        return self.values * self.units()


def scale16_value(bits: int) -> int:
    e, f = bits >> 11, bits & 2047
    return f if e == 0 else (2048 + f) << (e - 1)


def encode_scale_up(value: int) -> int:
    """Bits of the smallest Scale16 that is not below value."""
    if value < 2048:
        return value
    shift = max(value.bit_length() - 12, 0)
    mantissa = -(-value >> shift)
    if mantissa == 4096:
        mantissa, shift = 2048, shift + 1
    if shift > 30:
        return 0xFFFF
    return (shift + 1) << 11 | mantissa & 2047


def nearest_scale(value: float) -> int:
    shift = max(math.frexp(value)[1] - 12, 0)
    return encode_scale_up(math.floor(math.ldexp(value, -shift) + 0.5) << shift)


def round_clamped(x: np.ndarray, low: int, high: int) -> np.ndarray:
    """Half away from zero."""
    x = np.clip(x, low, high)
    return np.trunc(np.where(x < 0, x - 0.5, x + 0.5))


def ordered_sum(x: np.ndarray) -> np.ndarray:
    """Over the last axis, first to last."""
    return np.cumsum(x, axis=-1)[..., -1]


def choose_scale_exponent(largest: float, format: str) -> int:
    if largest == 0:
        return 0
    if format == "int4":
        scale = largest * INT4_HEADROOM / (INT4_TOP * FACTOR_TOP)
    else:
        scale = largest / INT8_FIRST_TOP
    return min(max(math.frexp(scale)[1] - 1 - TOP_BIT, -128), 127)


def normalize_scales(scales: list[int], exponent: int) -> tuple[np.ndarray, int]:
    """Brings the largest scale into the top octave; the real scales stay."""
    largest = max(scale16_value(s) for s in scales)
    if largest == 0:
        return np.array(scales, dtype=np.uint16), 0
    shift = min(max(TOP_BIT + 1 - largest.bit_length(), 0), exponent + 128)
    lifted = [encode_scale_up(scale16_value(s) << shift) for s in scales]
    return np.array(lifted, dtype=np.uint16), exponent - shift


def real_scales(bits: list[int], exponent: int) -> np.ndarray:
    return np.array([math.ldexp(scale16_value(b), exponent) for b in bits])


def round_int8(weights: np.ndarray, exponent: int) -> tuple[np.ndarray, list[int]]:
    """values (rows, columns) and the rows' scales, in 2^exponent."""
    largest = np.abs(weights).max(1)
    w = weights.astype(np.float64)
    scales = [0] * len(w)
    best_error = np.full(len(w), np.inf)
    for top in range(INT8_TOP, INT8_FIRST_TOP - 1, -1):
        tried = [nearest_scale(math.ldexp(float(x) / top, -exponent)) for x in largest]
        unit = real_scales(tried, exponent)
        valid = unit > 0
        unit = np.where(valid, unit, 1.0)[:, None]
        lanes = round_clamped(w * (1 / unit), -INT8_TOP, INT8_TOP)
        error = np.where(valid, ordered_sum((w - unit * lanes) ** 2), np.inf)
        for row in np.nonzero(error < best_error)[0]:
            scales[row] = tried[row]
        best_error = np.minimum(error, best_error)
    unit = real_scales(scales, exponent)[:, None]
    lanes = round_clamped(w / np.where(unit > 0, unit, 1.0), -INT8_TOP, INT8_TOP)
    return np.where(unit > 0, lanes, 0).astype(np.int8), scales


def best_block_scales(blocks: np.ndarray) -> np.ndarray:
    """(..., width) float64 to the least-squares scale of each block."""
    covering = np.maximum(0.0, np.maximum(blocks.max(-1) / INT4_TOP, blocks.min(-1) / INT4_LOW))
    valid = covering > 0
    safe = np.where(valid, covering, 1.0)
    best_gain = np.zeros_like(covering)
    best_scale = np.zeros_like(covering)
    for step in range(-4, 17):
        unit = (safe * (1 - 0.025 * step))[..., None]
        lanes = round_clamped(blocks / unit, INT4_LOW, INT4_TOP)
        product = ordered_sum(blocks * lanes)
        square = ordered_sum(lanes * lanes)
        some = np.where(square > 0, square, 1.0)
        gain = np.where(square > 0, product * product / some, 0.0)
        scale = np.where(square > 0, product / some, 0.0)
        better = gain > best_gain
        best_scale = np.where(better, scale, best_scale)
        best_gain = np.where(better, gain, best_gain)
    return np.where(valid, np.minimum(best_scale, safe * INT4_HEADROOM), 0.0)


def round_int4(
    weights: np.ndarray, block: int, exponent: int
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """values, factors and scales. The columns are whole blocks, or are filled up with zeros."""
    rows, columns = weights.shape
    if columns % block:
        raise ValueError("int4 needs whole blocks (so far, in training)")
    w = weights.astype(np.float64).reshape(rows, -1, block)
    block_scales = best_block_scales(w)
    scales = [nearest_scale(math.ldexp(x, -exponent) / FACTOR_TOP) for x in block_scales.max(1)]
    # As there: the division comes before the power of two, which is exact.
    unit = real_scales(scales, exponent)[:, None]
    safe = np.where(unit > 0, unit, 1.0)
    middle = round_clamped(block_scales / safe, 0, FACTOR_TOP)
    factors = np.zeros_like(middle)
    best_error = ordered_sum(w * w)
    for offset in range(-2, 3):
        factor = middle + offset
        allowed = (factor >= 1) & (factor <= FACTOR_TOP) & (unit > 0)
        step = (np.where(allowed, factor, 1) * safe)[..., None]
        lanes = round_clamped(w * (1 / step), INT4_LOW, INT4_TOP)
        error = ordered_sum((w - step * lanes) ** 2)
        better = allowed & (error < best_error)
        factors = np.where(better, factor, factors)
        best_error = np.where(better, error, best_error)
    step = (factors * safe)[..., None]
    lanes = round_clamped(w / np.where(step > 0, step, 1.0), INT4_LOW, INT4_TOP)
    lanes = np.where(step > 0, lanes, 0)
    return lanes.reshape(rows, columns).astype(np.int8), factors.astype(np.uint8), scales


def round_matrix(weights: np.ndarray, format: str, block: int) -> RoundedMatrix:
    """(rows, columns) float32 to `format`, "int8" or "int4"."""
    if not np.isfinite(weights).all():
        raise ValueError("weights must be finite numbers")
    exponent = choose_scale_exponent(float(np.abs(weights).max()), format)
    factors = None
    if format == "int4":
        values, factors, scales = round_int4(weights, block, exponent)
    else:
        values, scales = round_int8(weights, exponent)
    bits, exponent = normalize_scales(scales, exponent)
    return RoundedMatrix(values, factors, bits, exponent, block)


def round_to_units(weights: np.ndarray, units: np.ndarray, block: int) -> RoundedMatrix:
    """(rows, columns) float32 to int4, where what a unit of each block is worth (rows, blocks) is
    given: `quant.representable` float32."""
    rows = units.astype(np.float64).max(1) / FACTOR_TOP
    exponent = min(max(math.frexp(rows.max())[1] - 1 - TOP_BIT, -128), 127)
    bits = [nearest_scale(math.ldexp(x, -exponent)) for x in rows]
    factors = np.rint(units / rows[:, None]).astype(np.uint8)
    values = np.rint(weights / np.repeat(units, block, axis=1)).clip(INT4_LOW, INT4_TOP)
    out = RoundedMatrix(
        values.astype(np.int8), factors, np.array(bits, dtype=np.uint16), exponent, block
    )
    if not np.array_equal(out.units(), np.repeat(units, block, axis=1)):
        raise ValueError("the image has no such units")
    return out


def round_gains(gains: np.ndarray) -> tuple[np.ndarray, int]:
    """(n) float32 to int16 values of 2^exponent each."""
    largest = float(np.abs(gains).max())
    if largest == 0:
        return np.zeros(len(gains), dtype=np.int16), 0
    exponent = math.frexp(largest)[1] - 1 - GAIN_TOP_BIT
    if math.floor(math.ldexp(largest, -exponent) + 0.5) > GAIN_TOP:
        exponent += 1
    exponent = min(max(exponent, -128), 127)
    scaled = gains.astype(np.float64) * 2.0**-exponent
    return np.trunc(scaled + np.copysign(0.5, scaled)).astype(np.int16), exponent
