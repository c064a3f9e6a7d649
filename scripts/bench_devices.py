#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of scripts/bench_devices.sh, which tells how to use it."""

import argparse
import json
import os
import shutil
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f"{ROOT}/tests/ports")
from boards import Board, BoardError, load_catalogue  # noqa: E402
from run_one_chip import ask, is_present, make_image  # noqa: E402

TOKEN_POSITION = 64
# A board answers within this many seconds of a busy computer.
PATIENCE_S = 600

# Instructions for a multiply-accumulate that a row cannot do without, by kernels and operation:
# those for lanes, and those for a block. docs/BENCHMARKS.md derives them.
FLOORS = {
    ("armv7em", "matvec int8"): (17 / 16, 1),
    ("armv7em", "matvec int4"): (8.5 / 8, 3),
    ("armv7em", "matvec int8_pairs"): (13 / 16, 1),
    ("mve", "matvec int8"): (2 / 16, 2 / 4),
    ("mve", "matvec int4"): (5 / 32, 4 / 4),
    ("rv32", "matvec int8"): (10 / 4, 2),
    ("rv32", "matvec int4"): (16 / 8, 6),
}


def floor_of(kernels, row):
    lanes, block = FLOORS.get((kernels, row["operation"]), (0, 0))
    return lanes + block / row["block"] if lanes else None


def run_kernels(folder, name, image):
    """What the program kernel_bench prints: its head, and a row for each operation."""
    with Board(folder, name, "kernel_bench", image) as board:
        head = json.loads(board.read_line(PATIENCE_S))
        rows = []
        while not (row := json.loads(board.read_line(PATIENCE_S))).get("done"):
            rows.append(row)
        if head["wrong_rows"] != 0:
            raise BoardError(f"{name}: {head['wrong_rows']} rows differ from the reference")
        if head["wrong_heads"] != 0:
            raise BoardError(f"{name}: {head['wrong_heads']} heads differ from plain arithmetic")
        if head["wrong_lanes"] != 0:
            raise BoardError(f"{name}: {head['wrong_lanes']} blocks or sums differ from it")
        status = board.wait(PATIENCE_S) if "lockstep" not in load_catalogue(folder)[name] else 0
        if status != 0:
            raise BoardError(f"{name}: kernel_bench ended with status {status}")
    return head, rows


def run_token(folder, name, image):
    """The work of one token."""
    with Board(folder, name, "one_chip", image) as board:
        board.read_line(30)
        told = ask(board, f"bench n={TOKEN_POSITION}", PATIENCE_S)
    return next(part["work"] for part in told
                if part.get("pass") == "decode" and part.get("position") == TOKEN_POSITION)


def shape_of(row):
    block = f"/{row['block']}" if row["block"] and row["operation"] != "attention" else ""
    return f"{row['rows']} x {row['columns']}{block}"


def print_row(*cells):
    widths = (12, 12, 14, 11, 8, 9, 6, 6)
    print("  ".join(str(cell).ljust(width) if i < 3 else str(cell).rjust(width)
                    for i, (cell, width) in enumerate(zip(cells, widths))).rstrip())


def print_board(name, head, rows):
    for row in rows:
        each = row["work"] / row["items"]
        floor = floor_of(head["kernels"], row)
        rate = f"{row['bytes'] / row['work']:.2f}" if row["bytes"] else ""
        print_row(name, row["operation"], shape_of(row), row["work"], f"{each:.3f}", rate,
                  f"{floor:.3f}" if floor else "", f"{100 * floor / each:.0f} %" if floor else "")


def read_arguments():
    parser = argparse.ArgumentParser(prog="bench_devices.sh")
    parser.add_argument("folder")
    parser.add_argument("--model", default=f"{ROOT}/../shared/models/stories260K.bin",
                        help="none for no row of a whole token")
    parser.add_argument("--mote", default=f"{ROOT}/build/release/host/mote")
    parser.add_argument("boards", nargs="*")
    return parser.parse_intermixed_args()


def main():
    arguments = read_arguments()
    folder = arguments.folder
    if not os.path.exists(f"{folder}/boards.json"):
        sys.exit(f"bench_devices: {folder} has no boards.json: scripts/build_ports.sh")
    catalogue = load_catalogue(folder)
    unknown = [name for name in arguments.boards if name not in catalogue]
    if unknown:
        sys.exit(f"bench_devices: no board {', '.join(unknown)}; there are {', '.join(catalogue)}")
    names = arguments.boards or [name for name in catalogue if is_present(catalogue[name]) and
                                 os.path.exists(f"{folder}/{name}/kernel_bench.elf")]
    if not names:
        sys.exit(f"bench_devices: no board is built in {folder}: scripts/build_ports.sh")
    absent = [name for name in arguments.boards if not is_present(catalogue[name])]
    if absent:
        print(f"SKIPPED, for want of an emulator: {', '.join(absent)}")
        sys.exit(77)
    has_model = os.path.exists(arguments.model) and shutil.which(arguments.mote) is not None
    if not has_model and arguments.model != "none":
        print(f"without the row `token`: {arguments.model} or {arguments.mote} is absent")
    with tempfile.TemporaryDirectory() as work:
        blank = f"{work}/blank"
        with open(blank, "wb") as file:
            file.write(bytes(64))
        image = make_image(arguments.mote, arguments.model, work) if has_model else None
        for name in names:
            head, rows = run_kernels(folder, name, blank)
            print(f"\n{name}: {catalogue[name]['title']}, kernels {head['kernels']}, "
                  f"{head['unit']}; all bits are those of the reference")
            print_row("board", "operation", "shape", head["unit"], "per item", "bytes per", "floor",
                      "share")
            print_board(name, head, rows)
            if image:
                print_row(name, "token", f"position {TOKEN_POSITION}",
                          run_token(folder, name, image), "", "", "", "")


if __name__ == "__main__":
    try:
        main()
    except BoardError as error:
        sys.exit(f"bench_devices: {error}")
