#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the template of a port and lets it answer under QEMU, since a porter begins with it.

Usage: template_test.py   (needs cmake, ninja and arm-none-eabi-g++)

Exit status 77 where qemu-system-arm is absent.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "models/stories-260k.mote"
SECONDS = 120


def build(folder: str) -> pathlib.Path:
    for arguments in (
        ["cmake", "-S", ROOT / "ports", "-B", folder, "-G", "Ninja", "-DMOTE_PORT=template"],
        ["cmake", "--build", folder, "-j", "2", "--target", "one_chip", "cluster_node"],
    ):
        result = subprocess.run(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode != 0:
            sys.exit(f"template: {arguments} failed:\n{result.stdout}")
    return pathlib.Path(folder) / "one_chip.elf"


def ask(chip, command: str) -> list:
    """The objects that answer a command."""
    chip.stdin.write(command + "\n")
    chip.stdin.flush()
    answers = []
    for line in chip.stdout:
        if line.startswith("{"):
            answers.append(json.loads(line))
            if answers[-1].get("done") or "error" in answers[-1]:
                return answers
    sys.exit(f"template: {command}: the chip fell silent")


def main() -> int:
    emulator = shutil.which("qemu-system-arm")
    if emulator is None:
        print("template: qemu-system-arm is absent")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        chip = subprocess.Popen(
            ["timeout", str(SECONDS), emulator, "-M", "mps2-an385", "-display", "none", "-monitor",
             "none", "-serial", "stdio", "-kernel", build(folder), "-device",
             f"loader,file={MODEL},addr=0x21000000,force-raw=on"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        info = ask(chip, "!info")[-1]
        answer = ask(chip, "!run n=8 -- Once upon a time")
        chip.terminate()
        chip.wait()
    if info.get("board") != "template":
        sys.exit(f"template: info says {info}")
    tokens = [line for line in answer if "token" in line]
    if not answer[-1].get("done") or len(tokens) != 8:
        sys.exit(f"template: run says {answer}")
    print(f"template: {''.join(line['text'] for line in tokens)!r}, {answer[-1]['us']} us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
