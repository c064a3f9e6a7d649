# SPDX-License-Identifier: Apache-2.0
"""Attention for whole sequences against its definition, position by position."""

import unittest

import torch

from mote_train import attention as attn
from mote_train.model import Decoder, Numerics
from mote_train.shape import Attention, ModelShape

DECAYS = (49152, 65536)


def small_shape(*layers: Attention) -> ModelShape:
    return ModelShape(32, 64, len(layers), 4, 2, 300, 512, layers)


class LinearAttentionTest(unittest.TestCase):
    def test_equals_the_sum_over_positions(self) -> None:
        torch.manual_seed(1)
        for t in (1, 63, 64, 65, 200):
            q, k, v = torch.randn(2, 4, t, 8), torch.randn(2, 2, t, 8), torch.randn(2, 2, t, 8)
            out = attn.linear_attention(q, k, v, DECAYS)
            for head in range(4):
                g = head // 2
                decay = DECAYS[g] / 65536
                age = torch.arange(t)[:, None] - torch.arange(t)[None, :]
                weights = attn.phi(q[:, head]) @ attn.phi(k[:, g]).transpose(-1, -2)
                weights = weights * torch.where(age >= 0, decay ** age.clamp(min=0).float(), 0.0)
                exact = weights @ v[:, g] / weights.sum(-1, keepdim=True)
                self.assertLess((out[:, head] - exact).abs().max().item(), 1e-5)


class WindowTest(unittest.TestCase):
    def test_a_window_that_covers_all_is_causal(self) -> None:
        torch.manual_seed(2)
        tokens = torch.randint(0, 300, (2, 40))
        causal = Decoder(small_shape(Attention(), Attention()))
        wide = Attention("window", 36, 4)
        window = Decoder(small_shape(wide, wide))
        a, b = causal(tokens, Numerics()), window(tokens, Numerics())
        self.assertLess((a - b).abs().max().item(), 1e-4)

    def test_sinks_see_the_query_of_the_last_trained_position(self) -> None:
        """Against scores that are computed one by one, as docs/ATTENTION.md says."""
        torch.manual_seed(3)
        kind = Attention("window", 8, 2)
        t, d = 30, 8
        q, k, v = (torch.randn(1, 1, t, d) for _ in range(3))
        limit = kind.window + kind.sinks - 1
        positions = torch.arange(t)
        turned = attn.rotate(q, attn.rope_tables(d, 1e4, positions))
        sink_q = attn.rotate(q, attn.rope_tables(d, 1e4, positions.clamp(max=limit)))
        keys = attn.rotate(k, attn.rope_tables(d, 1e4, positions))
        joined, joined_k = attn.join_sink_queries(turned, sink_q, keys, kind.sinks)
        mask = attn.window_mask(t, kind, q.device)
        out = attn.softmax_attention(joined, joined_k, v, mask, d**-0.5)
        for p in range(t):
            seen = sorted(set(range(max(0, p - 7), p + 1)) | {s for s in (0, 1) if s <= p})
            scores = []
            for j in seen:
                query = sink_q if j < kind.sinks else turned
                scores.append((query[0, 0, p] * keys[0, 0, j]).sum() * d**-0.5)
            exact = torch.stack(scores).softmax(0) @ v[0, 0, seen]
            self.assertLess((out[0, 0, p] - exact).abs().max().item(), 1e-5)

    def test_no_position_sees_a_later_one(self) -> None:
        torch.manual_seed(4)
        linear = Attention("linear", decays=DECAYS)
        model = Decoder(small_shape(Attention(), Attention("window", 8, 2), linear))
        tokens = torch.randint(0, 300, (1, 100))
        changed = tokens.clone()
        changed[0, 70:] = 5
        a, b = model(tokens, Numerics()), model(changed, Numerics())
        self.assertLess((a[:, :70] - b[:, :70]).abs().max().item(), 1e-5)


if __name__ == "__main__":
    unittest.main()
