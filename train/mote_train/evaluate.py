# SPDX-License-Identifier: Apache-2.0
"""Held-out loss in bits a character.

Each story is stripped, encoded with BOS and read from a fresh context; the loss of all its tokens
but BOS is summed, and divided by its characters. No story is cut. There is no end token.

Examples:
  python3 -m mote_train.evaluate build/m/float.pt --tokenizer tok1024.model --text eval.txt
  python3 -m mote_train.evaluate build/m/int4.pt ... --numerics int4
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from . import tokenizer
from .data import padded_batches
from .model import Decoder, Numerics, Weights
from .quant import DeviceNumerics

TOKENS_A_BATCH = 8192


@dataclass
class Loss:
    nats: float
    tokens: int
    characters: int

    @property
    def bits_a_character(self) -> float:
        return self.nats / math.log(2) / self.characters

    @property
    def perplexity(self) -> float:
        return math.exp(self.nats / self.tokens)


@torch.no_grad()
def measure(
    model: Decoder,
    stories: list[str],
    processor: tokenizer.sentencepiece.SentencePieceProcessor,
    numerics: Numerics,
    weights: Weights | None = None,
) -> Loss:
    """In the precision of the model's parameters, on their device."""
    device = model.embedding.device
    if weights is None:
        weights = numerics.weights(model.folded())
    tokens = [tokenizer.encode(processor, story) for story in stories]
    nats = 0.0
    for _, batch in padded_batches(tokens, TOKENS_A_BATCH):
        batch = batch.to(device)
        logits = model(batch[:, :-1].clamp(min=0), numerics, weights)
        losses = F.cross_entropy(
            logits.float().flatten(0, 1), batch[:, 1:].flatten(), ignore_index=-1, reduction="none"
        )
        nats += losses.double().sum().item()
    predicted = sum(len(story) - 1 for story in tokens)
    return Loss(nats, predicted, sum(len(story) for story in stories))


def main() -> None:
    from .export import load_model, rounded_weights  # here, as training does without them

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", help="a .pt file of train.py")
    parser.add_argument("--tokenizer", required=True, help="sentencepiece model")
    parser.add_argument("--text", required=True, help="stories, parted by lines <|endoftext|>")
    parser.add_argument(
        "--numerics",
        choices=["fp32", "int8", "int4"],
        default="fp32",
        help="fp32, or rounded as on the device with these weights",
    )
    arguments = parser.parse_args()
    model = load_model(arguments.checkpoint)
    shape = model.shape
    numerics, weights = Numerics(), None
    if arguments.numerics != "fp32":
        numerics = DeviceNumerics()
        weights = rounded_weights(model, arguments.numerics)
    stories = tokenizer.split_stories(Path(arguments.text).read_text())
    loss = measure(model, stories, tokenizer.load(arguments.tokenizer), numerics, weights)
    print(
        f"{arguments.checkpoint} {arguments.numerics}: {loss.bits_a_character:.4f} bits a "
        f"character, perplexity {loss.perplexity:.4f} over {loss.tokens} tokens"
    )


if __name__ == "__main__":
    main()
