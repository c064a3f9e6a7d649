# SPDX-License-Identifier: Apache-2.0
"""The shape of a model and the attention of its layers, as SPEC.md names them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Attention:
    """Attention of one layer.

    kind    "causal", "window" or "linear"
    window  positions, the present one included (window only)
    sinks   first positions that stay visible (window only)
    decays  of each K/V head, in 1/65536: what its sums keep from one position to the next
            (linear only)
    """

    kind: str = "causal"
    window: int = 0
    sinks: int = 0
    decays: tuple[int, ...] = ()


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a Llama-shaped decoder. `context_length` is what the image states, in tokens."""

    dim: int
    hidden_dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int
    context_length: int
    attention: tuple[Attention, ...]
    tied: bool = True  # the classifier is the token embedding
    block: int = 32  # lanes of a block of activations and of int4 weights
    residual_fraction_bits: int = 16
    norm_epsilon: float = 1e-5
    rope_base: float = 10000.0
    # Matrices that stay int8 where the others are int4: "wv", or "wo.0" for one layer's.
    int8_matrices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.dim % self.n_heads or self.n_heads % self.n_kv_heads:
            raise ValueError("n_heads must divide dim, and n_kv_heads n_heads")
        if self.dim % self.block or self.hidden_dim % self.block:
            raise ValueError("blocks must divide dim and hidden_dim (so far, in training)")
        if len(self.attention) != self.n_layers:
            raise ValueError("one attention a layer")
        for attention in self.attention:
            if attention.kind not in ("causal", "window", "linear"):
                raise ValueError(f"unknown attention {attention.kind}")
            if attention.kind == "linear" and len(attention.decays) != self.n_kv_heads:
                raise ValueError("a linear layer needs a decay for each K/V head")

    @property
    def head_size(self) -> int:
        return self.dim // self.n_heads

    @property
    def kv_dim(self) -> int:
        return self.n_kv_heads * self.head_size

    @property
    def group(self) -> int:
        """Query heads of a K/V head."""
        return self.n_heads // self.n_kv_heads

    @property
    def head_block(self) -> int:
        """Lanes of a block of the attention output: blocks never span two heads."""
        return min(self.head_size & -self.head_size, self.block)

    def block_of(self, name: str) -> int:
        """Columns of a block of int4 weights of the matrix."""
        return self.head_block if name == "wo" else self.block

    def is_int8(self, name: str, layer: int) -> bool:
        """Whether an int4 image has this matrix in int8."""
        return name in self.int8_matrices or f"{name}.{layer}" in self.int8_matrices

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> ModelShape:
        layers = []
        for layer in fields["attention"]:
            layers.append(Attention(**{**layer, "decays": tuple(layer.get("decays", ()))}))
        wide = tuple(fields.get("int8_matrices", ()))
        return ModelShape(**{**fields, "attention": tuple(layers), "int8_matrices": wide})


def read_config(path: str | Path, attention: str = "") -> dict[str, Any]:
    """A file of configs/: name, shape, training. Its layers name kinds of "attention_kinds"; so
    does `attention`, which replaces that of all layers."""
    config = json.loads(Path(path).read_text())
    shape = dict(config["shape"])
    names = [attention] * shape["n_layers"] if attention else shape["attention"]
    shape["attention"] = [config["attention_kinds"][name] for name in names]
    config["shape"] = ModelShape.from_dict(shape)
    return config
