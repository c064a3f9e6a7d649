#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the pre-tokenisers with their published regular expressions on random texts.

Usage: pre_tokenizer_test.py SPLIT_PIECES [TEXTS] [SEED]

Each list of expressions is applied as tokenizers do: every expression cuts the pieces of the one
before at its matches, and what lies between matches stays.
"""

import random
import subprocess
import sys

import regex

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
DEEPSEEK_LETTERS = (
    r"A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚ"
    r"\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d"
    r"\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3"
    r"\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffcℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎ"
    r"ↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
)
ASIAN = r"[一-龥ࠀ-一가-퟿]+"
RULES = {
    1: [GPT2],
    2: [LLAMA3],
    3: [QWEN2],
    4: [r"\p{N}", GPT2],
    5: [
        r"[\r\n]",
        rf"\s?[{DEEPSEEK_LETTERS}]+",
        r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
        r"\s+$",
        ASIAN,
        r"\p{N}+",
    ],
    6: [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", ASIAN, r"\p{N}"],
    7: [r"[\p{P}\$\+<=>\^~\|`]+", GPT2, r"[0-9][0-9][0-9]"],
    8: [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"],
}
UNICODE_DATA = "/usr/share/unicode/UnicodeData.txt"
# Where rules meet: contractions, white space of all kinds, marks, digits of several scripts.
COMMON = (
    list("  \n\r\t'sStTrRevVmMlLdDaB019.,!$+<=>^~|`_-()\"")
    + list("\x0b\x85\xa0\u1680\u2003\u2028\u3000\u200b")
    + list("éßſΩЖ한字一あ。、！？‘’٣½Ⅷ②̀😀\u00ad")
)


def known_characters():
    """Characters of the database whose class this module of expressions sees alike."""
    classes = {"L": regex.compile(r"\p{L}"), "N": regex.compile(r"\p{N}"), "P": regex.compile(r"\p{P}")}
    known = []
    with open(UNICODE_DATA, encoding="ascii") as file:
        for line in file:
            code, _, category = line.split(";")[:3]
            if category == "Cs":
                continue
            character = chr(int(code, 16))
            if all(bool(e.match(character)) == (category[0] == c) for c, e in classes.items()):
                known.append(character)
    assert len(known) > 30000, len(known)
    return known


def split(expressions, text):
    pieces = [text]
    for expression in expressions:
        cut = []
        for piece in pieces:
            end = 0
            for match in expression.finditer(piece):
                cut += [piece[end : match.start()], match.group()]
                end = match.end()
            cut.append(piece[end:])
        pieces = [piece for piece in cut if piece]
    return pieces


def random_text(source, known):
    text = ""
    for _ in range(source.randrange(1, 40)):
        kind = source.randrange(10)
        if kind < 7:
            text += source.choice(COMMON)
        elif kind == 7:
            text += source.choice(known)
        elif kind == 8:
            text += source.choice([" ", "\n", "1", "a", "'", ".", "\u3000"]) * source.randrange(1, 6)
        else:
            text += source.choice(["'s", "'LL", "'re", "'\u017f", " the", "\r\n", " 12", "!?\n", "'ve"])
    return text


def main():
    program = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 20240601
    print("seed", seed)
    source = random.Random(seed)
    known = known_characters()
    rules = {kind: [regex.compile(e, regex.V0) for e in texts] for kind, texts in RULES.items()}
    cases = []
    for _ in range(count):
        text = random_text(source, known)
        cases += [(kind, text) for kind in rules]
    lines = "".join(f"{kind} x{text.encode().hex()}\n" for kind, text in cases)
    output = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    found = output.stdout.splitlines()
    assert len(found) == len(cases), (len(found), len(cases))
    for (kind, text), line in zip(cases, found):
        expected = split(rules[kind], text)
        lengths = [int(word) for word in line.split()]
        if lengths == [len(piece.encode()) for piece in expected]:
            continue
        data = text.encode()
        pieces = []
        for length in lengths:
            pieces.append(data[:length].decode(errors="replace"))
            data = data[length:]
        sys.exit(f"pre-tokeniser {kind}: {text!r}\n expected {expected}\n    found {pieces}")
    print(f"{len(cases)} splits agree")


if __name__ == "__main__":
    main()
