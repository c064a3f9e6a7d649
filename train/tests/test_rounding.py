# SPDX-License-Identifier: Apache-2.0
"""Training's rounding in fp32 against that of the images."""

import unittest

import numpy as np
import torch

from mote_train import quant
from mote_train.rounding import round_matrix


class RoundingTest(unittest.TestCase):
    def setUp(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.weights = torch.randn(96, 128, generator=generator) * 0.1
        self.weights[5] = 0

    def expect_near(self, rounded: torch.Tensor, exact: np.ndarray) -> None:
        """Where two scales are equally good, fp32 may choose the other one."""
        same = np.isclose(rounded.numpy(), exact, rtol=1e-5, atol=1e-9)
        self.assertGreater(same.mean(), 0.99)

    def test_int8(self) -> None:
        exact = round_matrix(self.weights.numpy(), "int8", 32).real()
        self.expect_near(quant.round_int8(self.weights), exact)

    def test_int4(self) -> None:
        for block in (16, 32):
            exact = round_matrix(self.weights.numpy(), "int4", block).real()
            self.expect_near(quant.round_int4([(self.weights, block)])[0], exact)

    def test_lanes_have_scales_of_12_bits(self) -> None:
        x = torch.randn(7, 64) * 3
        rounded = quant.round_lanes(x, 32).unflatten(-1, (-1, 32))
        blocks = x.unflatten(-1, (-1, 32))
        scale = quant.scale_up(blocks.abs().amax(-1, keepdim=True) / 127)
        lanes = (rounded / scale).round()
        self.assertTrue(((rounded - lanes * scale).abs() < 1e-6).all())
        self.assertLessEqual(lanes.abs().max().item(), 127)
        self.assertTrue(((blocks - rounded).abs() <= scale * 0.5001).all())
        mantissa = torch.frexp(scale)[0] * 4096
        self.assertTrue((mantissa == mantissa.round()).all())


if __name__ == "__main__":
    unittest.main()
