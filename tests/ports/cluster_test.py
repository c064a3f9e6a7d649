#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that emulated boards which share a model answer as one does.

Usage: cluster_test.py MOTE FOLDER CASE

MOTE is the program mote, FOLDER build/ports, CASE one of those below or `all`. Exit status 77
where the firmware is not built or an emulator is absent; with MOTE_REQUIRE_PORTS=1 in the
environment that is a failure.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STORIES = os.path.join(ROOT, "..", "shared", "models", "stories260K.bin")
TOKENIZER = os.path.join(ROOT, "..", "shared", "models", "tok512.bin")
OWN_MODEL = os.path.join(ROOT, "models", "stories-260k.mote")
PROMPT = "Once upon a time"
TIMEOUT_S = 100
CONTEXT = 256
CHIPS = 4
# Of the RAM of one chip alone, at most, where the model divides by four.
RAM_SHARE = 0.40

# Boards, tokens, and further options of `mote board`.
CASES = {
    "ring_mps2_an386": ("mps2_an386", 12, []),
    "ring_riscv32_sifive_u": ("riscv32_sifive_u", 12, []),
    "ring_mixed": ("mps2_an386,riscv32_sifive_u,mps2_an505,riscv32_virt", 12, []),
    "ring_rp2040": ("rp2040", 8, []),
    "star": ("mps2_an386,riscv32_sifive_u", 8, ["--topology", "star"]),
    "kill": ("mps2_an386", 20, ["--kill", "2@6"]),
    "kill_mixed": ("riscv32_sifive_u,mps2_an386", 16, ["--kill", "1@4,2@10"]),
    "bit_errors": ("mps2_an386", 12, ["--bit-errors", "1e-4"]),
    "bit_errors_rp2040": ("rp2040", 4, ["--bit-errors", "1e-4"]),
}


class Failure(Exception):
    """What went wrong, for people."""


def expect(condition, text):
    if not condition:
        raise Failure(text)


class Missing(Exception):
    """Firmware that is not built, or an emulator that is not installed."""


class Runner:
    def __init__(self, mote, folder, model, divides):
        self.mote = mote
        self.folder = folder
        self.model = model
        self.divides = divides
        catalogue = os.path.join(folder, "boards.json")
        if not os.path.exists(catalogue):
            raise Missing(f"{catalogue} is missing: scripts/build_ports.sh makes it")
        with open(catalogue, encoding="utf-8") as file:
            self.boards = json.load(file)

    def require(self, names):
        for name in names.split(","):
            entry = self.boards[name]
            program = (entry.get("emulator") or entry["lockstep"])[0]
            if shutil.which(program) is None:
                raise Missing(f"{program} is not installed: scripts/install.sh")
            if not os.path.exists(os.path.join(self.folder, name, "cluster_node.elf")):
                raise Missing(f"{name} is not built: scripts/build_ports.sh {name}")

    def answer(self, boards, tokens, options):
        """What `mote board --check --json` says; it compares tokens with the host's, and images,
        weights and arenas with the plan's."""
        command = [self.mote, "board", "--board", boards, "--firmware-dir", self.folder, "-m",
                   self.model, "-p", PROMPT, "-n", str(tokens), "-c", str(CONTEXT), "--check",
                   "--json", *options]
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
        expect(done.returncode == 0, done.stderr.decode(errors="replace") or str(done.returncode))
        return json.loads(done.stdout)

    def run(self, case):
        boards, tokens, options = CASES[case]
        self.require(boards)
        begin = time.monotonic()
        one = self.answer(boards.split(",")[0], tokens, [])
        cluster = self.answer(boards, tokens, ["--chips", str(CHIPS), *options])
        expect(cluster["tokens"] == one["tokens"], "the tokens are not those of one chip")
        expect(cluster["text"] == one["text"], "the text is not that of one chip")
        # The hub of a star has a link more, and its buffers.
        share = self.check_ram(cluster, one, RAM_SHARE if "star" not in options else 1)
        if "--kill" in options:
            check_kills(cluster, options[-1])
        line = check_errors(cluster) if "--bit-errors" in options else ""
        print(f"{case}: {len(cluster['tokens'])} tokens, each chip at most {100 * share:.1f} % of"
              f" the RAM of one, {time.monotonic() - begin:.1f} s{line}")

    def check_ram(self, cluster, one, limit):
        """The largest share of the RAM of one chip alone."""
        most = max(ram_bytes(chip) for chip in cluster["chips"])
        share = most / ram_bytes(one["chips"][0])
        is_small = share <= limit or not self.divides
        expect(is_small, f"a chip has {100 * share:.1f} % of the RAM of one alone")
        return share


def ram_bytes(chip):
    info = chip["info"]
    for part in ("arena_bytes", "program_bytes", "stack_bytes"):
        expect(info[part] > 0, f"{chip['board']} does not say its {part}")
    expect(info["stack_bytes"] < info["stack_size"], f"{chip['board']} has filled its stack")
    return info["arena_bytes"] + info["program_bytes"] + info["stack_bytes"]


def check_kills(cluster, kills):
    expect(cluster["done"]["sessions"] > 1, "no session was opened anew")
    for kill in kills.split(","):
        chip = int(kill.split("@")[0])
        expect(cluster["chips"][chip]["starts"] == 2, f"chip {chip} was not started again")


def check_errors(cluster):
    sums = {"damaged": 0, "repeated": 0}
    for chip in cluster["chips"]:
        for link in chip["links"]["links"]:
            for name in sums:
                sums[name] += link[name]
    expect(sums["damaged"] > 0, "no frame came damaged")
    expect(sums["repeated"] > 0, "nothing was sent again")
    return f", {sums['damaged']} damaged frames, {sums['repeated']} payload bytes sent again"


def run_cases(mote, folder, cases):
    with tempfile.TemporaryDirectory() as scratch:
        model = OWN_MODEL
        divides = os.path.exists(STORIES)
        if divides:
            model = os.path.join(scratch, "stories260K.mote")
            subprocess.run([mote, "convert", STORIES, "--tokenizer", TOKENIZER, "--block", "16",
                            "-o", model, "--quiet"], check=True)
        try:
            runner = Runner(mote, folder, model, divides)
            for case in cases:
                runner.run(case)
        except Failure as failure:
            sys.exit(f"{case}: {failure}")
        except subprocess.TimeoutExpired:
            sys.exit(f"{case}: not done within {TIMEOUT_S} s")
        except Missing as missing:
            print(missing)
            sys.exit(1 if os.environ.get("MOTE_REQUIRE_PORTS") == "1" else 77)


def main():
    if len(sys.argv) != 4 or sys.argv[3] not in [*CASES, "all"]:
        sys.exit(__doc__ + "\nCases: " + ", ".join(CASES))
    mote, folder, case = sys.argv[1:]
    run_cases(mote, folder, CASES if case == "all" else [case])


if __name__ == "__main__":
    main()
