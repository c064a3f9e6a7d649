#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that the checks of firmware refuse what they are for.

Usage: port_checks_test.py FOLDER

FOLDER is build/ports with riscv32_virt built.
"""

import os
import shutil
import subprocess
import sys
import tempfile

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts")
PORT = "riscv32_virt"


def check(script, folder, *arguments):
    """Exit status and what was said."""
    done = subprocess.run([os.path.join(SCRIPTS, script), *arguments, PORT], text=True, check=False,
                          capture_output=True, env={**os.environ, "MOTE_PORTS_DIR": folder})
    return done.returncode, done.stdout + done.stderr


def expect(condition, text):
    if not condition:
        sys.exit(f"port_checks: {text}")


def add_symbol(elf, name):
    subprocess.run(["riscv64-unknown-elf-objcopy", "--add-symbol", f"{name}=.text:0,function,global",
                    elf], check=True)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    built = os.path.join(sys.argv[1], PORT)
    with tempfile.TemporaryDirectory() as folder:
        for script in ("check_port_symbols.sh", "check_port_sizes.sh"):
            status, text = check(script, folder)
            expect(status != 0 and "missing" in text, f"{script} passes without files: {text}")
        copy = os.path.join(folder, PORT)
        os.mkdir(copy)
        programs = ["one_chip.elf", "cluster_node.elf"]
        for name in ("_Znwj", "malloc", "__adddf3", "__cxa_throw", "_Unwind_Resume", "printf",
                     "_ZTI1A", "__floatsisf", "__divdc3"):
            for program in programs:
                shutil.copy(os.path.join(built, program), copy)
            status, text = check("check_port_symbols.sh", folder)
            expect(status == 0, f"clean firmware is refused: {text}")
            add_symbol(os.path.join(copy, programs[1]), name)
            status, text = check("check_port_symbols.sh", folder)
            expect(status != 0, f"firmware with {name} passes")
        elf = os.path.join(copy, programs[0])
        subprocess.run(["riscv64-unknown-elf-strip", elf], check=True)
        status, text = check("check_port_symbols.sh", folder)
        expect(status != 0, "stripped firmware passes")
        status, text = check("check_port_sizes.sh", folder)
        expect(status != 0 and "call graph" in text, f"sizes pass without a call graph: {text}")
    print("port_checks: all faults are found")


if __name__ == "__main__":
    main()
