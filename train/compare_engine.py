#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the engine against its imitation: greedy tokens and all logits, bit for bit.

    train/compare_engine.py models/stories-1m.mote --mote-logits build/release/host/mote_logits

Exits with 1 where anything differs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

# Products are small: threads would only wait for one another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402

from mote_train.image_reader import read_image  # noqa: E402
from mote_train.imitate import greedy  # noqa: E402


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("image", help="model image (.mote)")
    parser.add_argument("--mote-logits", default="build/release/host/mote_logits", metavar="PATH")
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--predict", type=int, default=200, help="tokens written on from each")
    text = parser.add_mutually_exclusive_group()
    text.add_argument("--text", metavar="FILE", help="take the beginnings of its lines")
    text.add_argument("--seed", type=int, default=1, help="else of random tokens")
    parser.add_argument("--prompt-words", type=int, default=6, help="of a line of the text")
    parser.add_argument("--prompt-tokens", type=int, default=12, help="of a random prompt, at most")
    return parser.parse_args()


def random_prompts(image, arguments):
    random = np.random.default_rng(arguments.seed)
    first = [] if image.tokenizer.bos is None else [image.tokenizer.bos]
    prompts = []
    for _ in range(arguments.prompts):
        count = random.integers(1, arguments.prompt_tokens + 1)
        prompts.append(first + random.integers(0, image.config.vocab_size, count).tolist())
    return prompts


def text_prompts(arguments):
    """Beginnings of lines spread over the whole file, as the engine's tokenizer cuts them."""
    with open(arguments.text, encoding="utf-8") as file:
        lines = [line.split() for line in file]
    lines = [words for words in lines if len(words) >= arguments.prompt_words]
    if len(lines) < arguments.prompts:
        raise SystemExit(f"{arguments.text}: has {len(lines)} lines of that many words")
    chosen = [lines[i * len(lines) // arguments.prompts] for i in range(arguments.prompts)]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        for words in chosen:
            file.write(" ".join(words[: arguments.prompt_words]) + "\n")
        file.flush()
        return run_engine(arguments, "--encode", file.name)


def run_engine(arguments, *options):
    """Lines of tokens that mote_logits prints."""
    command = [arguments.mote_logits, "-m", arguments.image, *options]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{arguments.mote_logits} has failed")
    return [[int(token) for token in line.split()] for line in result.stdout.splitlines()]


def engine_greedy(arguments, prompts, out):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        for prompt in prompts:
            file.write(",".join(map(str, prompt)) + "\n")
        file.flush()
        options = ("--tokens-file", file.name, "--greedy", str(arguments.predict), "-o", out)
        return np.array(run_engine(arguments, *options))


def compare(arguments, image, prompts, folder):
    """Numbers of tokens and of logits that are equal, and of all of them."""
    start = time.monotonic()
    out = os.path.join(folder, "logits.bin")
    tokens = engine_greedy(arguments, prompts, out)
    shape = (len(prompts), arguments.predict, image.config.vocab_size)
    logits = np.memmap(out, "<i4", "r", shape=shape)
    middle = time.monotonic()
    equal = np.zeros(shape[:2], np.int64)

    def visit(prompt, index, imitated):
        equal[prompt, index] = np.count_nonzero(imitated == logits[prompt, index])

    imitated = greedy(image, prompts, arguments.predict, visit)
    end = time.monotonic()
    print(f"engine {middle - start:.1f} s, imitation {end - middle:.1f} s")
    same = tokens == imitated
    print(f"tokens: {np.count_nonzero(same)} of {same.size} equal")
    print(f"logits: {equal.sum()} of {np.prod(shape)} equal")
    for prompt, index in np.argwhere(~same)[:1]:
        print(f"first difference: prompt {prompt}, token {index}: "
              f"engine {tokens[prompt, index]}, imitation {imitated[prompt, index]}")
    return same.all() and equal.sum() == np.prod(shape)


def main():
    arguments = parse_arguments()
    image = read_image(arguments.image)
    prompts = text_prompts(arguments) if arguments.text else random_prompts(image, arguments)
    with tempfile.TemporaryDirectory() as folder:
        return 0 if compare(arguments, image, prompts, folder) else 1


if __name__ == "__main__":
    sys.exit(main())
