#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the firmware of one board with byte-level tokenizers, and lets it answer with such a model.

Usage: byte_level_test.py FOLDER MOTE MODEL

FOLDER is build/ports, MOTE the program, MODEL stories260K.bin of llama2.c, which gets a tokenizer of
512 tokens of bytes. The answer must be that of this computer, and firmware without byte-level
tokenizers must refuse the model. Exit status 77 where MODEL or the emulator is absent.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOARD = "mps2_an386"
PROMPT = "Once upon the time, 12 hats\u00e9"


def byte_characters():
    """GPT-2's character of each byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + i) for i, byte in enumerate(others)
    }


def make_tokenizer():
    characters = byte_characters()
    vocabulary = {text: byte for byte, text in characters.items()}
    merges = []
    space = characters[ord(" ")]
    for word in ["the", "once", "upon", "time", "hat", space + "the", space + "a", space + "upon"]:
        for end in range(2, len(word) + 1):
            if word[:end] not in vocabulary:
                vocabulary[word[:end]] = len(vocabulary)
                merges.append([word[: end - 1], word[end - 1]])
    return {
        "model": {"type": "BPE", "vocab": vocabulary, "merges": merges},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
        "added_tokens": [{"id": 511, "content": "<|end|>", "special": True}],
    }


def run(*arguments, fails=False, **options):
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=500, **options)
    if (result.returncode != 0) != fails:
        sys.exit(f"{arguments} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return result


def build(folder, options):
    environment = os.environ | {"MOTE_PORTS_DIR": str(folder), "MOTE_PORTS_OPTIONS": options}
    run(str(ROOT / "scripts/build_ports.sh"), BOARD, env=environment)


def main():
    folder, mote, model = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    if not os.path.exists(model) or not shutil.which("qemu-system-arm"):
        print("skipped: no model, or no emulator")
        sys.exit(77)
    build(folder / "byte_level", "-DMOTE_BYTE_LEVEL=ON")
    with tempfile.TemporaryDirectory() as temporary:
        tokenizer = os.path.join(temporary, "tokenizer.json")
        image = os.path.join(temporary, "byte_level.mote")
        with open(tokenizer, "w", encoding="utf-8") as file:
            json.dump(make_tokenizer(), file)
        run(mote, "convert", model, "--tokenizer", tokenizer, "-o", image, "-q")
        expected = run(mote, "run", "-m", image, "-p", PROMPT, "-n", "8", "--temp", "0", "-c", "64")
        board = [mote, "board", "--board", BOARD, "-m", image, "-p", PROMPT, "-n", "8", "-c", "64"]
        found = run(*board, "--firmware-dir", str(folder / "byte_level"))
        if not found.stdout.startswith(expected.stdout):  # a table of memory follows
            sys.exit(f"expected {expected.stdout!r}\n   found {found.stdout!r}")
        refused = run(*board, "--firmware-dir", str(folder), fails=True)
        if "byte-level BPE" not in refused.stderr + refused.stdout:
            sys.exit(f"not refused by name: {refused.stdout}{refused.stderr}")
    print("the board answers as this computer does, and without the option refuses")


if __name__ == "__main__":
    main()
