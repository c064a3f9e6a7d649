# SPDX-License-Identifier: Apache-2.0
"""Text as tokens, and batches of them.

Example:
  python3 -m mote_train.data --text stories.txt --tokenizer tok1024.model --out build/stories-1024
writes build/stories-1024.npz: all stories one after another, each begun by BOS, and their starts.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from pathlib import Path
from typing import Iterator

import numpy as np
import torch
from torch import Tensor

from . import tokenizer

STORIES_A_TASK = 2000
_processor = None


def _open(path: str) -> None:
    global _processor
    _processor = tokenizer.load(path)


def _encode(stories: list[str]) -> tuple[np.ndarray, np.ndarray]:
    tokens = [tokenizer.encode(_processor, story) for story in stories]
    lengths = np.array([len(t) for t in tokens], dtype=np.int64)
    return np.concatenate([np.array(t, dtype=np.uint16) for t in tokens]), lengths


def encode_stories(
    stories: list[str], model_file: str, processes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens (n) uint16 and the starts (stories) of stories in them."""
    tasks = [stories[i : i + STORIES_A_TASK] for i in range(0, len(stories), STORIES_A_TASK)]
    if processes > 1:
        with multiprocessing.get_context("fork").Pool(processes, _open, (model_file,)) as pool:
            parts = pool.map(_encode, tasks)
    else:
        _open(model_file)
        parts = [_encode(task) for task in tasks]
    lengths = np.concatenate([part[1] for part in parts])
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    return np.concatenate([part[0] for part in parts]), starts


class Stories:
    """Tokens on a device, from which sequences that begin with a story are drawn."""

    def __init__(
        self, path: str | Path, device: torch.device, stories: slice = slice(None)
    ) -> None:
        """`stories`: the part of the file to take."""
        with np.load(path) as file:
            tokens, starts = file["tokens"], file["starts"]
        bounds = np.append(starts, len(tokens))
        chosen = range(len(starts))[stories]
        first, last = bounds[chosen.start], bounds[chosen.stop]
        self.tokens = torch.from_numpy(tokens[first:last].astype(np.int16)).to(device)
        self.starts = torch.from_numpy(starts[chosen.start : chosen.stop] - first).to(device)

    def draw(self, count: int, length: int, generator: torch.Generator) -> Tensor:
        """(count, length + 1): a story and those that follow it, cut. The text is a ring."""
        picks = torch.randint(
            len(self.starts), (count,), generator=generator, device=self.tokens.device
        )
        offsets = torch.arange(length + 1, device=self.tokens.device)
        places = (self.starts[picks][:, None] + offsets) % len(self.tokens)
        return self.tokens[places].long()


def draw_mixed(
    sources: list[tuple[Stories, float]], batch: int, length: int, generator: torch.Generator
) -> Tensor:
    """(batch, length + 1): rows of each source by its share; the first takes what is left."""
    counts = [round(batch * share) for _, share in sources[1:]]
    counts = [batch - sum(counts), *counts]
    rows = [s.draw(n, length, generator) for (s, _), n in zip(sources, counts) if n > 0]
    return torch.cat(rows)


def padded_batches(
    stories: list[list[int]], tokens_a_batch: int
) -> Iterator[tuple[list[int], Tensor]]:
    """Indices and tokens (b, t), -1 where a story has ended; stories of like length together."""
    order = sorted(range(len(stories)), key=lambda i: len(stories[i]))
    while order:
        count = max(1, tokens_a_batch // len(stories[order[-1]]))
        chosen, order = order[-count:], order[:-count]
        longest = max(len(stories[i]) for i in chosen)
        rows = [stories[i] + [-1] * (longest - len(stories[i])) for i in chosen]
        yield chosen, torch.tensor(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--text", required=True, help="stories, parted by lines <|endoftext|>")
    parser.add_argument("--tokenizer", required=True, help="sentencepiece model")
    parser.add_argument("--out", required=True, help="writes OUT.npz")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    start = time.time()
    stories = tokenizer.split_stories(Path(arguments.text).read_text())
    tokens, starts = encode_stories(stories, arguments.tokenizer, arguments.processes)
    np.savez(arguments.out, tokens=tokens, starts=starts)
    seconds = time.time() - start
    print(f"{len(stories)} stories, {len(tokens)} tokens, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
