# SPDX-License-Identifier: Apache-2.0
"""Writes `.mote` images (SPEC.md, "The image"), the bytes that `mote convert` would write."""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from .rounding import RoundedMatrix, round_gains
from .shape import Attention, ModelShape
from .tokenizer import BOS, EOS, FIRST_BYTE, UNKNOWN, Piece

MAGIC = b"MOTE\r\n\x1a\n"
ALIGNMENT = 32
NO_TOKEN = 0xFFFFFFFF
CONFIG, METADATA, TOKENIZER, ROPE, EMBEDDING, CLASSIFIER, FINAL_NORM = range(1, 8)
MATRIX_KINDS = {"wq": 17, "wk": 18, "wv": 19, "wo": 20, "w_gate": 22, "w_up": 23, "w_down": 24}
ATTENTION = 25
FORMATS = {"raw": 0, "int8": 1, "int4": 2}
ATTENTION_KINDS = {"window": 1, "linear": 2}
NORMAL, BYTE, CONTROL, UNKNOWN_KIND, ENDS_TEXT = 0, 1, 2, 3, 128


@dataclass
class Section:
    """`layer` 0: of the whole model; l + 1: of layer l."""

    kind: int
    layer: int
    data: bytes
    rows: int = 0
    columns: int = 0
    format: str = "raw"
    block: int = 0
    exponent: int = 0


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)


def config_section(shape: ModelShape) -> Section:
    epsilon = math.floor(shape.dim * shape.norm_epsilon * 2.0**44 + 0.5)
    fields = (shape.dim, shape.hidden_dim, shape.n_layers, shape.n_heads, shape.n_kv_heads)
    fields += (shape.head_size, shape.vocab_size, shape.context_length, shape.block)
    data = struct.pack("<10IQ16x", *fields, shape.residual_fraction_bits, epsilon)
    return Section(CONFIG, 0, data)


def metadata_section(entries: dict[str, str]) -> Section:
    lines = [f"{key}={value}\n" for key, value in entries.items() if value]
    return Section(METADATA, 0, "".join(lines).encode())


def rope_section(shape: ModelShape) -> Section:
    size = shape.head_size
    radians = [shape.rope_base ** (-2.0 * i / size) for i in range(size // 2)]
    turns = [math.floor(2.0**32 * r / (2 * math.pi) + 0.5) for r in radians]
    return Section(ROPE, 0, struct.pack(f"<{size // 2}I", *turns), columns=size // 2)


def token_kind(token: int) -> int:
    if token == UNKNOWN:
        return UNKNOWN_KIND
    if token in (BOS, EOS):
        return CONTROL
    return BYTE if FIRST_BYTE <= token < FIRST_BYTE + 256 else NORMAL


def tokenizer_section(pieces: list[Piece]) -> Section:
    """Of a vocabulary with <unk>, BOS, EOS and 256 byte tokens at its beginning."""
    kinds = [token_kind(token) for token in range(len(pieces))]
    texts = [piece.bytes for piece in pieces]
    for byte in range(256):
        if texts[FIRST_BYTE + byte] != b"<0x%02X>" % byte:
            raise ValueError("the vocabulary lacks byte tokens")
        texts[FIRST_BYTE + byte] = bytes([byte])
    offsets = np.cumsum([0] + [len(text) for text in texts])
    scores = np.array([piece.score for piece in pieces], dtype=np.float32)
    ranks = np.searchsorted(np.unique(scores), scores)
    normal = [token for token, text in enumerate(texts) if kinds[token] == NORMAL and text]
    order = sorted(normal, key=lambda token: (texts[token], token))
    flags = 1 | 2  # a space before the text; byte fallback
    header = (len(pieces), int(offsets[-1]), max(map(len, texts)), BOS, EOS, UNKNOWN)
    header += (flags, len(order), FIRST_BYTE, 0, 0, 0)
    attributes = [k | ENDS_TEXT if k == CONTROL else k for k in kinds]
    data = struct.pack("<12I", *header) + offsets.astype("<u4").tobytes()
    data += ranks.astype("<i4").tobytes() + np.array(order, dtype="<u4").tobytes()
    return Section(TOKENIZER, 0, data + bytes(attributes) + b"".join(texts))


def pack_int4(values: np.ndarray, block: int) -> np.ndarray:
    """(rows, columns) of -8..7: byte j of a block holds lanes j and j + block / 2."""
    stored = (values.astype(np.int16) + 8).astype(np.uint8)
    blocks = stored.reshape(len(values), -1, 2, block // 2)
    return blocks[:, :, 0] | blocks[:, :, 1] << 4


def matrix_section(kind: int, layer: int, matrix: RoundedMatrix) -> Section:
    rows, columns = matrix.values.shape
    data = padded(matrix.scales.astype("<u2").tobytes())
    if matrix.factors is not None:
        data = padded(data + matrix.factors.tobytes())
        data += pack_int4(matrix.values, matrix.block).tobytes()
    else:
        pad = -columns % matrix.block
        data += np.pad(matrix.values, ((0, 0), (0, pad))).tobytes()
    format = "int8" if matrix.factors is None else "int4"
    return Section(kind, layer, data, rows, columns, format, matrix.block, matrix.exponent)


def gains_section(gains: np.ndarray) -> Section:
    values, exponent = round_gains(gains)
    data = values.astype("<i2").tobytes()
    return Section(FINAL_NORM, 0, data, columns=len(gains), exponent=exponent)


def attention_section(layer: int, attention: Attention) -> Section:
    words = [ATTENTION_KINDS[attention.kind], attention.window, attention.sinks, 0]
    words += attention.decays
    return Section(ATTENTION, layer, struct.pack(f"<{len(words)}I", *words))


def assemble(sections: list[Section]) -> bytes:
    """The whole image; `sections` in any order."""
    sections = sorted(sections, key=lambda section: (section.layer, section.kind))
    head_bytes = 64 + 32 * len(sections)
    body = bytearray()
    table = b""
    for section in sections:
        body += bytes(-(head_bytes + len(body)) % ALIGNMENT)
        entry = (section.kind, section.layer, head_bytes + len(body), len(section.data))
        entry += (zlib.crc32(section.data), section.rows, section.columns)
        entry += (FORMATS[section.format], section.block, section.exponent)
        table += struct.pack("<HHIIIIIBBb5x", *entry)
        body += section.data
    size = head_bytes + len(body)

    def head(crc: int, digest: bytes) -> bytes:
        fields = struct.pack("<HHIII8x", 1, 0, size, len(sections), crc)
        return MAGIC + fields + digest + table

    digest = hashlib.sha256(head(0, bytes(32)) + bytes(body)).digest()
    return head(zlib.crc32(head(0, digest)), digest) + bytes(body)
