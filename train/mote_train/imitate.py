# SPDX-License-Identifier: Apache-2.0
"""The engine's forward pass (docs/NUMERICS.md), bit for bit, of many texts at a time."""

import numpy as np

from .fixed_point import UNIT, Multiplier, int64, saturate_s32, unit
from .image_reader import LINEAR
from .integer_attention import PROJECTION_FRACTION_BITS, LinearAttention, SoftmaxAttention
from .integer_kernels import Blocks, Weights, apply_gains, norm_factor, quantize_block, swiglu_q36

GATE_FRACTION_BITS = 16
HIDDEN_FRACTION_BITS = 36
LOGIT_FRACTION_BITS = 16

# Rows (texts times positions) that are computed at a time.
ROWS_AT_ONCE = 256


class ImitatedLayer:
    def __init__(self, layer, config, frequencies, texts):
        self.config = config
        self.texts = texts
        self.wq, self.wk, self.wv, self.wo = map(
            Weights, (layer.wq, layer.wk, layer.wv, layer.wo)
        )
        self.w_gate, self.w_up, self.w_down = map(
            Weights, (layer.w_gate, layer.w_up, layer.w_down)
        )
        if layer.attention.kind == LINEAR:
            self.attention = LinearAttention(config, layer.attention, texts)
        else:
            self.attention = SoftmaxAttention(config, layer.attention, frequencies, texts)

    def _heads(self, lanes, group):
        """(texts * positions, lanes) as (texts, K/V heads, query heads, positions, head_size)."""
        c = self.config
        heads = lanes.reshape(self.texts, -1, c.n_kv_heads, group, c.head_size)
        return heads.transpose(0, 2, 3, 1, 4)

    def _attend(self, x, factor, first):
        c = self.config
        query, key, value = (
            weights.times(x, factor, PROJECTION_FRACTION_BITS)
            for weights in (self.wq, self.wk, self.wv)
        )
        wide, wide_unit = self.attention.attend(
            first,
            self._heads(query, c.n_heads // c.n_kv_heads),
            self._heads(key, 1)[:, :, 0],
            self._heads(value, 1)[:, :, 0],
        )
        in_blocks = wide.reshape(*wide.shape[:-1], -1, c.head_block)
        values, scales = quantize_block(
            in_blocks, Multiplier(wide_unit.mantissa[..., None], wide_unit.exponent[..., None])
        )
        rows = len(x.values)
        values = values.transpose(0, 3, 1, 2, 4, 5).reshape(rows, -1, c.head_block)
        return Blocks(values, scales.transpose(0, 3, 1, 2, 4).reshape(rows, -1))

    def _add(self, residual, weights, x):
        """residual + weights times x, saturated."""
        return saturate_s32(residual + weights.times(x, UNIT, self.config.residual_fraction_bits))

    def __call__(self, residual, first):
        c = self.config
        x = Blocks.quantize(residual, c.block, unit(c.residual_fraction_bits))
        heads = self._attend(x, norm_factor(x, c.dim, c.norm_epsilon), first)
        residual = self._add(residual, self.wo, heads)

        x = Blocks.quantize(residual, c.block, unit(c.residual_fraction_bits))
        factor = norm_factor(x, c.dim, c.norm_epsilon)
        gate = self.w_gate.times(x, factor, GATE_FRACTION_BITS)
        up = self.w_up.times(x, factor, GATE_FRACTION_BITS)
        hidden = Blocks.quantize(swiglu_q36(gate, up), c.block, unit(HIDDEN_FRACTION_BITS))
        return self._add(residual, self.w_down, hidden)


class Imitation:
    """A model that reads several texts side by side, the same number of tokens of each."""

    def __init__(self, image, texts=1):
        c = self.config = image.config
        self.texts = texts
        self.position = 0
        self.embedding = Weights(image.embedding)
        is_tied = image.classifier is image.embedding
        self.classifier = self.embedding if is_tied else Weights(image.classifier)
        self.final_gains = np.pad(int64(image.final_gains), (0, -c.dim % c.block))
        self.gains_exponent = image.gains_exponent
        self.layers = [
            ImitatedLayer(layer, c, image.frequencies, texts) for layer in image.layers
        ]

    def _logits(self, residual):
        c = self.config
        x = Blocks.quantize(residual, c.block, unit(c.residual_fraction_bits))
        factor = norm_factor(x, c.dim, c.norm_epsilon)
        x = apply_gains(x, self.final_gains, self.gains_exponent)
        return self.classifier.times(x, factor, LOGIT_FRACTION_BITS).astype(np.int32)

    def _pass(self, tokens, logits):
        residual = self.embedding.rows(tokens.reshape(-1), self.config.residual_fraction_bits)
        for layer in self.layers:
            residual = layer(residual, self.position)
        self.position += tokens.shape[1]
        if logits == "none":
            return None
        if logits == "last":
            residual = residual.reshape(self.texts, -1, self.config.dim)[:, -1]
        return self._logits(residual).reshape(self.texts, -1, self.config.vocab_size)

    def decode(self, tokens, logits="last"):
        """Reads tokens (texts, count); the logits in Q16, int32.

        "last": (texts, vocabulary) after the last token. "all": (texts, count, vocabulary).
        "none": nothing.
        """
        tokens = np.asarray(tokens)
        if tokens.ndim != 2 or len(tokens) != self.texts or tokens.shape[1] == 0:
            raise ValueError(f"tokens {tokens.shape}; expected ({self.texts}, at least 1)")
        if tokens.min() < 0 or tokens.max() >= self.config.vocab_size:
            raise ValueError("a token is not in the vocabulary")
        step = max(1, ROWS_AT_ONCE // self.texts)
        results = []
        for first in range(0, tokens.shape[1], step):
            is_last = first + step >= tokens.shape[1]
            wanted = "none" if logits == "last" and not is_last else logits
            results.append(self._pass(tokens[:, first : first + step], wanted))
        if logits == "none":
            return None
        return results[-1][:, -1] if logits == "last" else np.concatenate(results, axis=1)


def greedy(image, prompts, count, visit=None):
    """The `count` best tokens that follow each prompt, int64 (prompts, count).

    The lowest of several equal ones is the best. visit(prompt, index, logits) sees the logits of
    each of them.
    """
    lengths = np.array([len(prompt) for prompt in prompts])
    longest = int(lengths.max())
    shared = int(lengths.min()) - 1
    model = Imitation(image, len(prompts))
    fed = np.zeros((len(prompts), longest + count), np.int64)
    for row, prompt in zip(fed, prompts):
        row[: len(prompt)] = prompt
    if shared > 0:
        model.decode(fed[:, :shared], "none")
    for position in range(shared, longest + count - 1):
        logits = model.decode(fed[:, position : position + 1])
        best = logits.argmax(axis=-1)
        for i in np.flatnonzero(position + 1 >= lengths):
            index = position + 1 - int(lengths[i])
            if index < count:
                fed[i, position + 1] = best[i]
                if visit is not None:
                    visit(int(i), index, logits[i])
    return np.stack([row[length : length + count] for row, length in zip(fed, lengths)])
