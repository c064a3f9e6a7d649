# SPDX-License-Identifier: Apache-2.0
"""The kernels of the imitation against exact arithmetic, and small cases by hand.

    python3 train/tests/test_integer_kernels.py
"""

import bisect
import math
import re
import sys
import unittest
from fractions import Fraction
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "train"))

from mote_train import fixed_point as fp  # noqa: E402
from mote_train import image_reader as reader  # noqa: E402
from mote_train import integer_attention as attention  # noqa: E402
from mote_train import integer_kernels as kernels  # noqa: E402


def round_half_up(value):
    return math.floor(value + Fraction(1, 2))


def power_of_two(exponent):
    return Fraction(2) ** int(exponent)


def saturated(value):
    return min(max(value, fp.INT32_MIN), fp.INT32_MAX)


def scale_value(bits):
    bits = int(bits)
    fraction = bits & 2047
    return fraction if bits < 2048 else (2048 + fraction) << ((bits >> 11) - 1)


def real(multiplier):
    return int(multiplier.mantissa) * power_of_two(multiplier.exponent)


def random_bits(random, bits, count):
    """Integers of either sign and of any number of bits up to `bits`."""
    widths = random.integers(0, bits + 1, count)
    values = [int(random.integers(0, 1 << 62)) % (1 << int(width)) for width in widths]
    return [-value if random.integers(2) else value for value in values]


def random_blocks(random, rows, columns, block, largest_exponent=31):
    """Blocks of int8 with scales of any bits below a limit; each row has one of the largest."""
    values = random.integers(-127, 128, (rows, columns // block, block))
    scales = random.integers(0, largest_exponent << 11, (rows, columns // block))
    scales[:, 0] = (largest_exponent << 11) - 1
    return kernels.Blocks(values, scales)


def random_matrix(random, rows, columns, block, is_int4):
    low, high = (-8, 8) if is_int4 else (-128, 128)
    return reader.Matrix(
        values=random.integers(low, high, (rows, columns)).astype(np.int8),
        factors=random.integers(0, 256, (rows, columns // block), np.uint8) if is_int4 else None,
        row_scales=random.integers(0, 1 << 16, rows, np.uint16),
        exponent=int(random.integers(-70, -30)),
        block=block,
        columns=columns,
    )


class FixedPoint(unittest.TestCase):
    def setUp(self):
        self.random = np.random.default_rng(1)

    def test_significant_bits(self):
        values = [0] + [(1 << n) + d for n in range(1, 63) for d in (-1, 0, 1)]
        bits = fp.significant_bits(fp.int64(values))
        self.assertEqual(bits.tolist(), [value.bit_length() for value in values])
        largest = np.array([(1 << 64) - 1, 1 << 63], np.uint64)
        self.assertEqual(fp.significant_bits(largest).tolist(), [64, 64])

    def test_multiply_shift_is_exact_for_every_shift(self):
        for shift in range(-40, 110):
            values = random_bits(self.random, 62, 40) + [(1 << 63) - 1, -(1 << 63), 0, -1]
            mantissas = [abs(m) for m in random_bits(self.random, 32, 42)] + [(1 << 32) - 1, 1]
            exact = [
                saturated(round_half_up(v * m * power_of_two(-shift)))
                for v, m in zip(values, mantissas)
            ]
            result = fp.multiply_shift(values, mantissas, np.full(len(values), shift))
            self.assertEqual(result.tolist(), exact, shift)
        mixed = fp.multiply_shift([3, 3, 3], [5, 5, 5], [1, 40, -1])
        self.assertEqual(mixed.tolist(), [8, 0, 30])

    def test_shift_saturate(self):
        for shift in range(-40, 70):
            values = random_bits(self.random, 61, 40)
            exact = [saturated(round_half_up(v * power_of_two(-shift))) for v in values]
            result = fp.shift_saturate(fp.int64(values), np.full(len(values), shift))
            self.assertEqual(result.tolist(), exact, shift)

    def test_scales(self):
        bits = np.arange(1 << 16)
        every = [scale_value(b) for b in bits]
        self.assertEqual(every, sorted(every))
        decoded = fp.scale_mantissa(bits) << fp.scale_exponent(bits)
        self.assertEqual(decoded.tolist(), every)
        for exponent in range(-70, 50):
            values = [abs(v) for v in random_bits(self.random, 61, 40)]
            values += [4095, 4096, 4097, (1 << 61) - 1]
            encoded = fp.encode_scale_up(values, np.full(len(values), exponent))
            for value, result in zip(values, encoded.tolist()):
                wanted = math.ceil(value * power_of_two(exponent))
                best = min(bisect.bisect_left(every, wanted), fp.SCALE_MAX)
                self.assertEqual(result, best, (value, exponent))

    def test_tables_are_the_engine_s(self):
        tables = {"exp2_table.hpp": fp.POWERS_OF_TWO, "rope.cpp": kernels.QUARTER_WAVE}
        for name, table in tables.items():
            text = (ROOT / "src/kernels" / name).read_text()
            numbers = re.search(r"257> \w+ = \{([^}]*)\}", text).group(1)
            self.assertEqual([int(n) for n in numbers.split(",") if n.strip()], table.tolist())

    def test_exp2(self):
        d = fp.int64([0, 1 << 16, 3 << 15, 30 << 16, 31 << 16, (1 << 32) - 1])
        self.assertEqual(fp.exp2_negative(d).tolist(), [1 << 30, 1 << 29, 379625063, 1, 0, 0])


class Kernels(unittest.TestCase):
    def setUp(self):
        self.random = np.random.default_rng(2)

    def check_block(self, lanes, unit):
        values, scale = kernels.quantize_block(
            fp.int64([lanes]), fp.Multiplier(fp.int64([unit[0]]), fp.int64([unit[1]]))
        )
        step = scale_value(scale[0]) * power_of_two(-28)
        exact = [lane * unit[0] * power_of_two(unit[1]) for lane in lanes]
        if int(scale[0]) == fp.SCALE_MAX:
            return
        self.assertGreaterEqual(step * 127 * (1 + power_of_two(-24)), max(map(abs, exact)))
        bound = Fraction(1, 2) + power_of_two(-10)
        for value, lane in zip(values[0].tolist(), exact):
            self.assertLessEqual(abs(value), 127)
            self.assertLessEqual(abs(lane - value * step), bound * step)

    def test_quantize_block(self):
        for bits in (1, 8, 20, 31, 47, 61):
            for _ in range(50):
                lanes = random_bits(self.random, bits, 16) + [(1 << bits) - 1]
                mantissa = int(self.random.integers(1, (1 << 20) + 1))
                exponent = int(self.random.integers(-40, 4)) - bits
                self.check_block(lanes, (mantissa, exponent))

    def test_quantize_block_by_hand(self):
        lanes = fp.int64([[127, -127, 1, 0], [254, 3, -3, 1], [0, 0, 0, 0], [1, 0, 0, -1]])
        values, scale = kernels.quantize_block(lanes, fp.unit(16))
        # A unit is 2^12 units of scales; a half is rounded up.
        self.assertEqual([scale_value(s) for s in scale], [1 << 12, 1 << 13, 0, 33])
        wanted = [[127, -127, 1, 0], [127, 2, -1, 1], [0, 0, 0, 0], [124, 0, 0, -124]]
        self.assertEqual(values.tolist(), wanted)

    def test_quantize_block_clips_beyond_the_largest_scale(self):
        values, scale = kernels.quantize_block(fp.int64([[1 << 60, -1, 0]]), fp.unit(20))
        self.assertEqual((values.tolist(), scale.tolist()), ([[127, 0, 0]], [fp.SCALE_MAX]))

    def check_product(self, matrix, x, factor):
        result = kernels.Weights(matrix).times(x, factor, 20)
        for n in range(len(x.values)):
            unit = real(fp.Multiplier(factor.mantissa[n], factor.exponent[n] + x.unit[n]))
            scaled = (x.values[n] * x.aligned[n][:, None]).reshape(-1).tolist()
            for r, row in enumerate(matrix.scaled_values().tolist()):
                exact = sum(a * b for a, b in zip(row, scaled)) * unit
                exact *= scale_value(matrix.row_scales[r]) * power_of_two(matrix.exponent + 20)
                self.assertEqual(int(result[n, r]), saturated(round_half_up(exact)))

    def test_products_are_exact(self):
        for is_int4 in (False, True):
            for columns, block in ((16, 8), (192, 32), (512, 64), (8192, 64)):
                matrix = random_matrix(self.random, 6, columns, block, is_int4)
                x = random_blocks(self.random, 3, columns, block)
                factor = fp.Multiplier(
                    self.random.integers(1 << 19, (1 << 20) + 1, 3), fp.int64([-30, -19, 0])
                )
                self.check_product(matrix, x, factor)

    def test_the_largest_product_is_exact(self):
        for is_int4 in (False, True):
            matrix = random_matrix(self.random, 2, 65536, 64, is_int4)
            matrix.values[:] = -8 if is_int4 else -128
            matrix.row_scales[:] = 0xFFFF
            matrix.exponent = -90
            if is_int4:
                matrix.factors[:] = 255
            x = random_blocks(self.random, 1, 65536, 64)
            x = kernels.Blocks(np.full_like(x.values, 127), np.full_like(x.scales, 0xFFFF))
            self.check_product(matrix, x, fp.Multiplier(fp.int64([1 << 20]), fp.int64([-20])))

    def test_embedding_rows(self):
        for is_int4 in (False, True):
            matrix = random_matrix(self.random, 40, 64, 32, is_int4)
            rows = kernels.Weights(matrix).rows(np.array([3, 39]), 16)
            for token, row in zip((3, 39), rows.tolist()):
                scale = scale_value(matrix.row_scales[token]) * power_of_two(matrix.exponent + 16)
                exact = [v * scale for v in matrix.scaled_values()[token].tolist()]
                self.assertEqual(row, [saturated(round_half_up(v)) for v in exact])

    def test_norm_factor(self):
        for exponent in (8, 16, 31):
            x = random_blocks(self.random, 20, 96, 32, exponent)
            factor = kernels.norm_factor(x, 90, 0)
            lanes = (x.values * x.aligned[..., None]).reshape(20, -1).tolist()
            for n, row in enumerate(lanes):
                mean = sum(lane * lane for lane in row) / 90
                exact = 2.0 ** -int(x.unit[n]) / math.sqrt(mean)
                each = fp.Multiplier(factor.mantissa[n], factor.exponent[n])
                self.assertLess(abs(float(real(each)) / exact - 1), 2.0**-17)

    def test_gains(self):
        x = kernels.Blocks(fp.int64([[[127, -127, 64, 1]]]), fp.int64([[0x8123]]))
        y = kernels.apply_gains(x, fp.int64([512, 256, 128, -512]), -8)
        self.assertEqual(scale_value(y.scales[0, 0]), 2 * scale_value(0x8123))
        self.assertEqual(y.values.tolist(), [[[127, -63, 16, -1]]])

    def test_rotation(self):
        lanes = fp.int64([[1000, 0], [1000, 0], [1000, 0], [3, 5]])
        turned = kernels.rotate_pairs(lanes, np.array([1 << 30], np.uint32), range(4))
        self.assertEqual(turned.tolist(), [[1000, 0], [0, 1000], [-1000, 0], [5, -3]])
        phase = self.random.integers(0, 1 << 32, 10000)
        exact = np.sin(phase * (math.pi / 2**31)) * 2**15
        self.assertLess(np.abs(kernels.sine(phase) - exact).max(), 1.16)

    def test_hadamard(self):
        lanes = fp.int64([1, 2, 3, 4, 10, 0, 0, 0, -1, -1, -1, -1])
        wanted = [10, -2, -4, 0, 10, 10, 10, 10, -4, 0, 0, 0]
        self.assertEqual(kernels.hadamard_transform(lanes).tolist(), wanted)
        self.assertEqual(kernels.hadamard_width(24), 8)

    def test_swiglu(self):
        x = self.random.integers(-30 << 16, 30 << 16, 10000)
        sigmoid = kernels.sigmoid_q16(x)
        self.assertLess(np.abs(sigmoid - 65536 / (1 + np.exp(-x / 65536))).max(), 1.1)
        self.assertTrue(np.all(sigmoid + kernels.sigmoid_q16(-x) == 65536))
        extremes = fp.int64([fp.INT32_MIN, 0, fp.INT32_MAX])
        self.assertEqual(kernels.sigmoid_q16(extremes).tolist(), [0, 32768, 65536])
        self.assertEqual(kernels.silu_q16_q20(extremes).tolist(), [0, 0, ((1 << 27) - 1) << 4])
        self.assertEqual(kernels.swiglu_q36(fp.int64(1 << 16), fp.int64(-3)), 47911 * 16 * -3)


class Attention(unittest.TestCase):
    def setUp(self):
        self.random = np.random.default_rng(3)

    def mixed(self, scores, values, scales, visible=True):
        """One head's result in real numbers."""
        shape = (1, 1, 1, 1, len(scores))
        wide, unit = attention.mix_values(
            fp.int64(scores).reshape(shape),
            np.broadcast_to(visible, shape[-2:]),
            np.array(values, np.float64)[None, None],
            fp.int64(scales)[None, None],
        )
        step = real(fp.Multiplier(unit.mantissa[0, 0, 0, 0], unit.exponent[0, 0, 0, 0]))
        return [float(lane * step) for lane in wide[0, 0, 0, 0].astype(np.int64).tolist()]

    def test_equal_scores_give_the_mean(self):
        one = 0x7000  # 2048 * 2^13 * 2^-28 = 2^-4
        result = self.mixed([5, 5, 5, 5], [[16, 0], [32, 16], [48, 0], [32, -80]], [one] * 4)
        for lane, wanted in zip(result, (2.0, -1.0)):
            self.assertAlmostEqual(lane, wanted, delta=2e-5)

    def test_softmax(self):
        scores = self.random.integers(-10 << 16, 10 << 16, 300)
        values = self.random.integers(-127, 128, (300, 8))
        scales = self.random.integers(0x6000, 0x7800, 300)
        visible = self.random.random(300) < 0.7
        weights = np.exp2((scores - scores[visible].max()) / 65536) * visible
        real_values = values * [[scale_value(s) * 2.0**-28] for s in scales]
        exact = weights @ real_values / weights.sum()
        result = self.mixed(scores, values, scales, visible)
        self.assertLess(np.abs(result - exact).max(), 1e-4 * np.abs(exact).max())
        changed = np.where(visible[:, None], values, 127)
        self.assertEqual(self.mixed(scores, changed, scales, visible), result)

    def test_scores(self):
        query = self.random.integers(-127, 128, (1, 1, 1, 1, 16))
        keys = self.random.integers(-127, 128, (1, 1, 5, 16))
        key_scales = self.random.integers(0x6000, 0x7800, (1, 1, 5))
        scores = attention.scores_of(
            query, fp.int64(0x7123).reshape(1, 1, 1, 1), keys.astype(np.float32), key_scales,
            attention.attention_scale(16),
        )
        dots = keys[0, 0] @ query[0, 0, 0, 0]
        scales = [scale_value(s) * 2.0**-28 for s in key_scales[0, 0]]
        exact = dots * scales * scale_value(0x7123) * 2.0**-12 * math.log2(math.e) / 4
        self.assertTrue(np.all(np.abs(scores[0, 0, 0, 0] - exact) < 0.51 + np.abs(exact) / 2**17))

    def check_linear(self, tokens, decays, lanes, scales):
        """Against exact sums in rationals, after the last token."""
        n = 4
        config = reader.Config(0, 0, 1, 2, 2, n, 0, 0, 32, 16, 0)
        linear = attention.LinearAttention(
            config, reader.Attention(reader.LINEAR, decays=np.array(decays, np.uint32)), 1
        )
        sums = [[[Fraction(0)] * n for _ in range(n + 1)] for _ in range(2)]
        for _ in range(tokens):
            key, value = (self.random.integers(*lanes, (1, 2, n)) for _ in range(2))
            key_scale, value_scale = (self.random.integers(*scales, (1, 2)) for _ in range(2))
            linear.update(key, key_scale, value, value_scale)
            features = attention.features_of(key, key_scale)[0].tolist()
            for h in range(2):
                unit = scale_value(value_scale[0, h])
                added = [int(v) * unit for v in value[0, h]] + [1]
                for i in range(n + 1):
                    for j in range(n):
                        kept = sums[h][i][j] * Fraction(decays[h], 65536)
                        sums[h][i][j] = kept + added[i] * features[h][j]
        query = self.random.integers(*lanes, (1, 2, 1, n))
        query_scale = self.random.integers(*scales, (1, 2, 1))
        wide, unit = linear.read(query, query_scale)
        features = attention.features_of(query, query_scale)[0, :, 0].tolist()
        for h in range(2):
            dots = [sum(a * b for a, b in zip(features[h], row)) for row in sums[h]]
            exact = [float(dot / dots[n]) * 2.0**-28 for dot in dots[:n]]
            step = real(fp.Multiplier(unit.mantissa[0, h, 0], unit.exponent[0, h, 0]))
            result = [float(lane * step) for lane in wide[0, h, 0].tolist()]
            difference = math.dist(result, exact)
            self.assertLess(difference, 4e-6 * math.hypot(*exact))
        for kind in (linear.values, linear.keys):
            largest = np.abs(kind.values).max(axis=(2, 3))
            self.assertTrue(np.all((largest <= kind.bound) & (kind.bound <= 1 << 62)))
        return linear

    def test_linear(self):
        self.check_linear(300, (65536, 65536), (-127, 128), (0x4000, 0x7800))
        self.check_linear(300, (60000, 65536), (-127, 128), (0x4000, 0x7800))
        self.check_linear(50, (1, 32768), (-127, 128), (0, 0x10000))

    def test_features(self):
        values = fp.int64([[127, 1, 0, -5], [127, 3, 1, -1]])
        features = attention.features_of(values, fp.int64([0xFFFF, 0x0C00]))
        self.assertEqual(features[0].tolist(), [0xFFFFFFFF, (4095 << 18) + 65536, 65536, 65536])
        # 3072 units of 2^-28 are 0.75 of 2^-16.
        self.assertEqual(features[1].tolist(), [65536 + 95, 65536 + 2, 65536 + 1, 65536])

    def test_units_of_sums(self):
        sums = attention.Sums(1, 2, 1, 1)
        sums.bound[:] = 13
        sums.values[:] = -13
        sums.decay(fp.int64([32768, 65536]))
        self.assertEqual(sums.values.reshape(2).tolist(), [-6, -13])
        self.assertEqual(sums.bound.tolist(), [[8, 13]])
        sums.make_room(fp.int64([[7, 5]]), fp.int64([[0, 2]]))
        self.assertEqual(sums.bound.tolist(), [[15, 4 + 5]])
        self.assertEqual(sums.values.reshape(2).tolist(), [-6, -3])
        self.assertEqual(sums.exponent.tolist(), [[0, 2]])
        sums.add(fp.int64([[[3], [10]]]), fp.int64([[[1], [1]]]), 0)
        self.assertEqual(sums.values.reshape(2).tolist(), [-3, 0])
        sums.bound[:] = 1 << 62
        sums.make_room(fp.int64([[1, 0]]), fp.int64([[0, 2]]))
        self.assertEqual(sums.bound.tolist(), [[(1 << 61) + 2, 1 << 62]])
        self.assertEqual(sums.exponent.tolist(), [[1, 2]])

    def test_linear_halves_where_sums_grow(self):
        linear = self.check_linear(2500, (65536, 65536), (120, 128), (0xFF00, 0x10000))
        self.assertGreater(int(linear.values.exponent.min()), 30)


if __name__ == "__main__":
    unittest.main()
