# SPDX-License-Identifier: Apache-2.0
"""A tokenizer of our own: sentencepiece's BPE with byte fallback, and llama2.c's file of it.

Example:
  python3 -m mote_train.tokenizer train --text stories.txt --vocab-size 1024 --out build/tok1024
writes build/tok1024.model (sentencepiece) and build/tok1024.bin (llama2.c, for `mote convert`).
"""

from __future__ import annotations

import argparse
import io
import struct
from dataclasses import dataclass
from pathlib import Path

import sentencepiece

UNKNOWN, BOS, EOS, FIRST_BYTE = 0, 1, 2, 3
SEPARATOR = "<|endoftext|>"
SPACE = "\u2581"


@dataclass(frozen=True)
class Piece:
    bytes: bytes
    score: float


def split_stories(text: str) -> list[str]:
    """Stories, stripped, parted by lines SEPARATOR, as `mote perplexity` parts them."""
    stories: list[str] = []
    lines: list[str] = []
    for line in text.split("\n") + [SEPARATOR]:
        if line.strip() == SEPARATOR:
            story = "\n".join(lines).strip()
            if story:
                stories.append(story)
            lines = []
        else:
            lines.append(line)
    return stories


def train(stories: list[str], vocab_size: int) -> bytes:
    """The sentencepiece model of `stories`, as bytes. No normalisation: text comes back as is."""
    lines = [line for story in stories for line in story.split("\n") if line]
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=out,
        model_type="bpe",
        vocab_size=vocab_size,
        byte_fallback=True,
        character_coverage=0.9995,  # a handful of rare letters become bytes
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        allow_whitespace_only_pieces=False,
        num_threads=1,
        minloglevel=1,
    )
    return out.getvalue()


def load(path: str | Path) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def encode(processor: sentencepiece.SentencePieceProcessor, story: str) -> list[int]:
    """BOS and the story's tokens, those of the device (`mote::Tokenizer`)."""
    return [BOS, *processor.encode(story)]


def read_bin(path: str | Path) -> list[Piece]:
    """llama2.c's tokenizer.bin; its line feeds around BOS and EOS are no part of their names."""
    data = Path(path).read_bytes()
    pieces = []
    offset = 4
    while offset < len(data):
        score, length = struct.unpack_from("<fi", data, offset)
        offset += 8 + length
        text = data[offset - length : offset]
        is_framed = len(pieces) in (BOS, EOS) and length >= 2 and text[:1] == text[-1:] == b"\n"
        pieces.append(Piece(text[1:-1] if is_framed else text, score))
    return pieces


def write_bin(path: str | Path, processor: sentencepiece.SentencePieceProcessor) -> None:
    """llama2.c's spelling: spaces for sentencepiece's mark, line feeds around BOS and EOS."""
    pieces = []
    for token in range(processor.get_piece_size()):
        text = processor.id_to_piece(token)
        if token in (BOS, EOS):
            text = f"\n{text}\n"
        pieces.append(Piece(text.replace(SPACE, " ").encode(), processor.get_score(token)))
    out = [struct.pack("<i", max(len(piece.bytes) for piece in pieces))]
    for piece in pieces:
        out.append(struct.pack("<fi", piece.score, len(piece.bytes)) + piece.bytes)
    Path(path).write_bytes(b"".join(out))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["train"])
    parser.add_argument("--text", required=True, help="stories, parted by lines <|endoftext|>")
    parser.add_argument("--vocab-size", type=int, default=1024, help="512 or more")
    parser.add_argument("--out", required=True, help="writes OUT.model and OUT.bin")
    arguments = parser.parse_args()
    stories = split_stories(Path(arguments.text).read_text())
    Path(arguments.out).parent.mkdir(parents=True, exist_ok=True)
    model = Path(arguments.out + ".model")
    model.write_bytes(train(stories, arguments.vocab_size))
    processor = load(model)
    write_bin(arguments.out + ".bin", processor)
    characters = sum(map(len, stories[:200]))
    tokens = sum(len(encode(processor, story)) for story in stories[:200])
    print(f"{processor.get_piece_size()} tokens, {tokens / characters:.4f} tokens a character")


if __name__ == "__main__":
    main()
