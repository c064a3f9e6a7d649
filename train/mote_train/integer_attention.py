# SPDX-License-Identifier: Apache-2.0
"""The engine's attention (docs/NUMERICS.md), bit for bit, of many texts at a time.

Arrays of heads are (texts, K/V heads, query heads of each, positions, ...); those of keys and
values lack the query heads.
"""

import math

import numpy as np

from .fixed_point import (
    INT32_MIN,
    SCALE_FRACTION_BITS,
    SCORE_FRACTION_BITS,
    Multiplier,
    exp2_negative,
    int64,
    normalized,
    reciprocal,
    scale_exponent,
    scale_mantissa,
    shift_round,
    shift_saturate,
    significant_bits,
    unit,
)
from .image_reader import SLIDING_WINDOW
from .integer_kernels import hadamard_transform, hadamard_width, quantize_block, rotate_pairs

PROJECTION_FRACTION_BITS = 20
CONTRIBUTION_BITS = 20


def attention_scale(head_size):
    """log2(e) / sqrt(head_size)."""
    return normalized(int64(math.isqrt(2399655057223005247 // head_size)), -30)


def scores_of(query, query_scale, keys, key_scales, scale):
    """Base-2 scores in Q16 of queries (..., positions, head_size) and keys (..., n, head_size)."""
    factor = normalized(
        scale_mantissa(query_scale) * scale.mantissa,
        scale_exponent(query_scale) + scale.exponent + SCORE_FRACTION_BITS
        - 2 * SCALE_FRACTION_BITS,
    )
    # Dot products are below 2^22, which float32 holds.
    texts, kv_heads, group, count, head_size = query.shape
    flat = query.reshape(texts, kv_heads, group * count, head_size).astype(np.float32)
    dots = (flat @ keys.swapaxes(-1, -2)).reshape(texts, kv_heads, group, count, -1)
    mantissas = scale_mantissa(key_scales)[:, :, None, None] * factor.mantissa[..., None]
    exponents = scale_exponent(key_scales)[:, :, None, None] + factor.exponent[..., None]
    return shift_saturate(dots.astype(np.int64) * mantissas, -exponents)


def softmax_weight(below):
    """2^-below in Q24; below in Q16, at most 2^32 - 1."""
    return (exp2_negative(below) + 32) >> 6


def mix_values(scores, visible, values, value_scales):
    """Wide results (..., head_size) and their unit: values by the softmax of visible scores."""
    largest = np.where(visible, scores, INT32_MIN).max(axis=-1, keepdims=True)
    weights = np.where(visible, softmax_weight(np.maximum(largest - scores, 0)), 0)
    exponents = scale_exponent(value_scales)[:, :, None, None]
    products = weights * scale_mantissa(value_scales)[:, :, None, None]
    widths = np.where(products != 0, significant_bits(products) + exponents, 0)
    width = widths.max(axis=-1, keepdims=True)
    # No shift down is longer than 46; a product other than zero has none up beyond bit 20.
    shift = width - CONTRIBUTION_BITS - exponents
    parts = shift_round(products, np.clip(shift, 0, 62)) << np.clip(-shift, 0, 20)
    # Sums of contributions (2^20) times int8 over 65,536 positions stay below 2^43.
    texts, kv_heads, group, count, seen = parts.shape
    flat = parts.reshape(texts, kv_heads, group * count, seen).astype(np.float64)
    mixed = (flat @ values).astype(np.int64).reshape(texts, kv_heads, group, count, -1)
    exponent = width[..., 0] - CONTRIBUTION_BITS - SCALE_FRACTION_BITS
    return mixed, reciprocal(weights.sum(axis=-1), exponent)


class Rows:
    """An array (texts, K/V heads, positions, ...) that grows by positions."""

    def __init__(self, shape, dtype):
        self.count = 0
        self.memory = np.zeros((*shape[:2], 16, *shape[2:]), dtype)

    def append(self, rows):
        end = self.count + rows.shape[2]
        if end > self.memory.shape[2]:
            more = np.zeros_like(self.memory[:, :, :1]).repeat(end, axis=2)
            self.memory = np.concatenate((self.memory, more), axis=2)
        self.memory[:, :, self.count : end] = rows
        self.count = end

    def at(self, positions):
        return self.memory[:, :, positions]


class SoftmaxAttention:
    """Causal attention, or a sliding window with sinks. It keeps all positions."""

    def __init__(self, config, attention, frequencies, texts):
        self.config = config
        self.frequencies = frequencies
        self.is_window = attention.kind == SLIDING_WINDOW
        self.window = attention.window
        self.sinks = attention.sinks
        self.scale = attention_scale(config.head_size)
        shape = (texts, config.n_kv_heads)
        self.keys = Rows((*shape, config.head_size), np.float32)
        self.values = Rows((*shape, config.head_size), np.float64)
        self.key_scales = Rows(shape, np.int64)
        self.value_scales = Rows(shape, np.int64)

    def _turn(self, lanes, positions):
        return hadamard_transform(rotate_pairs(lanes, self.frequencies, positions))

    def _quantize_query(self, query, positions):
        # (H q)(H k) is hadamard_width times q k, which leaves by the unit.
        bits = PROJECTION_FRACTION_BITS + hadamard_width(self.config.head_size).bit_length() - 1
        return quantize_block(self._turn(query, positions), unit(bits))

    def _positions(self, first, count):
        """Stored positions that matter, and of each new one which it sees and where as sinks."""
        end = first + count
        new = np.arange(first, end)[:, None]
        if not self.is_window:
            seen = np.arange(end)
            return slice(0, end), seen <= new, None
        oldest = max(self.sinks, first - self.window + 1)
        seen = np.concatenate((np.arange(min(self.sinks, end)), np.arange(oldest, end)))
        outside = (seen < self.sinks) & (seen <= new - self.window)
        visible = (seen <= new) & ((seen > new - self.window) | (seen < self.sinks))
        whole = len(seen) == end
        return slice(0, end) if whole else seen, visible, outside if outside.any() else None

    def attend(self, first, query, key, value):
        count = query.shape[3]
        positions = np.arange(first, first + count)
        values, scales = quantize_block(self._turn(key, positions), unit(PROJECTION_FRACTION_BITS))
        self.keys.append(values)
        self.key_scales.append(scales)
        values, scales = quantize_block(value, unit(PROJECTION_FRACTION_BITS))
        self.values.append(values)
        self.value_scales.append(scales)

        chosen, visible, outside = self._positions(first, count)
        keys, key_scales = self.keys.at(chosen), self.key_scales.at(chosen)
        quantized = self._quantize_query(query, positions)
        scores = scores_of(*quantized, keys, key_scales, self.scale)
        if outside is not None:
            # As if the sinks stood right before the window.
            turn = np.minimum(positions, self.window + self.sinks - 1)
            quantized = self._quantize_query(query, turn)
            of_sinks = scores_of(*quantized, keys, key_scales, self.scale)
            scores = np.where(outside, of_sinks, scores)
        return mix_values(scores, visible, self.values.at(chosen), self.value_scales.at(chosen))


# Linear attention.

FEATURE_ONE = 1 << 16
DECAY_ONE = 1 << 16
SUM_LIMIT = 1 << 62
HALF_BITS = 22


def features_of(values, scales):
    """phi = max(x, 0) + 1 in Q16, 32 bits."""
    products = np.maximum(values, 0) * scale_mantissa(scales)[..., None]
    shift = (SCALE_FRACTION_BITS - 16 - scale_exponent(scales))[..., None]
    real = shift_round(products, np.maximum(shift, 0)) << np.maximum(-shift, 0)
    return np.minimum(FEATURE_ONE + real, 0xFFFFFFFF)


def decayed(sums, decay):
    """round(sums * decay / 2^16). |sums| <= 2^62"""
    return (sums >> 16) * decay + shift_round((sums & 0xFFFF) * decay, 16)


class Sums:
    """Sums (texts, K/V heads, rows, head_size) of one kind, with units and bounds of each head."""

    def __init__(self, texts, kv_heads, rows, head_size):
        self.values = np.zeros((texts, kv_heads, rows, head_size), np.int64)
        self.bound = np.zeros((texts, kv_heads), np.int64)
        self.exponent = np.zeros((texts, kv_heads), np.int64)

    def decay(self, decays):
        """decays (K/V heads)"""
        if np.all(decays == DECAY_ONE):
            return
        self.values = decayed(self.values, decays[:, None, None])
        self.bound = decayed(self.bound, decays) + (decays != DECAY_ONE)

    def _bound_after(self, addend, exponent, target):
        own = target - self.exponent
        added = target - exponent
        return (
            (self.bound >> np.minimum(own, 63))
            + (own != 0)
            + (addend >> np.minimum(added, 63))
            + (added != 0)
        )

    def make_room(self, addend, exponent):
        """Halves sums and units until addend, in units of 2^exponent, can be added."""
        target = np.maximum(self.exponent, exponent)
        while True:
            bound = self._bound_after(addend, exponent, target)
            if np.all(bound <= SUM_LIMIT):
                break
            target = target + (bound > SUM_LIMIT)
        shift = np.minimum(target - self.exponent, 62)
        if np.any(shift > 0):
            self.values = shift_round(self.values, shift[..., None, None])
        self.bound = bound
        self.exponent = target

    def add(self, features, lanes, exponent):
        """round(features (j) * lanes (i) * 2^exponent) in the unit of the sums."""
        drop = np.minimum(self.exponent - exponent, 62)[..., None, None]
        self.values += shift_round(features[..., None, :] * lanes[..., :, None], drop)

    def dot(self, features):
        """(..., query heads, rows): the sums' products with features (..., query heads, j).

        Sums of 44 bits are cut in two, so that 256 products with 32 bits stay below 2^62.
        Also the shift that brings sums to 44 bits.
        """
        shift = 44 - significant_bits(self.bound)
        each = shift[..., None, None]
        scaled = shift_round(self.values << np.maximum(each, 0), np.maximum(-each, 0))
        columns = features.swapaxes(-1, -2)
        high = (scaled >> HALF_BITS) @ columns
        low = (scaled & ((1 << HALF_BITS) - 1)) @ columns
        return (high + shift_round(low, HALF_BITS)).swapaxes(-1, -2), shift


class LinearAttention:
    def __init__(self, config, attention, texts):
        shape = (texts, config.n_kv_heads)
        self.decays = int64(attention.decays)
        self.values = Sums(*shape, config.head_size, config.head_size)
        self.keys = Sums(*shape, 1, config.head_size)

    def update(self, key, key_scale, value, value_scale):
        """One token: (texts, K/V heads, head_size) and (texts, K/V heads)."""
        features = features_of(key, key_scale)
        largest = features.max(axis=-1)
        self.values.decay(self.decays)
        self.keys.decay(self.decays)
        mantissa, exponent = scale_mantissa(value_scale), scale_exponent(value_scale)
        self.values.make_room(largest * 128 * mantissa, exponent)
        self.values.add(features, value * mantissa[..., None], exponent)
        self.keys.make_room(largest, 0)
        self.keys.add(features, np.ones_like(value[..., :1]), 0)

    def read(self, query, query_scale):
        """Queries (texts, K/V heads, query heads, head_size): wide results and their unit."""
        features = features_of(query, query_scale)
        values, value_shift = self.values.dot(features)
        keys, key_shift = self.keys.dot(features)
        exponent = (self.values.exponent - 44 - value_shift) - (
            self.keys.exponent - 16 - key_shift
        )
        return values, reciprocal(np.maximum(keys[..., 0], 1), exponent[..., None])

    def attend(self, first, query, key, value):
        projection_unit = unit(PROJECTION_FRACTION_BITS)
        query, query_scale = quantize_block(query, projection_unit)
        key, key_scale = quantize_block(key, projection_unit)
        value, value_scale = quantize_block(value, projection_unit)
        results = []
        for t in range(query.shape[3]):
            self.update(key[:, :, t], key_scale[:, :, t], value[:, :, t], value_scale[:, :, t])
            results.append(self.read(query[:, :, :, t], query_scale[:, :, :, t]))
        wide = np.stack([wide for wide, _ in results], axis=3)
        mantissa = np.stack([of.mantissa for _, of in results], axis=3)
        exponent = np.stack([of.exponent for _, of in results], axis=3)
        return wide, Multiplier(mantissa, exponent)
