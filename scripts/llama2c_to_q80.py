#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a legacy fp32 file of llama2.c as its version 2 (int8 groups), which runq.c reads.

Usage: scripts/llama2c_to_q80.py [--pad] SRC DST

The group is the largest of 64, 32, 16, ... that divides dim and hidden_dim, because runq.c cuts
every row into whole groups. --pad first fills hidden_dim with zeros to a multiple of 64: the same
model, in larger groups. Prints the group.
"""

import array
import struct
import sys

HEADER = struct.Struct("<7i")  # dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len
VERSION2_HEADER_BYTES = 256
VERSION2_MAGIC = 0x616B3432
LARGEST_GROUP = 64


def single(value):
    """The nearest fp32 number, so that lanes are rounded against the scale that is stored."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def read_legacy(path):
    """The header's seven numbers and each tensor by name, all its layers."""
    with open(path, "rb") as file:
        data = file.read()
    config = HEADER.unpack_from(data)
    dim, hidden, layers, heads, kv_heads, vocab, context = config
    if struct.unpack_from("<I", data)[0] == VERSION2_MAGIC or min(dim, hidden, layers, heads) <= 0:
        sys.exit(f"{path}: not a legacy llama2.c model")
    vocab_rows = abs(vocab)
    kv_dim = dim * kv_heads // heads
    sizes = {
        "embedding": vocab_rows * dim,
        "attention_norm": layers * dim,
        "wq": layers * dim * dim,
        "wk": layers * kv_dim * dim,
        "wv": layers * kv_dim * dim,
        "wo": layers * dim * dim,
        "ffn_norm": layers * dim,
        "w1": layers * hidden * dim,
        "w2": layers * dim * hidden,
        "w3": layers * hidden * dim,
        "final_norm": dim,
        "dead_rope_tables": context * (dim // heads),
        "classifier": vocab_rows * dim if vocab < 0 else 0,
    }
    needed = HEADER.size + 4 * sum(sizes.values())
    if len(data) != needed:
        sys.exit(f"{path}: the file has {len(data)} bytes, its header demands {needed}")
    tensors = {}
    offset = HEADER.size
    for name, size in sizes.items():
        tensors[name] = array.array("f", data[offset : offset + 4 * size])
        offset += 4 * size
    return config, tensors


def pad_hidden(config, tensors):
    """Adds hidden lanes that are always zero, up to a multiple of the largest group."""
    dim, hidden, layers = config[:3]
    padding = -hidden % LARGEST_GROUP
    for name, block, zeros in (
        ("w1", hidden * dim, padding * dim),  # rows
        ("w3", hidden * dim, padding * dim),
        ("w2", hidden, padding),  # columns
    ):
        padded = array.array("f")
        for first in range(0, len(tensors[name]), block):
            padded.extend(tensors[name][first : first + block])
            padded.extend([0.0] * zeros)
        tensors[name] = padded
    return (dim, hidden + padding, layers, *config[3:])


def quantize(values, group):
    """int8 lanes, then one fp32 scale a group: the largest magnitude is 127."""
    lanes = bytearray()
    scales = array.array("f")
    for first in range(0, len(values), group):
        part = values[first : first + group]
        scale = single(max(map(abs, part)) / 127)
        scales.append(scale)
        for value in part:
            lane = round(value / scale) if scale else 0
            lanes.append(max(-127, min(127, lane)) & 255)
    return bytes(lanes) + scales.tobytes()


def write_version2(path, config, tensors):
    dim, hidden, layers, heads, kv_heads, vocab, context = config
    group = LARGEST_GROUP
    while dim % group or hidden % group:
        group //= 2
    shared = not tensors["classifier"]
    header = struct.pack("<Ii", VERSION2_MAGIC, 2)
    header += HEADER.pack(dim, hidden, layers, heads, kv_heads, abs(vocab), context)
    header += struct.pack("<Bi", shared, group)
    with open(path, "wb") as file:
        file.write(header.ljust(VERSION2_HEADER_BYTES, b"\0"))
        for name in ("attention_norm", "ffn_norm", "final_norm"):
            file.write(tensors[name].tobytes())
        for name in ("embedding", "wq", "wk", "wv", "wo", "w1", "w2", "w3", "classifier"):
            values = tensors[name]
            # runq.c reads one layer's lanes, then that layer's scales.
            size = len(values) // (1 if name in ("embedding", "classifier") else layers)
            for first in range(0, len(values), size or 1):
                file.write(quantize(values[first : first + size], group))
    return group


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--pad"]
    if len(arguments) != 2 or sys.byteorder != "little":
        sys.exit(__doc__)
    config, tensors = read_legacy(arguments[0])
    if "--pad" in sys.argv:
        config = pad_hidden(config, tensors)
    print(write_version2(arguments[1], config, tensors))


if __name__ == "__main__":
    main()
