# SPDX-License-Identifier: Apache-2.0
"""Training's rounding in fp32 against that of the images."""

import unittest

import numpy as np
import torch

from mote_train import quant
from mote_train.export import rounded_weights
from mote_train.model import MATRICES
from mote_train.rounding import round_matrix, round_to_units
from mote_train.shape import Attention, ModelShape
from mote_train.training import Phase, Training

CPU = torch.device("cpu")


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

    def test_int4_begins_with_plain_rounding(self) -> None:
        exact = round_matrix(self.weights.numpy(), "int4", 32)
        units = torch.from_numpy(exact.units()[:, ::32]).clamp(min=1e-7)
        torch.testing.assert_close(quant.representable(units), units, rtol=0.005, atol=0)
        again = round_to_units(self.weights.numpy(), quant.representable(units).numpy(), 32)
        self.assertLess((again.values != exact.values).mean(), 0.01)

    def test_images_hold_what_int4_was_trained_with(self) -> None:
        kinds = (Attention(), Attention("window", 48, 4))
        shape = ModelShape(64, 96, 2, 4, 2, 300, 128, kinds, int8_matrices=("wv", "wo.1"))
        training = Training(shape, Phase(4, 2, 16, 0, 0.01, 1, unit_lr=0.05), "int4", CPU)
        batch = torch.randint(300, (2, 17), generator=torch.Generator().manual_seed(1))
        for _ in range(4):
            training.step(batch)
        model = training.model
        with torch.no_grad():
            trained = training.numerics.weights(model.folded())
        model.units = training.numerics.units()
        image = rounded_weights(model, "int4")
        self.assertTrue(torch.equal(trained.embedding, image.embedding))
        for name in MATRICES:
            for layer in range(shape.n_layers):
                rounded, exact = trained.layers[name][layer], image.layers[name][layer]
                if shape.is_int8(name, layer):
                    self.expect_near(rounded, exact.numpy())
                else:
                    torch.testing.assert_close(rounded, exact, rtol=1e-6, atol=0)

    def test_units_that_no_image_has_are_refused(self) -> None:
        units = torch.full((96, 4), 0.013)
        units[0, 1] = 0.0111
        with self.assertRaisesRegex(ValueError, "no such units"):
            round_to_units(self.weights.numpy(), units.numpy(), 32)

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
