#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table and the budgets of scripts/check_port_sizes.sh, which tells how to use it."""

import glob
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COLUMNS = ("code", "rodata", "ram", "stack", "largest_frame")
INDIRECT = "__indirect_call"
# What has no call graph: the frame of the start-up code, and at the end of the deepest way either
# arithmetic of the compiler's library or a kernel in assembly, 120 bytes at most.
UNSEEN_STACK_BYTES = 160


def fail(text):
    sys.exit(f"port_sizes: {text}")


def setting(name, path):
    with open(path, encoding="utf-8") as file:
        found = re.search(rf"^set\({name} (.*)\)$", file.read(), re.MULTILINE)
    if not found:
        fail(f"{path} does not set {name}")
    return found.group(1)


def run(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        return fail(f"{command[0]} is not installed (scripts/install.sh)")
    except subprocess.CalledProcessError as error:
        return fail(f"{' '.join(command)}: {error.stderr.strip()}")


def sections(prefix, elf):
    """Bytes of each section."""
    sizes = {}
    for line in run(prefix + "size", "-A", elf).splitlines():
        words = line.split()
        if len(words) == 3 and words[0].startswith("."):
            sizes[words[0]] = int(words[1])
    return sizes


class CallGraph:
    """Who calls whom, and the stack that each function takes, from the compiler's .ci files."""

    def __init__(self, files, linked):
        self.frames = {}
        self.calls = {}
        self.dynamic = set()
        called = set()
        for path in files:
            with open(path, encoding="utf-8") as file:
                self.read(file.read(), called)
        # What nobody calls by name and is linked all the same is called by its address.
        self.indirect = [name for name in self.frames
                         if name not in called and name.split(":")[-1] in linked and
                         name not in ("mote_main", "mote_start", "mote_board_start", "mote_exit")]
        self.depths = {}
        self.unknown = set()
        self.recursive = set()

    def read(self, text, called):
        for title, label in re.findall(r'^node: \{ title: "([^"]*)" label: "([^"]*)"', text, re.M):
            size = re.search(r"\\n(\d+) bytes \(([^)]*)\)", label)
            if size:
                self.frames[title] = max(int(size.group(1)), self.frames.get(title, 0))
                if "dynamic" in size.group(2) and "bounded" not in size.group(2):
                    self.dynamic.add(title)
        for source, target in re.findall(
                r'^edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"', text, re.M):
            self.calls.setdefault(source, set()).add(target)
            called.add(target)

    def depth(self, name, path=()):
        """Stack that a call of `name` takes at most, and the way there."""
        if name in self.depths:
            return self.depths[name]
        if name in path:
            self.recursive.add(name)
            return 0, ()
        if name not in self.frames and name != INDIRECT:
            self.unknown.add(name)
        deepest = (0, ())
        targets = self.indirect if name == INDIRECT else self.calls.get(name, ())
        for target in targets:
            deepest = max(deepest, self.depth(target, path + (name,)))
        result = (self.frames.get(name, 0) + deepest[0], (name,) + deepest[1])
        self.depths[name] = result
        return result


def find_program(folder, port, program):
    """Its file, and the prefix of the tools that read it."""
    toolchain = setting("MOTE_PORT_TOOLCHAIN", f"{ROOT}/ports/{port}/port.cmake")
    prefix = setting("MOTE_TOOL_PREFIX", f"{ROOT}/ports/toolchains/{toolchain}.cmake")
    elf = f"{folder}/{port}/{program}.elf"
    if not os.path.isfile(elf):
        fail(f"{elf} is missing (scripts/build_ports.sh {port})")
    return elf, prefix


def memory_of(size):
    return {"code": size[".text"] + size.get(".exception_vectors", 0),
            "rodata": size.get(".rodata", 0) + size.get(".ARM.exidx", 0),
            "ram": size.get(".data", 0) + size.get(".bss", 0)}


def measure(folder, port, program):
    """The row of one program, by column."""
    elf, prefix = find_program(folder, port, program)
    size = sections(prefix, elf)
    build = f"{folder}/{port}/CMakeFiles"
    files = [path for path in glob.glob(f"{build}/**/*.ci", recursive=True)
             if os.sep + "board_test.dir" not in path and
             (program + ".dir" in path or "mote_device.dir" in path or "mote_board.dir" in path)]
    if not files:
        fail(f"{build} has no .ci files: the call graph is missing")
    linked = set(run(prefix + "nm", "--format=just-symbols", elf).split())
    graph = CallGraph(files, linked)
    stack, path = graph.depth("mote_main")
    if len(path) < 3:
        fail(f"{port}/{program}: the call graph ends at {path}")
    frames = [bytes for name, bytes in graph.frames.items() if name.split(":")[-1] in linked]
    return {**memory_of(size), "stack": stack + UNSEEN_STACK_BYTES,
            "largest_frame": max(frames), "reserved": size[".stack"],
            "path": path, "dynamic": sorted(graph.dynamic & set(graph.depths)),
            "recursive": sorted(graph.recursive)}


def programs_of(port):
    return setting("MOTE_PORT_PROGRAMS", f"{ROOT}/ports/{port}/port.cmake").split()


def check_row(name, row, budget):
    """What is wrong with a row, as sentences."""
    faults = []
    for column in COLUMNS:
        if column not in budget:
            faults.append(f"{name}: ports/budgets.json has no {column} for it")
        elif row[column] > budget[column]:
            faults.append(f"{name}: {column} is {row[column]} bytes, its budget {budget[column]}: "
                          "make it smaller, or raise ports/budgets.json and say why")
    if row["stack"] > row["reserved"]:
        faults.append(f"{name}: calls may take {row['stack']} bytes of stack, "
                      f"{row['reserved']} are reserved: raise mote_stack_bytes in "
                      "ports/common/sections.ld, or shorten " + " > ".join(row["path"]))
    for what in ("dynamic", "recursive"):
        if row[what]:
            faults.append(f"{name}: {what} use of stack in {', '.join(row[what])}")
    return faults


def print_rows(rows):
    print(f"{'port/program':32}" + "".join(f"{column:>15}" for column in (*COLUMNS, "reserved")))
    for name, row in rows.items():
        print(f"{name:32}" + "".join(f"{row[column]:>15}" for column in (*COLUMNS, "reserved")))


def library_bytes(elf):
    """Code and read-only data that the library in src/, without the programs of src/firmware/, has
    in a linked program; 0 where the linker has compiled everything as one."""
    with open(elf + ".map", encoding="utf-8") as file:
        text = file.read()
    programs = set(os.listdir(f"{ROOT}/src/firmware"))
    total = 0
    for size, source in re.findall(r"^ \.(?:text|rodata)\S*\s+0x[0-9a-f]+\s+0x([0-9a-f]+) "
                                   r"\S*libmote_device\.a\((\S+)\.obj\)$",
                                   text.split("Linker script and memory map")[1], re.MULTILINE):
        total += 0 if source in programs else int(size, 16)
    return total


def check_library(elf, port, bar):
    library = library_bytes(elf)
    if library == 0:
        return []
    print(f"the library in it, {port}: {library} of {bar} bytes")
    return [f"the library takes {library} bytes at -Os on {port}, the bar is {bar}"
            ] if library > bar else []


def check_small(folder, budgets):
    """The bars where size counts, for one_chip and for the library in it: ports built with -Os."""
    faults = []
    for port, options in budgets["small"]["ports"].items():
        elf, prefix = find_program(f"{folder}/small", port, "one_chip")
        row = memory_of(sections(prefix, elf))
        total = row["code"] + row["rodata"]
        bar = budgets["small"]["bytes"]
        print(f"one_chip at -Os, {port}: {row['code']} code + {row['rodata']} read-only = {total} "
              f"of {bar} bytes ({options})")
        if total > bar:
            faults.append(f"one_chip of {port} takes {total} bytes at -Os, the bar is {bar}")
        faults += check_library(elf, port, budgets["small"]["library_bytes"])
    return faults


def main():
    folder, mode, *ports = sys.argv[1:]
    with open(f"{ROOT}/ports/budgets.json", encoding="utf-8") as file:
        budgets = json.load(file)
    if mode == "--small-options":
        for port, options in budgets["small"]["ports"].items():
            print(port, options)
        return
    rows = {f"{port}/{program}": measure(folder, port, program)
            for port in ports for program in programs_of(port)}
    print_rows(rows)
    if mode == "--write":
        for name, row in rows.items():
            # Room for small changes; a larger one is noticed.
            budgets["programs"][name] = {column: -(-row[column] * 103 // 100 // 64) * 64
                                         for column in COLUMNS}
        with open(f"{ROOT}/ports/budgets.json", "w", encoding="utf-8") as file:
            json.dump(budgets, file, indent=2)
            file.write("\n")
        return
    faults = [fault for name, row in rows.items()
              for fault in check_row(name, row, budgets["programs"].get(name, {}))]
    if mode == "--with-small":
        faults += check_small(folder, budgets)
    if faults:
        fail("\n".join(["", *faults]))


if __name__ == "__main__":
    main()
