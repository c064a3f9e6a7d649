#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the instructions of one token go on an emulated board, by function.

Usage: profile_board.py FOLDER MODEL BOARD POSITION [--parts] [--lines N] [--seed N] [--bench]

FOLDER is build/ports (scripts/build_ports.sh), MODEL a whole image, BOARD one of boards.json that
QEMU runs, POSITION that of the token in a text that the model writes without a prompt. Needs g++ for
bench/board_profile.cpp, the plugin of QEMU that counts. Counts are those of the program alone: the
same on every run.
--parts adds functions up to the parts of docs/BENCHMARKS.md.
--lines N adds the N lines of source that most instructions belong to.
--bench takes the tokens of the command `bench` of one_chip, for positions that no text reaches.
--seed N draws the tokens with that seed rather than take the best each time: for a longer text.
"""

import bisect
import collections
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "ports"))
# pylint: disable=wrong-import-position
from boards import Board, BoardError  # noqa: E402
from check_port_sizes import find_program  # noqa: E402

# A pass of the model begins with this function.
START = "mote::Transformer::decode("
# The part of a function is that of the first of these words in its name.
PARTS = (
    ("matrix times vector", ("matvec", "multiply_", "::multiply(", "write_rows", "prepare_part",
                             "align_scales", "round_sum", "::widen", "rv32::", "write_row",
                             "narrowing_lift", "add_part", "pass_of", "::int8_", "::pairs_",
                             "keep_sums", "round_all", "add_chunks")),
    ("attention", ("attend_segments", "dot_rows", "add_rows", "Attention", "attention", "score_",
                   "contribution", "WeightTotals", "KvRows", "reciprocal", "dot_features",
                   "::add_row(", "make_features", "feature(", "weigh_", "scale_rows",
                   "scale_segment", "add_segment", "add_values", "dot_two_by_two",
                   "scale_and_add", "_features", "scale_sum", "add_token", "attend_pair", "scale_two", "weigh_two",
                   "score<", "extend", "clear_lanes", "decay_and_add", "dot_two(", "dot_pair", "add_row")),
    ("quantisation of blocks", ("quantize", "encode_scale", "apply_gains", "choose_steps",
                                "round_block", "largest_", "round_lanes", "round_s", "round_low")),
    ("rotation and transform", ("rotate", "sine", "hadamard")),
    ("SwiGLU", ("swiglu", "silu", "sigmoid", "compute_hidden")),
    ("norm", ("norm_factor", "integer_sqrt")),
    ("candidates and sampling", ("andidate", "ampler", "visit_logits")),
)


def build_plugin(folder):
    plugin = os.path.join(folder, "board_profile.so")
    subprocess.run(["g++", "-std=c++20", "-O2", "-shared", "-fPIC", "-fvisibility=hidden",
                    os.path.join(ROOT, "bench", "board_profile.cpp"), "-o", plugin], check=True)
    return plugin


def symbols_of(prefix, elf):
    """(address, end, name) of the functions, by address."""
    lines = subprocess.run([prefix + "nm", "-C", "-S", elf], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    found = {}
    for line in lines:
        words = line.split(" ", 3)
        if len(words) == 4 and words[2] in "TtWw":
            begin = int(words[0], 16) & ~1
            found[begin] = (begin, begin + int(words[1], 16), words[3])
    return sorted(found.values())


def count_token(folder, name, model, position, sampling, plugin, start, out):
    """Lets the board write up to the position, or without `sampling` only compute; {address:
    count}."""
    call, command = position + 1, f"run n={position + 2} context={position + 3} {sampling} --"
    if sampling is None:  # a pass of a prompt comes first
        call, command = position + 2, f"bench n={position + 1}"
    options = f"{plugin},start={start},call={call},out={out}"
    with Board(folder, name, "one_chip", model, extra=["-plugin", options]) as board:
        board.read_line(30)
        board.write(f"!{command}\n")
        while True:
            line = board.read_line(600)
            if '"error"' in line:
                raise BoardError(line)
            if '"done":true' in line:
                break
    if not os.path.exists(out):
        raise BoardError(f"the text ended before position {position}")
    counts = collections.Counter()
    with open(out, encoding="ascii") as file:
        for line in file:
            address, count = line.split()
            counts[int(address, 16)] += int(count)
    return counts


def by_function(counts, symbols):
    starts = [symbol[0] for symbol in symbols]
    result = collections.Counter()
    for address, count in counts.items():
        at = bisect.bisect_right(starts, address) - 1
        inside = at >= 0 and address < symbols[at][1]
        result[symbols[at][2] if inside else symbols[at][2] + " (behind)"] += count
    return result


def part_of(function):
    for part, words in PARTS:
        if any(word in function for word in words):
            return part
    return "all else"


def by_line(prefix, elf, counts):
    addresses = list(counts)
    text = "\n".join(hex(address) for address in addresses)
    lines = subprocess.run([prefix + "addr2line", "-e", elf], input=text, capture_output=True,
                           text=True, check=True).stdout.splitlines()
    result = collections.Counter()
    for address, line in zip(addresses, lines):
        result["/".join(line.split(" ")[0].split("/")[-2:])] += counts[address]
    return result


def print_rows(rows, total, limit):
    for name, count in rows.most_common(limit):
        print(f"{count:>10} {100 * count / total:5.1f} %  {name[:90]}")


def take_number(words, name, otherwise):
    """The value of an option, which is taken out."""
    if name not in words:
        return otherwise
    at = words.index(name)
    value = int(words[at + 1])
    del words[at:at + 2]
    return value


def main():
    words = sys.argv[1:]
    lines = take_number(words, "--lines", 0)
    seed = take_number(words, "--seed", None)
    sampling = "temperature=0" if seed is None else f"temperature=1 seed={seed}"
    parts = "--parts" in words
    if "--bench" in words:
        sampling = None
    words = [word for word in words if word not in ("--parts", "--bench")]
    if len(words) != 4:
        sys.exit(__doc__)
    folder, model, name, position = words[0], words[1], words[2], int(words[3])
    try:
        elf, prefix = find_program(folder, name, "one_chip")
        symbols = symbols_of(prefix, elf)
        start = [symbol[0] for symbol in symbols if symbol[2].startswith(START)]
        if not start:
            raise BoardError(f"{elf} has no {START}")
        with tempfile.TemporaryDirectory() as work:
            counts = count_token(folder, name, model, position, sampling, build_plugin(work),
                                 start[0], os.path.join(work, "counts"))
    except BoardError as error:
        sys.exit(str(error))
    total = sum(counts.values())
    print(f"{total:>10}          {name}, {os.path.basename(model)}, position {position}")
    functions = by_function(counts, symbols)
    if parts:
        added = collections.Counter()
        for function, count in functions.items():
            added[part_of(function)] += count
        print_rows(added, total, 20)
    else:
        print_rows(functions, total, 25)
    if lines:
        print_rows(by_line(prefix, elf, counts), total, lines)


if __name__ == "__main__":
    main()
