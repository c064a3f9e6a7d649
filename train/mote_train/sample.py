# SPDX-License-Identifier: Apache-2.0
"""Samples stories in the thousands from a llama2.c model of version 2, at temperature 1.

All streams advance together; one that ends its story begins another. A story that reaches the
context's end is dropped, and so is one that begins like a story of --exclude (held-out text).
The same seed gives the same text on the same kind of GPU.

Example, 250 MB in a minute on a large GPU:
  python3 -m mote_train.sample stories3.3M-q80.bin --tokenizer tok4096.bin --out sampled.txt
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import attention as attn
from .llama2c import Checkpoint, read_version2
from .tokenizer import BOS, EOS, FIRST_BYTE, SEPARATOR, UNKNOWN, read_bin, split_stories

EXCLUDED_CHARACTERS = 80


class Sampler:
    """`streams` stories at once; keys and values in `dtype`."""

    def __init__(
        self, checkpoint: Checkpoint, streams: int, device: torch.device, seed: int
    ) -> None:
        s = self.shape = checkpoint.shape
        self.dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        self.w = {n: torch.from_numpy(t.copy()).to(device, self.dtype)
                  for n, t in checkpoint.tensors.items()}  # fmt: skip
        cache = (s.n_layers, streams, s.n_kv_heads, s.context_length, s.head_size)
        self.keys = torch.zeros(cache, device=device, dtype=self.dtype)
        self.values = torch.zeros_like(self.keys)
        self.tokens = torch.full((streams,), BOS, device=device)
        self.positions = torch.zeros(streams, dtype=torch.long, device=device)
        self.rows = torch.arange(streams, device=device)
        steps = torch.arange(s.context_length, device=device)
        self.tables = attn.rope_tables(s.head_size, s.rope_base, steps)
        self.generator = torch.Generator(device).manual_seed(seed)

    def norm(self, x: Tensor, gains: Tensor) -> Tensor:
        x = x.float()
        scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + self.shape.norm_epsilon)
        return (x * scale).to(self.dtype) * gains

    def attend(self, layer: int, x: Tensor, mask: Tensor) -> Tensor:
        s = self.shape
        tables = tuple(table[self.positions][:, None] for table in self.tables)
        q, k, v = (F.linear(x, self.w[name][layer]).view(len(x), -1, s.head_size)
                   for name in ("wq", "wk", "wv"))  # fmt: skip
        self.keys[layer][self.rows, :, self.positions] = attn.rotate(k, tables).to(self.dtype)
        self.values[layer][self.rows, :, self.positions] = v
        # The query heads of a K/V head are the queries of one attention.
        q = attn.rotate(q, tables).to(self.dtype).view(len(x), s.n_kv_heads, s.group, s.head_size)
        scale = s.head_size**-0.5
        out = attn.softmax_attention(q, self.keys[layer], self.values[layer], mask, scale)
        return out.reshape(len(x), -1)

    @torch.no_grad()
    def step(self) -> Tensor:
        """The next token of each stream (streams): BOS ends a story, UNKNOWN says it was cut."""
        s, w = self.shape, self.w
        steps = torch.arange(s.context_length, device=self.tokens.device)
        mask = (steps <= self.positions[:, None])[:, None, None]
        mask = mask.expand(-1, s.n_kv_heads, s.group, -1)
        x = w["embedding"][self.tokens].float()
        for layer in range(s.n_layers):
            heads = self.attend(layer, self.norm(x, w["attention_norm"][layer]), mask)
            x = x + F.linear(heads, w["wo"][layer])
            y = self.norm(x, w["ffn_norm"][layer])
            hidden = F.silu(F.linear(y, w["w_gate"][layer])) * F.linear(y, w["w_up"][layer])
            x = x + F.linear(hidden, w["w_down"][layer])
        logits = F.linear(self.norm(x, w["final_norm"]), w["embedding"]).float()
        # The token of largest logit - log(exponential noise) is drawn by its probability.
        noise = torch.empty_like(logits).exponential_(generator=self.generator)
        drawn = (logits - noise.log()).argmax(-1)
        ended = (drawn == BOS) | (drawn == EOS)
        cut = self.positions == s.context_length - 1
        drawn = torch.where(ended, BOS, torch.where(cut, UNKNOWN, drawn))
        self.tokens = torch.where(ended | cut, BOS, drawn)
        self.positions = torch.where(ended | cut, 0, self.positions + 1)
        return drawn


def spell_pieces(path: str) -> list[bytes]:
    """What each token stands for."""
    texts = [piece.bytes for piece in read_bin(path)]
    for byte in range(256):
        texts[FIRST_BYTE + byte] = bytes([byte])
    return texts


def to_text(streams: np.ndarray, pieces: list[bytes], excluded: set[str]) -> list[str]:
    """The whole stories of (steps, streams) tokens: ASCII, none of `excluded`."""
    stories = []
    for stream in streams.T:
        ends = np.nonzero((stream == BOS) | (stream == UNKNOWN))[0]
        first = 0
        for end in ends:
            tokens, whole = stream[first:end], stream[end] == BOS
            first = end + 1
            text = b"".join(pieces[t] for t in tokens).strip()
            if whole and text.isascii() and len(text) > 50:
                story = text.decode()
                if story[:EXCLUDED_CHARACTERS] not in excluded and SEPARATOR not in story:
                    stories.append(story)
    return stories


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="llama2.c model of version 2")
    parser.add_argument("--tokenizer", required=True, help="its tokenizer.bin")
    parser.add_argument("--out", required=True, help="text file to write")
    parser.add_argument("--streams", type=int, default=16384, help="stories at once")
    parser.add_argument("--steps", type=int, default=4000, help="tokens of each stream")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--exclude", help="held-out text: no story may begin like one of it")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sampler = Sampler(read_version2(arguments.model), arguments.streams, device, arguments.seed)
    record = torch.zeros(arguments.steps, arguments.streams, dtype=torch.int16)
    start = time.time()
    chunk: list[Tensor] = []
    for step in range(arguments.steps):
        chunk.append(sampler.step().to(torch.int16))
        if len(chunk) == 100 or step + 1 == arguments.steps:
            record[step + 1 - len(chunk) : step + 1] = torch.stack(chunk).cpu()
            chunk = []
        if (step + 1) % 500 == 0:
            print(f"step {step + 1}, {time.time() - start:.0f} s", flush=True)
    excluded: set[str] = set()
    if arguments.exclude:
        held_out = split_stories(Path(arguments.exclude).read_text())
        excluded = {story[:EXCLUDED_CHARACTERS] for story in held_out}
    pieces = spell_pieces(arguments.tokenizer)
    parts = np.array_split(record.numpy(), max(1, arguments.streams // 256), axis=1)
    with multiprocessing.get_context("fork").Pool(arguments.processes) as pool:
        texts = pool.starmap(to_text, [(part, pieces, excluded) for part in parts])
    stories = [story for text in texts for story in text]
    Path(arguments.out).write_text("".join(f"{story}\n{SEPARATOR}\n" for story in stories))
    characters = sum(map(len, stories))
    seconds = time.time() - start
    print(f"{len(stories)} stories, {characters} characters, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
