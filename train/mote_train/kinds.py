# SPDX-License-Identifier: Apache-2.0
"""Compares models of equal size and training that differ in attention: the table of docs/MODELS.md.

Example:
  python3 -m mote_train.kinds build/kinds/{causal,window,linear,hybrid}.pt \\
      --tokenizer models/tok1024.model --text eval.txt
"""

from __future__ import annotations

import argparse
from pathlib import Path

from . import tokenizer
from .evaluate import measure
from .export import load_model
from .model import MATRICES, Decoder, Numerics
from .shape import Attention, ModelShape


def state_bytes(shape: ModelShape, attention: Attention, positions: int) -> int:
    """Of one layer (docs/ATTENTION.md, "State and work")."""
    if attention.kind == "linear":
        return 8 * (shape.head_size + 1) * shape.kv_dim + 32 * shape.n_kv_heads
    if attention.kind == "window":
        positions = attention.window + attention.sinks
    return 2 * positions * (shape.kv_dim + 2 * shape.n_kv_heads)


def attention_multiplies(shape: ModelShape, attention: Attention, position: int) -> int:
    """Of one layer and the token at `position`, from 0 (docs/ATTENTION.md)."""
    size = shape.head_size
    if attention.kind == "linear":
        a_head = 2 * size * (size + 1)
        decays = sum(decay != 65536 for decay in attention.decays)
        return shape.n_heads * a_head + shape.n_kv_heads * a_head // 2 + decays * a_head
    seen = position + 1
    if attention.kind == "window":
        seen = min(seen, attention.window + attention.sinks)
    return shape.n_heads * 2 * size * seen


def matrix_multiplies(model: Decoder) -> int:
    """Of a token: one for each weight; the classifier counts, the embedding does not."""
    matrices = sum(getattr(model, name).numel() for name in MATRICES)
    return matrices + model.embedding.numel()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="+", help="a line of the table each")
    parser.add_argument("--tokenizer", required=True, help="sentencepiece model")
    parser.add_argument("--text", required=True, help="held-out stories")
    parser.add_argument("--positions", type=int, nargs=2, default=[256, 2048])
    parser.add_argument("--trained", type=int, default=512, help="tokens of a training sequence")
    arguments = parser.parse_args()
    stories = tokenizer.split_stories(Path(arguments.text).read_text())
    processor = tokenizer.load(arguments.tokenizer)
    short = [s for s in stories if len(tokenizer.encode(processor, s)) <= arguments.trained]
    print(f"{len(short)} of {len(stories)} stories have up to {arguments.trained} tokens\n")
    few, many = arguments.positions
    print(
        f"| layers | bits a character, fp32 | up to {arguments.trained} tokens "
        f"| state, bytes, {few} positions | {many} positions "
        f"| multiplies a token, {few} positions | {many} positions | of these attention |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for path in arguments.checkpoints:
        model = load_model(path)
        shape = model.shape
        cells = [Path(path).stem]
        for text in (stories, short):
            loss = measure(model, text, processor, Numerics())
            cells.append(f"{loss.bits_a_character:.4f}")
        cells += [
            f"{sum(state_bytes(shape, a, n) for a in shape.attention):,}" for n in (few, many)
        ]
        work = [
            sum(attention_multiplies(shape, a, n - 1) for a in shape.attention) for n in (few, many)
        ]
        cells += [f"{matrix_multiplies(model) + w:,}" for w in work]
        cells.append(f"{work[0]:,}; {work[1]:,}")
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
