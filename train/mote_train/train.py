# SPDX-License-Identifier: Apache-2.0
"""Trains a model of configs/, a phase at a time.

A phase is a section of the config. "float" begins anew and rounds nothing; those whose names begin
with "int8" and "int4" begin from --init and round as the device does. A run that --seconds stops
goes on with the same command.

Example:
  python3 -m mote_train.train configs/stories-1m.json --phase float --out build/m \\
      --tokenizer tok1024.model --data sampled-1024.npz --real train-1024.npz
  python3 -m mote_train.train configs/stories-1m.json --phase int4 --init build/m/float.pt ...
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from . import tokenizer
from .data import Stories
from .evaluate import measure
from .export import load_model
from .shape import read_config
from .training import Phase, Training, run

HELD_OUT = 100  # last stories of the real text, for the progress lines: never trained on


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="a file of configs/")
    parser.add_argument("--phase", default="float", help="a section of the config's training")
    parser.add_argument("--init", help="checkpoint whose weights the phase begins with")
    parser.add_argument("--teacher", help="checkpoint whose predictions are the target")
    parser.add_argument("--tokenizer", required=True, help="sentencepiece model")
    parser.add_argument("--data", required=True, help="sampled stories, .npz of mote_train.data")
    parser.add_argument("--real", required=True, help="real stories, .npz")
    parser.add_argument("--real-text", required=True, help="the same as text (for held-out loss)")
    parser.add_argument("--out", required=True, help="folder for PHASE.pt and PHASE.log")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop, to go on later")
    parser.add_argument("--every", type=int, default=500, help="steps between progress lines")
    parser.add_argument("--attention", default="", help="one kind of the config for all layers")
    parser.add_argument("--set", nargs="*", default=[], help="key=value for fields of the phase")
    arguments = parser.parse_args()

    config = read_config(arguments.config, arguments.attention)
    phase = Phase(**config["training"][arguments.phase])
    changes = dict(pair.split("=") for pair in arguments.set)
    phase = replace(phase, **{k: type(getattr(phase, k))(v) for k, v in changes.items()})
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.manual_seed(phase.seed)
    teacher = None
    if arguments.teacher:
        teacher = load_model(arguments.teacher).to(device)
    format = arguments.phase.split("-")[0]
    training = Training(config["shape"], phase, format, device, teacher)
    path = Path(arguments.out) / f"{arguments.phase}.pt"
    if path.exists():
        training.load(path, resume=True)
    elif arguments.init:
        training.load(Path(arguments.init), resume=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    log_file = open(path.with_suffix(".log"), "a")

    def log(line: str) -> None:
        print(line, flush=True)
        print(line, file=log_file, flush=True)

    processor = tokenizer.load(arguments.tokenizer)
    real_text = tokenizer.split_stories(Path(arguments.real_text).read_text())[-HELD_OUT:]
    sampled = Stories(arguments.data, device)
    real = Stories(arguments.real, device, slice(None, -HELD_OUT))
    parameters = sum(p.numel() for p in training.model.parameters())
    log(f"{config['name']}, {parameters} parameters, {phase}")
    log(f"{len(sampled.tokens)} sampled tokens, {len(real.tokens)} real ones")
    run(
        training,
        [(sampled, 1 - phase.real), (real, phase.real)],
        lambda: measure(training.model, real_text, processor, training.numerics).bits_a_character,
        arguments.seconds,
        log,
        arguments.every,
    )
    training.save(path)


if __name__ == "__main__":
    main()
