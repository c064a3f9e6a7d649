#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one_chip on emulated boards and compares tokens, text and signature with this computer's.

Usage: run_one_chip.py [--signature] FOLDER MOTE MODEL [BOARD...]

FOLDER is build/ports, MOTE the program, MODEL a whole image, or stories260K.bin of llama2.c with its
tok512.bin beside it, which is made one. Without boards, all of boards.json that were built, but posix.
Boards whose emulator is absent are skipped and named. Exit status 77 where MODEL is absent.
Boards with the kernels armv7em get MODEL as `mote pack` writes it, one of them as it is too.
--signature compares the signature alone, for models whose answers take long.
"""

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile

from boards import Board, BoardError, load_catalogue

PROMPT = "Once upon a time"
TOKENS = 24
SAMPLING = {"temperature": "0.9", "top_k": "40", "top_p": "0.95", "min_p": "0.05", "seed": "11"}
# Boards that count to the instruction or the cycle run twice and must count the same. (The counter
# of the MPS2 boards is finer than an instruction by a factor that is no whole number: it is exact to
# a few instructions.)
REPEATED = {"riscv32_virt", "riscv32_sifive_u", "rp2040"}
# Those with the kernels armv7em, for which an image is packed (docs/PORTS.md).
PAIRED = {"mps2_an386", "mps2_an500", "mps2_an505"}
ALSO_PLAIN = {"mps2_an386"}
CONTEXT = 256
RAM_BYTES = {"riscv32_virt": 400 * 1024}


def ask(board, command, timeout=120):
    """The objects of the answer, the last of which says that it is complete."""
    board.write("!" + command + "\n")
    answer = []
    while not answer or "done" not in answer[-1]:
        line = board.read_line(timeout)
        if line.startswith("{"):
            answer.append(json.loads(line))
            if "error" in answer[-1]:
                raise BoardError(f"{board.name}: {command}: {line}")
    return answer


def text_of(answer):
    return "".join(part["text"] for part in answer if "text" in part)


def tokens_of(answer):
    return [part["token"] for part in answer if "token" in part]


def run_command(options):
    words = [f"{name}={value}" for name, value in options.items()]
    return f"run n={TOKENS} context={CONTEXT} {' '.join(words)} -- {PROMPT}"


COMMANDS = {"greedy": run_command({"temperature": "0"}), "signature": "signature",
            "sampled": run_command(SAMPLING), "bench": "bench", "info": "info"}


def run_board(folder, name, image, kinds=tuple(COMMANDS)):
    """The answers of the board by kind."""
    with Board(folder, name, "one_chip", image) as board:
        board.read_line(30)  # its greeting
        return {kind: ask(board, COMMANDS[kind]) for kind in kinds}


def run_host(mote, image):
    def call(*arguments):
        done = subprocess.run([mote, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BoardError(f"{mote} {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    common = ["run", "-m", image, "-p", PROMPT, "-n", str(TOKENS), "-c", str(CONTEXT)]
    sampled = ["--temp", SAMPLING["temperature"], "--top-k", SAMPLING["top_k"], "--top-p",
               SAMPLING["top_p"], "--min-p", SAMPLING["min_p"], "--seed", SAMPLING["seed"]]
    return {"greedy": call(*common, "--temp", "0"), "sampled": call(*common, *sampled),
            "signature": call("signature", "-m", image).split()[0]}


def compare(name, told, host):
    for kind in ("greedy", "sampled"):
        text = PROMPT + text_of(told[kind]) + "\n"
        if text != host[kind]:
            raise BoardError(f"{name}: {kind}: {text!r}, not {host[kind]!r}")
    compare_signature(name, told, host)


def compare_signature(name, told, host):
    signature = told["signature"][-1]["signature"]
    if signature != host["signature"]:
        raise BoardError(f"{name}: signature {signature}, not {host['signature']}")


def check_repeated(folder, name, image, told):
    kinds = ("greedy", "signature")
    again = run_board(folder, name, image, kinds)
    for kind in kinds:
        first, second = (answer[kind][-1]["work"] for answer in (told, again))
        if first != second:
            raise BoardError(f"{name}: {kind} takes {first}, and {second} the next time")


def check_memory(name, told):
    info = told["info"][-1]
    used = info["arena_bytes"] + info["program_bytes"] + info["stack_size"]
    if name in RAM_BYTES and used > RAM_BYTES[name]:
        raise BoardError(f"{name}: {used} bytes of RAM at {CONTEXT} positions, "
                         f"not {RAM_BYTES[name]}")
    if info["stack_bytes"] >= info["stack_size"]:
        raise BoardError(f"{name}: the stack of {info['stack_size']} bytes was used up")


def check_board(folder, name, image, host):
    """A line for people, and the tokens."""
    told = run_board(folder, name, image)
    compare(name, told, host)
    check_memory(name, told)
    if name in REPEATED:
        check_repeated(folder, name, image, told)
    greedy, info = told["greedy"][-1], told["info"][-1]
    at_64 = [part["work"] for part in told["bench"]
             if part.get("pass") == "decode" and part.get("position") == 64]
    line = (f"{name:17} {greedy['work'] // greedy['tokens']:>9} {greedy['unit']} a token, "
            f"{at_64[0] if at_64 else 0:>9} at position 64, arena {greedy['arena_bytes']}, "
            f"stack {info['stack_bytes']}")
    return line + (", repeated" if name in REPEATED else ""), tokens_of(told["greedy"])


def is_present(entry):
    return shutil.which(entry.get("lockstep", entry.get("emulator"))[0]) is not None


def make_image(mote, model, folder):
    """An image of `model`, in `folder` where it has to be made."""
    if not model.endswith(".bin"):
        return model
    image = os.path.join(folder, "model.mote")
    tokenizer = os.path.join(os.path.dirname(model), "tok512.bin")
    subprocess.run([mote, "convert", model, "--tokenizer", tokenizer, "-o", image, "--quiet"],
                   check=True)
    return image


def pack_image(mote, image, folder):
    """The same with paired lanes, in `folder`."""
    packed = os.path.join(folder, "packed.mote")
    subprocess.run([mote, "pack", "-m", image, "-o", packed, "--quiet"], check=True)
    return packed


def runs_of(names, image, packed):
    """(board, image, what to say of it), the slowest first, so that it does not run alone at the
    end."""
    runs = [(name, packed, ", paired lanes") if name in PAIRED else (name, image, "")
            for name in names]
    runs += [(name, image, ", plain lanes") for name in names if name in ALSO_PLAIN]
    return sorted(runs, key=lambda run: run[0] != "rp2040")


def check_signature(folder, name, image, host):
    told = run_board(folder, name, image, ("signature", "info"))
    compare_signature(name, told, host)
    check_memory(name, told)
    return f"{name:17} {told['signature'][-1]['work']} {told['signature'][-1]['unit']}", None


def check_boards(folder, runs, mote, image, check):
    host = run_host(mote, image)
    print(f"signature {host['signature']}")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda run: check(folder, run[0], run[1], host), runs))
    for (line, tokens), (_, _, lanes) in zip(results, runs):
        print(line + lanes)
        if tokens != results[0][1]:
            raise BoardError(f"tokens differ: {tokens} and {results[0][1]}")


def main():
    words = [word for word in sys.argv[1:] if word != "--signature"]
    if len(words) < 3:
        sys.exit(__doc__)
    check = check_board if len(words) == len(sys.argv) - 1 else check_signature
    folder, mote, model, *names = words
    if not os.path.exists(model):
        print(f"SKIPPED: no model {model}")
        sys.exit(77)
    try:
        catalogue = load_catalogue(folder)
        names = names or [name for name in catalogue if name != "posix"]
        present = [name for name in names if is_present(catalogue[name])]
        absent = [name for name in names if name not in present]
        if absent and os.environ.get("MOTE_REQUIRE_PORTS") == "1":
            raise BoardError(f"no emulator for {', '.join(absent)}")
        with tempfile.TemporaryDirectory() as work:
            image = make_image(mote, model, work)
            runs = runs_of(present, image, pack_image(mote, image, work))
            check_boards(folder, runs, mote, image, check)
    except BoardError as error:
        sys.exit(str(error))
    if len(present) < len(names):
        print(f"SKIPPED, for want of an emulator: {sorted(set(names) - set(present))}")


if __name__ == "__main__":
    main()
