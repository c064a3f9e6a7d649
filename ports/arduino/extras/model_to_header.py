#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a model image as a C array, for boards whose program holds its model.

Usage: model_to_header.py FILE.mote model_data.h
"""
import sys

BYTES_A_LINE = 32


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1], "rb") as file:
        image = file.read()
    if not image:
        print(f"model_to_header: {sys.argv[1]} is empty", file=sys.stderr)
        return 1
    lines = (image[i : i + BYTES_A_LINE] for i in range(0, len(image), BYTES_A_LINE))
    with open(sys.argv[2], "w", encoding="ascii") as header:
        header.write(f"// {len(image)} bytes, by extras/model_to_header.py\n#pragma once\n\n")
        header.write("#include <stdint.h>\n\n")
        header.write("alignas(64) static const uint8_t model_data[] = {\n")
        for line in lines:
            header.write(",".join(map(str, line)) + ",\n")
        header.write("};\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
