# SPDX-License-Identifier: Apache-2.0
"""The integer arithmetic of docs/NUMERICS.md on numpy arrays of int64.

One rounding rule, half up. Where a function states a bound on its arguments, nothing in it
overflows 64 bits; the bounds are those of NUMERICS.md. Shifts are arrays or numbers.
"""

from typing import NamedTuple

import numpy as np

SCALE_FRACTION_BITS = 28
SCALE_MAX = 0xFFFF
MULTIPLIER_BITS = 20
SCORE_FRACTION_BITS = 16
LOG2E_Q16 = 94548

INT32_MIN = -(2**31)
INT32_MAX = 2**31 - 1


class Multiplier(NamedTuple):
    """Real value = mantissa * 2^exponent."""

    mantissa: np.ndarray  # below 2^32
    exponent: np.ndarray


UNIT = Multiplier(np.int64(1 << 19), np.int64(-19))


def unit(fraction_bits):
    """One unit of a Q format as a multiplier of 20 bits."""
    return Multiplier(UNIT.mantissa, UNIT.exponent - fraction_bits)


def int64(values):
    return np.asarray(values, dtype=np.int64)


def significant_bits(values):
    """Bits that each value needs; 0 for 0. int64 that is not negative, or uint64."""
    values = np.asarray(values)
    high = values >> values.dtype.type(32)
    # Either half is below 2^53, so that its float64 is exact.
    of_low = np.frexp((values & values.dtype.type(0xFFFFFFFF)).astype(np.float64))[1]
    of_high = np.frexp(high.astype(np.float64))[1] + 32
    return np.where(high != 0, of_high, of_low).astype(np.int64)


def shift_round(values, shift):
    """values / 2^shift. |values| < 2^62, 0 <= shift <= 62."""
    shift = int64(shift)
    return (values + ((np.int64(1) << shift) >> np.int64(1))) >> shift


def saturate_s32(values):
    return np.clip(values, INT32_MIN, INT32_MAX)


def shift_saturate(values, shift):
    """values * 2^-shift, saturated to int32, for every shift. |values| < 2^62."""
    shift = int64(shift)
    result = saturate_s32(shift_round(values, np.clip(shift, 0, 62)))
    if np.any(shift < 0):
        up = np.clip(values, -(1 << 31), 1 << 31) << np.clip(-shift, 0, 31)
        result = np.where(shift < 0, saturate_s32(up), result)
    return np.where(shift > 62, 0, result)


def _half_of(twice):
    """round(twice / 2) where twice has one bit below the unit."""
    return saturate_s32((twice >> 1) + (twice & 1))


def multiply_shift(values, mantissa, shift):
    """round(values * mantissa / 2^shift), saturated to int32: the product has up to 96 bits.

    It is high * 2^32 + rest, 0 <= rest < 2^32: |high| <= 2^31 * 2^32 for any int64.
    mantissa is below 2^32, shift any.
    """
    values, mantissa, shift = int64(values), int64(mantissa), int64(shift)
    low = (values & 0xFFFFFFFF).astype(np.uint64) * mantissa.astype(np.uint64)
    high = (values >> 32) * mantissa + (low >> np.uint64(32)).astype(np.int64)
    # The rest cannot change what is rounded at a bit above it.
    far = _half_of(high >> np.clip(shift - 33, 0, 63))
    if np.all(shift >= 33):
        return far
    # A product of 2^63 or more saturates at any shift up to 32; one below fits 64 bits.
    fits = high == saturate_s32(high)
    product = (np.where(fits, high, 0) << 32) + (low & np.uint64(0xFFFFFFFF)).astype(np.int64)
    near = _half_of(product >> np.clip(shift - 1, 0, 31))
    if np.any(shift <= 0):
        limited = np.clip(product, -(1 << 31), 1 << 31)
        near = np.where(shift <= 0, saturate_s32(limited << np.clip(-shift, 0, 31)), near)
    return np.where(shift >= 33, far, np.where(fits, near, saturate_s32(high)))


def normalized(values, exponent):
    """values * 2^exponent with a mantissa of at most 20 bits; the bits beyond are dropped."""
    excess = np.maximum(significant_bits(values) - MULTIPLIER_BITS, 0)
    return Multiplier(values >> excess, exponent + excess)


def reciprocal(values, exponent):
    """1 / values to 19 bits, times 2^exponent. 1 <= values < 2^63."""
    lift = 64 - significant_bits(values)
    top = (values.astype(np.uint64) << lift.astype(np.uint64)) >> np.uint64(32)
    return Multiplier(np.int64(1 << 51) // top.astype(np.int64), exponent + lift - 83)


def scale_mantissa(scales):
    """Of Scale16 bits: 12 bits."""
    bits = int64(scales)
    return (bits & 0x7FF) | np.where(bits < 0x800, 0, 0x800)


def scale_exponent(scales):
    return np.maximum((int64(scales) >> 11) - 1, 0)


def encode_scale_up(values, exponent):
    """Bits of the smallest Scale16 that is not below values * 2^exponent. values < 2^62."""
    values, exponent = int64(values), int64(exponent)
    shift = significant_bits(values) - 12
    shift = np.where(exponent + shift < 0, -exponent, shift)
    down = np.clip(shift, 0, 62)
    mantissa = np.where(
        shift > 0,
        (values >> down) + ((values & ((np.int64(1) << down) - 1)) != 0),
        values << np.clip(-shift, 0, 12),
    )
    scale_exponent_ = exponent + shift + (mantissa == 4096)
    mantissa = np.where(mantissa == 4096, 2048, mantissa)
    bits = np.where(mantissa < 2048, mantissa, (scale_exponent_ + 1) << 11 | mantissa & 0x7FF)
    bits = np.where(scale_exponent_ > 30, SCALE_MAX, bits)
    bits = np.where(shift > 63, 1, bits)
    return np.where(values == 0, 0, bits)


# round(2^(30 - i / 256)) for i = 0 to 256.
POWERS_OF_TWO = int64([round(2.0 ** (30 - i / 256)) for i in range(257)])


def exp2_negative(d):
    """2^(-d / 2^16) in Q30. 0 <= d < 2^32."""
    whole = d >> 16
    index = (d >> 8) & 0xFF
    power = POWERS_OF_TWO[index]
    step = power - POWERS_OF_TWO[index + 1]
    power = power - ((step * (d & 0xFF) + 128) >> 8)
    return np.where(whole >= 31, 0, (((power << 1) >> np.minimum(whole, 31)) + 1) >> 1)
