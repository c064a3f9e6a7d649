# SPDX-License-Identifier: Apache-2.0
"""llama2.c's model files: reads version 2 (int8 groups), writes the legacy fp32 format."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .shape import Attention, ModelShape

MAGIC = 0x616B3432
LEGACY_ORDER = ("attention_norm", "wq", "wk", "wv", "wo", "ffn_norm", "w_gate", "w_down", "w_up")


@dataclass
class Checkpoint:
    """Tensors by name, those of the layers with a first dimension of layers; fp32. Units of int4
    by name, (..., rows, blocks), where they were trained (quant.Int4Numerics)."""

    shape: ModelShape
    tensors: dict[str, np.ndarray]
    units: dict[str, np.ndarray] | None = None


def tensor_sizes(shape: ModelShape) -> dict[str, tuple[int, ...]]:
    layers, dim, hidden = shape.n_layers, shape.dim, shape.hidden_dim
    return {
        "embedding": (shape.vocab_size, dim),
        "attention_norm": (layers, dim),
        "wq": (layers, dim, dim),
        "wk": (layers, shape.kv_dim, dim),
        "wv": (layers, shape.kv_dim, dim),
        "wo": (layers, dim, dim),
        "ffn_norm": (layers, dim),
        "w_gate": (layers, hidden, dim),
        "w_down": (layers, dim, hidden),
        "w_up": (layers, hidden, dim),
        "final_norm": (dim,),
    }


def read_version2(path: str | Path) -> Checkpoint:
    """A version 2 file: norms in fp32, then each matrix as int8 and a scale a group."""
    data = Path(path).read_bytes()
    magic, version, dim, hidden, layers, heads, kv_heads, vocab, context = struct.unpack_from(
        "<Iiiiiiiii", data
    )
    shared, group = struct.unpack_from("<Bi", data, 36)
    if magic != MAGIC or version != 2 or not shared:
        raise ValueError(f"{path}: not a llama2.c file of version 2 with a shared classifier")
    causal = (Attention(),) * layers
    shape = ModelShape(dim, hidden, layers, heads, kv_heads, vocab, context, causal)
    sizes = tensor_sizes(shape)
    tensors = {}
    offset = 256

    def take(dtype: str, count: int) -> np.ndarray:
        nonlocal offset
        values = np.frombuffer(data, dtype, count, offset)
        offset += values.nbytes
        return values

    for name in ("attention_norm", "ffn_norm", "final_norm"):
        size = sizes[name]
        tensors[name] = take("<f4", int(np.prod(size))).reshape(size)
    for name in ("embedding", "wq", "wk", "wv", "wo", "w_gate", "w_down", "w_up"):
        size = sizes[name]
        count = int(np.prod(size[-2:]))
        parts = []
        for _ in range(1 if name == "embedding" else layers):
            lanes = take("i1", count).astype(np.float32).reshape(-1, group)
            parts.append((lanes * take("<f4", count // group)[:, None]).reshape(size[-2:]))
        tensors[name] = np.stack(parts) if name != "embedding" else parts[0]
    if offset != len(data):
        raise ValueError(f"{path}: {len(data) - offset} bytes are left")
    return Checkpoint(shape, tensors)


def write_legacy(path: str | Path, checkpoint: Checkpoint) -> None:
    """The legacy format, with a shared classifier. Windows are not in it: `mote convert --window`
    restores them. Linear attention cannot be expressed."""
    shape = checkpoint.shape
    if any(attention.kind == "linear" for attention in shape.attention):
        raise ValueError("llama2.c has no linear attention")
    if not shape.tied:
        raise ValueError("only tied classifiers are written")
    header = (shape.dim, shape.hidden_dim, shape.n_layers, shape.n_heads, shape.n_kv_heads)
    out = [struct.pack("<7i", *header, shape.vocab_size, shape.context_length)]
    for name in ("embedding", *LEGACY_ORDER, "final_norm"):
        out.append(checkpoint.tensors[name].astype("<f4").tobytes())
    out.append(bytes(4 * shape.context_length * shape.head_size))  # tables that nobody reads
    Path(path).write_bytes(b"".join(out))
