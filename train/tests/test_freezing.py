# SPDX-License-Identifier: Apache-2.0
import unittest

import torch

from mote_train.export import int4_units, rounded_weights
from mote_train.freezing import LaneFreezer
from mote_train.model import MATRICES, Decoder
from mote_train.quant import Int4Numerics
from mote_train.shape import Attention, ModelShape


def small_shape() -> ModelShape:
    return ModelShape(
        dim=32,
        hidden_dim=64,
        n_layers=2,
        n_heads=2,
        n_kv_heads=2,
        vocab_size=40,
        context_length=64,
        attention=(Attention(), Attention()),
        int8_matrices=("wo.0",),
    )


class LaneFreezerTest(unittest.TestCase):
    def test_holds_a_lane_that_goes_to_and_fro_at_its_more_frequent_value(self) -> None:
        freezer = LaneFreezer(torch.tensor([0.0, 0.0, 1.0]))
        for step in range(200):  # one rests, one moves once, one is at 2 a third of the time
            moved = 1.0 if step > 100 else 0.0
            freezer.watch(torch.tensor([0.0, moved, 2.0 if step % 3 == 0 else 1.0]), 0.2)
        self.assertEqual(freezer.state["held"].tolist(), [False, False, True])
        self.assertEqual(freezer.hold(torch.tensor([5.0, 6.0, 7.0])).tolist(), [5.0, 6.0, 1.0])
        self.assertAlmostEqual(freezer.share(), 1 / 3, places=6)

    def test_no_gradient_passes_a_held_lane(self) -> None:
        freezer = LaneFreezer(torch.zeros(2))
        freezer.state["held"][1] = True
        x = torch.ones(2, requires_grad=True)
        freezer.hold(x).sum().backward()
        self.assertEqual(x.grad.tolist(), [1.0, 0.0])


class SettleTest(unittest.TestCase):
    def test_the_image_gets_the_lanes_that_training_held(self) -> None:
        model = Decoder(small_shape(), seed=3)
        with torch.no_grad():
            model.attention_norm.uniform_(0.5, 2.0)
        numerics = Int4Numerics(model.shape, int4_units(model))
        numerics.weights(model.folded())
        numerics.watch(1.0)
        for freezer in numerics.freezers.values():  # every third lane, at another value
            state = freezer.state
            state["held"].view(-1)[::3] = True
            state["value"] = (state["value"] - 3).clamp(-8, 7)
        trained = numerics.weights(model.folded())
        int8_before = model.wo[0].clone()
        numerics.settle(model)
        model.units = numerics.units()
        image = rounded_weights(model, "int4")
        self.assertTrue(torch.equal(int8_before, model.wo[0]))
        self.assertTrue(torch.equal(trained.embedding, image.embedding))
        for name in MATRICES:
            self.assertTrue(torch.allclose(trained.layers[name], image.layers[name]), name)


if __name__ == "__main__":
    unittest.main()
