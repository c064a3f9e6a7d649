#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves the functions of one emulated board with the program board_test.

Usage: board_test.py FOLDER BOARD

FOLDER is build/ports. Exit status 77 where the board's emulator is absent: it says what to install.
"""

import os
import random
import sys
import tempfile
import time

from boards import Board, BoardError, NoEmulator, exchange, load_catalogue

LINK_BYTES = 20000
SLEEPS_US = 10 * 4000


def expect(condition, text):
    if not condition:
        raise BoardError(text)


def read_report(board):
    """The lines up to `ready`, as a list of values by name."""
    report = {}
    while (line := board.read_line(20)) != "ready":
        name, value = line.split(" ", 1)
        report.setdefault(name, []).append(value)
    return report


def check_report(board, report, links, entry):
    expect(report["board"] == [board.name], f"calls itself {report['board']}")
    expect(int(report["links"][0]) >= links, f"has {report['links'][0]} of {links} links")
    expect(report["image"] == [str(entry["image_bytes"])], f"image region {report['image']}")
    expect(report["image_first"] == [str(ord("M"))], "the image is not where it is looked for")
    expect(report["identity"] == ["77"], f"its number is {report['identity']}, not 77")
    stack, painted = int(report["stack"][0]), int(report["painted"][0])
    expect(painted > stack // 2, f"{painted} of {stack} bytes of the stack are painted")
    expect(report["filled"] == report["arena"], "the arena does not keep what is written to it")
    expect(len(set(report["sum"])) == 1, "computes different sums")


def check_count(report, entry):
    # Counters whose ticks are no whole instructions are rounded at both ends.
    tolerance = 0 if entry["isa"] == "rv32imc" or "lockstep" in entry else 2
    work = [int(value) for value in report["work"]]
    expect(max(work) - min(work) <= tolerance, f"{report['unit'][0]} differ: {work}")
    expected_unit = "cycles" if "lockstep" in entry else "instructions"
    expect(report["unit"] == [expected_unit], f"counts {report['unit'][0]}")


def check_console(board):
    for text in ("a", "x" * 500, "quick brown fox"):
        board.write(text + "\n")
        line = board.read_line(10)
        expect(line == text, f"the console gives back {line!r}")


def check_links(board):
    rates = []
    for number, link in enumerate(board.links):
        data = random.Random(number).randbytes(LINK_BYTES)
        begin = time.monotonic()
        back = exchange(link, data, 30)
        rates.append(round(LINK_BYTES / (time.monotonic() - begin) / 1000))
        expect(back == bytes(byte ^ 255 for byte in data), f"link {number} changes bytes")
    return rates


def run_board(folder, name, image):
    entry = load_catalogue(folder)[name]
    for counted in (False, True):
        links = entry.get("max_links", len(entry.get("links", [])))
        with Board(folder, name, "board_test", image, links, counted, seed=77) as board:
            report = read_report(board)
            check_report(board, report, links, entry)
            if counted:
                check_count(report, entry)
            slept_us = int(report["slept_us"][0])
            expect(SLEEPS_US // 2 <= slept_us, f"ten sleeps take {slept_us} us")
            check_console(board)
            rates = check_links(board)
            status = 3 if counted else 0
            board.write(f"exit {status}\n")
            expect(board.wait(10) == status, f"exit status {board.process.returncode}")
            print(f"{name}: {report['work']} {report['unit'][0]}, ten sleeps {slept_us} us,"
                  f" links {rates} kB/s, stack {report['stack'][0]}, arena {report['arena'][0]}")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder, name = sys.argv[1:]
    with tempfile.NamedTemporaryFile(suffix=".mote") as image:
        image.write(b"MOTE" + os.urandom(60))
        image.flush()
        try:
            run_board(folder, name, image.name)
        except NoEmulator as error:
            print(f"SKIPPED: {error}")
            sys.exit(77)
        except BoardError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
