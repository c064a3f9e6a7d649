#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
r"""Writes src/model/unicode_class_table.hpp from the Unicode Character Database.

Usage: scripts/unicode_classes.py [UnicodeData.txt] | clang-format > \
           src/model/unicode_class_table.hpp

UnicodeData.txt is that of the Debian package unicode-data unless it is named.
tests/model/unicode_class_test.cpp compares the table with the same file, character by character.
"""

import pathlib
import sys

CLASSES = {"L": 1, "N": 2, "P": 3}  # by the first letter of the general category
MAX_RUN = (1 << 14) - 1
STRIDE = 32  # runs between two entries of the index
NUMBERS_A_LINE = 12

HEAD = """\
// SPDX-License-Identifier: Apache-2.0
// Unicode {version}: letters, numbers and punctuation as runs of characters. Written by
// scripts/unicode_classes.py; {bytes} bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mote {{

/// Runs from one entry of kUnicodeStarts to the next.
inline constexpr std::size_t kUnicodeStride = {stride};
/// The first character that is in no run: it and all behind it are of class `other`.
inline constexpr std::uint32_t kUnicodeEnd = 0x{end:x};

/// The first character of each kUnicodeStride-th run.
inline constexpr std::array<std::uint32_t, {starts_count}> kUnicodeStarts = {{
{starts}}};

/// Characters in a row with the same class: bits 0-13 how many, bits 14-15 the class.
inline constexpr std::array<std::uint16_t, {runs_count}> kUnicodeRuns = {{
{runs}}};

}}  // namespace mote
"""


def read_classes(path):
    """(first, last, class) of each line, or pair of lines First/Last."""
    first = None
    for line in path.read_text(encoding="ascii").splitlines():
        code, name, category = line.split(";")[:3]
        number = int(code, 16)
        if name.endswith(", First>"):
            first = number
            continue
        begin = number if first is None else first
        first = None
        yield begin, number, CLASSES.get(category[0], 0)


def make_runs(path):
    """[[characters, class]] from character 0 to the last that has a class."""
    runs = []
    end = 0

    def add(count, kind):
        if count == 0:
            return
        if runs and runs[-1][1] == kind:
            runs[-1][0] += count
        else:
            runs.append([count, kind])

    for begin, last, kind in read_classes(path):
        add(begin - end, 0)
        add(last + 1 - begin, kind)
        end = last + 1
    if runs[-1][1] == 0:
        runs.pop()
    return runs


def split_long(runs):
    for count, kind in runs:
        while count > 0:
            part = min(count, MAX_RUN)
            yield part, kind
            count -= part


def format_numbers(numbers):
    lines = []
    for i in range(0, len(numbers), NUMBERS_A_LINE):
        lines.append("    " + ", ".join(numbers[i : i + NUMBERS_A_LINE]) + ",\n")
    return "".join(lines)


def main():
    default = "/usr/share/unicode/UnicodeData.txt"
    path = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else default)
    version = "15.0.0"
    runs = list(split_long(make_runs(path)))
    starts = []
    place = 0
    for i, (count, _) in enumerate(runs):
        if i % STRIDE == 0:
            starts.append(place)
        place += count
    words = [count | kind << 14 for count, kind in runs]
    sys.stdout.write(
        HEAD.format(
            version=version,
            bytes=4 * len(starts) + 2 * len(words),
            stride=STRIDE,
            end=place,
            starts_count=len(starts),
            starts=format_numbers([f"0x{start:05x}" for start in starts]),
            runs_count=len(words),
            runs=format_numbers([f"0x{word:04x}" for word in words]),
        )
    )


if __name__ == "__main__":
    main()
