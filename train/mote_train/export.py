# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint of train.py to an image, or to llama2.c's legacy format.

Examples:
  python3 -m mote_train.export build/m/int4.pt --tokenizer tok1024.bin --weights int4 -o m.mote
  python3 -m mote_train.export build/m/float.pt --llama2c m.bin
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Callable

import numpy as np
import torch

from . import image, llama2c
from .model import MATRICES, NORM_BEFORE, Decoder, Weights
from .rounding import RoundedMatrix, round_matrix, round_to_units
from .shape import ModelShape
from .tokenizer import Piece, read_bin

Rounded = dict[tuple[str, int], RoundedMatrix]  # by name of a matrix and layer


def load_model(path: str | Path) -> Decoder:
    """The model of a checkpoint, on the CPU."""
    checkpoint = torch.load(path, map_location="cpu")
    model = Decoder(ModelShape.from_dict(checkpoint["shape"]))
    model.load_state_dict(checkpoint["model"])
    model.units = checkpoint.get("units")  # trained ones of int4
    return model


def to_checkpoint(model: Decoder) -> llama2c.Checkpoint:
    state = {name: t.detach().cpu().float().numpy() for name, t in model.state_dict().items()}
    units = getattr(model, "units", None)
    if units is not None:
        units = {name: u.cpu().float().numpy() for name, u in units.items()}
    return llama2c.Checkpoint(model.shape, state, units)


def fold(checkpoint: llama2c.Checkpoint) -> dict[tuple[str, int], np.ndarray]:
    """All matrices by name and layer; gains are folded in fp32, as the converter does."""
    shape, tensors = checkpoint.shape, checkpoint.tensors
    out = {("embedding", 0): tensors["embedding"]}
    if not shape.tied:
        out["classifier", 0] = tensors["classifier"]
    for layer in range(shape.n_layers):
        for name in MATRICES:
            weight = tensors[name][layer]
            if name in NORM_BEFORE:
                weight = weight * tensors[NORM_BEFORE[name]][layer][None, :]
            out[name, layer] = weight
    return out


def round_weights(checkpoint: llama2c.Checkpoint, format: str) -> Rounded:
    """As the converter does, or in the units that the checkpoint brings."""
    shape = checkpoint.shape
    out = {}
    for (name, layer), weight in fold(checkpoint).items():
        block = shape.block_of(name)
        if format == "int4" and shape.is_int8(name, layer):
            out[name, layer] = round_matrix(weight, "int8", block)
        elif format == "int4" and checkpoint.units is not None:
            units = checkpoint.units[name]
            units = units[layer] if name in MATRICES else units
            out[name, layer] = round_to_units(weight, units, block)
        else:
            out[name, layer] = round_matrix(weight, format, block)
    return out


def stack(shape: ModelShape, part: Callable[[str, int], np.ndarray], gains: np.ndarray) -> Weights:
    """Weights of part(name, layer)."""

    def tensor(name: str, layer: int = 0) -> torch.Tensor:
        return torch.from_numpy(part(name, layer))

    layers = range(shape.n_layers)
    stacks = {name: torch.stack([tensor(name, layer) for layer in layers]) for name in MATRICES}
    embedding = tensor("embedding")
    classifier = embedding if shape.tied else tensor("classifier")
    return Weights(embedding, classifier, torch.from_numpy(gains), stacks)


def rounded_weights(model: Decoder, format: str) -> Weights:
    """What the image of `format` holds, as real numbers for `Decoder.forward`."""
    checkpoint = to_checkpoint(model)
    rounded = round_weights(checkpoint, format)
    gains, exponent = image.round_gains(checkpoint.tensors["final_norm"])
    gains = gains.astype(np.float32) * np.float32(2.0**exponent)
    return stack(model.shape, lambda *key: rounded[key].real(), gains)


def int4_units(model: Decoder) -> dict[str, torch.Tensor]:
    """By name of a matrix what a unit of each int4 block is worth by plain rounding, (..., rows,
    blocks): where training begins. Those of matrices that stay int8 mean nothing."""
    out: dict[str, list[torch.Tensor]] = {}
    for (name, _), weight in fold(to_checkpoint(model)).items():
        block = model.shape.block_of(name)
        units = round_matrix(weight, "int4", block).units()[:, ::block]
        out.setdefault(name, []).append(torch.from_numpy(units))
    return {name: torch.stack(u) if name in MATRICES else u[0] for name, u in out.items()}


def make_image(
    checkpoint: llama2c.Checkpoint, pieces: list[Piece], format: str, metadata: dict[str, str]
) -> bytes:
    shape = checkpoint.shape
    if len(pieces) != shape.vocab_size:
        raise ValueError(f"the tokenizer has {len(pieces)} tokens, the model {shape.vocab_size}")
    sections = [
        image.config_section(shape),
        image.metadata_section(metadata),
        image.tokenizer_section(pieces),
        image.rope_section(shape),
        image.gains_section(checkpoint.tensors["final_norm"]),
    ]
    kinds = {"embedding": image.EMBEDDING, "classifier": image.CLASSIFIER}
    for (name, layer), matrix in round_weights(checkpoint, format).items():
        if name in kinds:
            sections.append(image.matrix_section(kinds[name], 0, matrix))
        else:
            kind = image.MATRIX_KINDS[name]
            sections.append(image.matrix_section(kind, layer + 1, matrix))
    for layer, attention in enumerate(shape.attention):
        if attention.kind != "causal":
            sections.append(image.attention_section(layer + 1, attention))
    return image.assemble(sections)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", help="a .pt file of train.py")
    parser.add_argument("--tokenizer", help="llama2.c's tokenizer.bin (for an image)")
    parser.add_argument("--weights", choices=["int8", "int4"], default="int8")
    parser.add_argument("-o", "--output", help="image to write")
    parser.add_argument("--llama2c", help="legacy llama2.c file to write")
    parser.add_argument("--name", help="name in the image (default: the output's)")
    parser.add_argument("--license", default="", help="licence in the image")
    parser.add_argument("--source", default="", help="source in the image")
    arguments = parser.parse_args()
    checkpoint = to_checkpoint(load_model(arguments.checkpoint))
    if arguments.llama2c:
        llama2c.write_legacy(arguments.llama2c, checkpoint)
    if arguments.output:
        if not arguments.tokenizer:
            parser.error("an image needs --tokenizer")
        metadata = {
            "name": arguments.name or Path(arguments.output).stem,
            "license": arguments.license,
            "source": arguments.source,
        }
        pieces = read_bin(arguments.tokenizer)
        data = make_image(checkpoint, pieces, arguments.weights, metadata)
        Path(arguments.output).write_bytes(data)
        print(f"{arguments.output}: {len(data)} bytes")


if __name__ == "__main__":
    main()
