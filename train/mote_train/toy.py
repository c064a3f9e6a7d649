# SPDX-License-Identifier: Apache-2.0
"""The whole way in minutes on two CPU cores: tokenizer, training, rounding, images, check.

Three layers, one of each kind of attention. With --mote, the engine's loss on held-out stories
must agree with that of the training code; its imitation, with the training code's logits.

Examples:
  python3 -m mote_train.toy --text stories.txt --out build/toy           under five minutes
  python3 -m mote_train.toy --out build/toy --steps 5 --mote build/release/host/mote
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from . import export, tokenizer
from .data import Stories, encode_stories
from .evaluate import measure
from .image_reader import read_image
from .imitate import Imitation
from .llama2c import Checkpoint
from .model import Decoder, Numerics
from .quant import DeviceNumerics, Int4Numerics
from .shape import Attention, ModelShape
from .training import Phase, Training, run

LAYERS = (
    Attention("linear", decays=(61440, 65280)),
    Attention("window", window=48, sinks=4),
    Attention("causal"),
)
VALIDATION = 8  # stories
# Both round the same lanes, but the training code computes scores and sums in fp32: up to 1e-5 of a
# residual's norm. Sooner or later a lane lies so near a half that this turns it, and from there on
# the two differ by as much as rounding costs: logits by some 2 % (root mean square, relative), the
# loss by chance, hardly at all. (The numpy imitation is held to the engine bit by bit.)
LOSS_BOUND = 0.003  # nats a token
LOGIT_BOUND = 0.05


def made_up_stories(count: int) -> list[str]:
    """Text for a machine without any: sentences of a few words, the same on every call."""
    choice = random.Random(1).choice
    who, animal = ["Tom", "Lily", "Sam", "Mia", "Ben"], ["cat", "dog", "bird", "frog", "duck"]
    place, thing = ["park", "garden", "house", "forest"], ["ball", "kite", "cake", "book", "hat"]
    stories = []
    for _ in range(count):
        a, b, c, d = choice(who), choice(animal), choice(place), choice(thing)
        end = choice(["They were happy.", f"{a} went home.", f"The {b} said thank you!"])
        stories.append(
            f"One day, {a} saw a {choice(['big', 'little', 'red'])} {b} in the {c}.\n"
            f'"Do you want to play with my {d}?" asked {a}. The {b} took the {d} and ran. {end}'
        )
    return stories


def train(
    start: Decoder, phase: Phase, name: str, data: Stories, held: list[str], tok: str
) -> Decoder:
    """A model that phase `name` makes of `start`."""
    training = Training(start.shape, phase, name, torch.device("cpu"))
    training.model.load_state_dict(start.state_dict())
    processor = tokenizer.load(tok)
    run(
        training,
        [(data, 1.0)],
        lambda: measure(training.model, held, processor, training.numerics).bits_a_character,
        1e9,
        lambda line: print(f"{name}: {line}", flush=True),
        max(1, phase.steps // 5),
    )
    if isinstance(training.numerics, Int4Numerics):
        training.model.units = training.numerics.units()
    return training.model


def engine_loss(mote: str, image: Path, text: Path) -> float:
    """Nats a token."""
    command = [mote, "perplexity", "--json", "-m", str(image), "-f", str(text)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout)["mean_negative_log_likelihood"]


def logit_difference(model: Decoder, format: str, image: Path, tokens: list[int]) -> float:
    """Root mean square of imitation - training code, relative to that of the logits."""
    numerics = DeviceNumerics()
    with torch.no_grad():
        weights = export.rounded_weights(model, format)
        trained = model(torch.tensor([tokens]), numerics, weights)[0].double().numpy()
    imitated = Imitation(read_image(str(image))).decode(np.array([tokens]), "all")[0] / 65536
    return float(np.sqrt(((imitated - trained) ** 2).mean() / (trained**2).mean()))


def check(model: Decoder, format: str, image: Path, held: list[str], tok: str, mote: str) -> bool:
    """Compares the loss and the logits of `image` with those of the training code."""
    processor = tokenizer.load(tok)
    numerics = DeviceNumerics()
    weights = export.rounded_weights(model, format)
    loss = measure(model, held, processor, numerics, weights)
    tokens = tokenizer.encode(processor, held[0])
    difference = logit_difference(model, format, image, tokens)
    good = difference <= LOGIT_BOUND
    line = f"{format}: {loss.bits_a_character:.4f} bits/char, logits differ by {difference:.2%}"
    if mote:
        text = image.with_suffix(".txt")
        text.write_text("".join(f"{story}\n{tokenizer.SEPARATOR}\n" for story in held))
        apart = engine_loss(mote, image, text) - loss.nats / loss.tokens
        good = good and abs(apart) <= LOSS_BOUND
        line += f", the engine's loss by {apart:+.6f} nats a token"
    print(f"{line}: {'ok' if good else 'TOO FAR'}", flush=True)
    return good


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--text", help="stories, parted by lines <|endoftext|>; else made up")
    parser.add_argument("--out", default="build/toy", help="folder to write")
    parser.add_argument("--steps", type=int, default=500, help="of fp32; half as many of int4")
    parser.add_argument("--mote", default="", help="the program mote, for the check")
    arguments = parser.parse_args()
    start = time.time()
    torch.manual_seed(1)
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    stories = made_up_stories(400)
    if arguments.text:
        stories = tokenizer.split_stories(Path(arguments.text).read_text())
    held, stories = stories[-VALIDATION:], stories[:-VALIDATION]
    vocab_size = 512 if arguments.text else 340
    shape = ModelShape(64, 96, 3, 4, 2, vocab_size, 512, LAYERS, int8_matrices=("wv", "wo.0"))

    tok = str(out / "toy.model")
    Path(tok).write_bytes(tokenizer.train(stories[:1000], shape.vocab_size))
    tokenizer.write_bin(out / "toy.bin", tokenizer.load(tok))
    tokens, starts = encode_stories(stories, tok, 1)
    np.savez(out / "toy.npz", tokens=tokens, starts=starts)
    data = Stories(out / "toy.npz", torch.device("cpu"))

    steps = arguments.steps
    warmup = min(20, steps)
    phase = Phase(steps, 16, 128, 0.03, 0.006, warmup)
    exact = train(Decoder(shape, seed=1), phase, "float", data, held, tok)
    phase = Phase(max(1, steps // 2), 16, 128, 0, 0.0005, min(warmup, 5), seed=2, unit_lr=0.003)
    rounded = train(exact, phase, "int4", data, held, tok)
    fp32 = measure(exact, held, tokenizer.load(tok), Numerics())
    print(f"fp32: {fp32.bits_a_character:.4f} bits/char", flush=True)

    good = True
    pieces = tokenizer.read_bin(out / "toy.bin")
    for format, model in (("int8", exact), ("int4", rounded)):
        checkpoint: Checkpoint = export.to_checkpoint(model)
        image = out / f"toy-{format}.mote"
        image.write_bytes(export.make_image(checkpoint, pieces, format, {"name": "toy"}))
        good = check(model, format, image, held, tok, arguments.mote) and good
    print(f"{out}: done in {time.time() - start:.0f} s", flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
