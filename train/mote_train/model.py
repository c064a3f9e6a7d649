# SPDX-License-Identifier: Apache-2.0
"""The decoder whose layers are those of the device: see DESIGN.md, "The one idea".

Weights of one kind are one parameter over all layers, (layers, rows, columns), so that the
optimiser and the rounding can treat them together.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import attention as attn
from .shape import ModelShape

MATRICES = ("wq", "wk", "wv", "wo", "w_gate", "w_up", "w_down")
# Cosines and sines (t, d / 2) by the position that no query is turned beyond.
Tables = dict[int, tuple[Tensor, Tensor]]
NORM_BEFORE = {
    "wq": "attention_norm",
    "wk": "attention_norm",
    "wv": "attention_norm",
    "w_gate": "ffn_norm",
    "w_up": "ffn_norm",
}


@dataclass
class Weights:
    """What the image holds: the gains of the layers' norms are part of the matrices."""

    embedding: Tensor  # (vocab_size, dim)
    classifier: Tensor  # (vocab_size, dim); may be the embedding
    final_norm: Tensor  # (dim)
    layers: dict[str, Tensor]  # by name of MATRICES: (layers, rows, columns)

    def to(self, device: torch.device) -> Weights:
        embedding = self.embedding.to(device)
        tied = self.classifier is self.embedding
        classifier = embedding if tied else self.classifier.to(device)
        layers = {name: tensor.to(device) for name, tensor in self.layers.items()}
        return Weights(embedding, classifier, self.final_norm.to(device), layers)


class Numerics:
    """What numbers are rounded to. This one rounds nothing."""

    def weights(self, weights: Weights) -> Weights:
        return weights

    def block(self, x: Tensor, width: int) -> Tensor:
        """Rounds blocks of `width` lanes along the last dimension."""
        return x

    def rotated(self, x: Tensor) -> Tensor:
        """Rounds turned queries or keys (b, heads, t, d), a scale for each vector."""
        return x

    def final(self, x: Tensor, gains: Tensor, width: int) -> Tensor:
        """x * gains"""
        return x * gains


class Decoder(nn.Module):
    def __init__(self, shape: ModelShape, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape
        generator = torch.Generator().manual_seed(seed)
        s = shape

        def matrix(*size: int, std: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(*size, generator=generator) * std)

        rows = {"wq": s.dim, "wk": s.kv_dim, "wv": s.kv_dim, "wo": s.dim}
        rows |= {"w_gate": s.hidden_dim, "w_up": s.hidden_dim, "w_down": s.dim}
        self.embedding = matrix(s.vocab_size, s.dim, std=s.dim**-0.5)
        if not s.tied:
            self.classifier = matrix(s.vocab_size, s.dim, std=s.dim**-0.5)
        for name in MATRICES:
            columns = s.hidden_dim if name == "w_down" else s.dim
            std = columns**-0.5
            if name in ("wo", "w_down"):
                std *= (2 * s.n_layers) ** -0.5
            setattr(self, name, matrix(s.n_layers, rows[name], columns, std=std))
        self.attention_norm = nn.Parameter(torch.ones(s.n_layers, s.dim))
        self.ffn_norm = nn.Parameter(torch.ones(s.n_layers, s.dim))
        self.final_norm = nn.Parameter(torch.ones(s.dim))

    def folded(self) -> Weights:
        """The weights with the norms' gains multiplied into the columns."""
        layers = {}
        for name in MATRICES:
            weight = getattr(self, name)
            if name in NORM_BEFORE:
                weight = weight * getattr(self, NORM_BEFORE[name])[:, None, :]
            layers[name] = weight
        classifier = self.embedding if self.shape.tied else self.classifier
        return Weights(self.embedding, classifier, self.final_norm, layers)

    def forward(
        self,
        tokens: Tensor,
        numerics: Numerics,
        weights: Weights | None = None,
        tables: Tables | None = None,
    ) -> Tensor:
        """Logits (b, t, vocab_size) after each of `tokens` (b, t), from a fresh context.

        `weights`: rounded ones, made before; None: `numerics` makes them. `tables`: of
        `make_tables` for t; None: they are made here.
        """
        w = weights if weights is not None else numerics.weights(self.folded())
        s = self.shape
        residual = F.embedding(tokens, w.embedding).float()
        if tables is None:
            tables = make_tables(s, tokens.shape[1], tokens.device)
        for layer in range(s.n_layers):
            lw = {name: w.layers[name][layer] for name in MATRICES}
            x = normed(residual, s, numerics)
            heads = attend(x, lw, s, layer, numerics, tables)
            residual = residual + F.linear(numerics.block(heads, s.head_block), lw["wo"])
            x = normed(residual, s, numerics)
            hidden = F.silu(F.linear(x, lw["w_gate"])) * F.linear(x, lw["w_up"])
            residual = residual + F.linear(numerics.block(hidden, s.block), lw["w_down"])
        x = numerics.block(residual, s.block)
        final = numerics.final(x, w.final_norm, s.block) * norm_factor(x, s)
        return F.linear(final, w.classifier)


def make_tables(shape: ModelShape, t: int, device: torch.device) -> Tables:
    """For t positions: t - 1 turns each by its own; sinks see queries of the window's end."""
    limits = {t - 1}
    for a in shape.attention:
        if a.kind == "window" and a.sinks > 0:
            limits.add(min(t - 1, a.window + a.sinks - 1))
    positions = torch.arange(t, device=device)
    return {
        limit: attn.rope_tables(shape.head_size, shape.rope_base, positions.clamp(max=limit))
        for limit in limits
    }


def norm_factor(x: Tensor, shape: ModelShape) -> Tensor:
    """One over the root mean square of the lanes, (..., 1)."""
    return torch.rsqrt(x.square().mean(-1, keepdim=True) + shape.norm_epsilon)


def normed(residual: Tensor, shape: ModelShape, numerics: Numerics) -> Tensor:
    """RMSNorm without gains; the mean square is that of the rounded lanes, as on the device."""
    x = numerics.block(residual, shape.block)
    return x * norm_factor(x, shape)


def attend(
    x: Tensor,
    weights: dict[str, Tensor],
    shape: ModelShape,
    layer: int,
    numerics: Numerics,
    tables: Tables,
) -> Tensor:
    """The heads' outputs side by side, (b, t, n_heads * head_size)."""
    b, t, _ = x.shape
    kind = shape.attention[layer]

    def heads(name: str) -> Tensor:
        return F.linear(x, weights[name]).view(b, t, -1, shape.head_size).transpose(1, 2)

    q, k, v = heads("wq"), heads("wk"), numerics.block(heads("wv"), shape.head_size)
    if kind.kind == "linear":
        q, k = numerics.block(q, shape.head_size), numerics.block(k, shape.head_size)
        out = attn.linear_attention(q, k, v, kind.decays)
        return out.transpose(1, 2).reshape(b, t, -1)
    scale = shape.head_size**-0.5
    turned = numerics.rotated(attn.rotate(q, tables[t - 1])).to(v.dtype)
    k = numerics.rotated(attn.rotate(k, tables[t - 1])).to(v.dtype)
    k, v = attn.expand_kv(k, shape.group), attn.expand_kv(v, shape.group)
    mask = None
    if kind.kind == "window" and t > kind.window:
        mask = attn.window_mask(t, kind, x.device)
        limit = kind.window + kind.sinks - 1
        if kind.sinks > 0 and t - 1 > limit:
            sink_q = numerics.rotated(attn.rotate(q, tables[limit])).to(v.dtype)
            turned, k = attn.join_sink_queries(turned, sink_q, k, kind.sinks)
    out = attn.softmax_attention(turned, k, v, mask, scale)
    return out.transpose(1, 2).reshape(b, t, -1)
