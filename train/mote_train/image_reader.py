# SPDX-License-Identifier: Apache-2.0
"""Reads `.mote` images (SPEC.md, "The image") of whole models into numpy arrays."""

import hashlib
import struct
import zlib
from dataclasses import dataclass, field

import numpy as np

from .fixed_point import scale_exponent, scale_mantissa

MAGIC = b"MOTE\r\n\x1a\n"
VERSION = 1
HEADER_BYTES = 64
ENTRY_BYTES = 32
ALIGNMENT = 32
NO_TOKEN = 0xFFFFFFFF

# Kinds of sections.
CONFIG, METADATA, TOKENIZER, FREQUENCIES, EMBEDDING, CLASSIFIER, FINAL_NORM, SHARD = range(1, 9)
WQ, WK, WV, WO = range(17, 21)
W_GATE, W_UP, W_DOWN, ATTENTION = range(22, 26)
BIASES = range(26, 30)
LAYER_MATRICES = (WQ, WK, WV, WO, W_GATE, W_UP, W_DOWN)

# Formats.
RAW, INT8, INT4 = range(3)

# Kinds of attention.
CAUSAL, SLIDING_WINDOW, LINEAR = range(3)


class ImageError(Exception):
    """The bytes are no image of a whole model."""


@dataclass
class Section:
    """`layer` 0: of the whole model; l + 1: of layer l."""

    kind: int
    layer: int
    offset: int
    size: int
    crc: int
    rows: int
    columns: int
    format: int
    block: int
    exponent: int


@dataclass
class Matrix:
    """real weight = values * factors (of the block, 1 for int8) * row scale * 2^exponent."""

    values: np.ndarray  # (rows, padded columns) int8
    factors: np.ndarray | None  # (rows, blocks) uint8, of int4 alone
    row_scales: np.ndarray  # (rows) uint16, bits of Scale16
    exponent: int
    block: int
    columns: int  # without padding

    @property
    def is_int4(self):
        return self.factors is not None

    def scaled_values(self, rows=slice(None)):
        """(rows, padded columns) int64: values times their block's factor."""
        values = self.values[rows].astype(np.int64)
        if self.factors is None:
            return values
        return values * np.repeat(self.factors[rows].astype(np.int64), self.block, axis=1)

    def real(self):
        """(rows, columns) float64, exact."""
        scales = np.ldexp(
            scale_mantissa(self.row_scales).astype(np.float64),
            (scale_exponent(self.row_scales) + self.exponent).astype(np.int32),
        )
        return (self.scaled_values() * scales[:, None])[:, : self.columns]


@dataclass
class Attention:
    kind: int = CAUSAL
    window: int = 0
    sinks: int = 0
    decays: np.ndarray | None = None  # (n_kv_heads) uint32, Q16, linear alone


@dataclass
class Layer:
    wq: Matrix
    wk: Matrix
    wv: Matrix
    wo: Matrix
    w_gate: Matrix
    w_up: Matrix
    w_down: Matrix
    attention: Attention


@dataclass
class Config:
    dim: int
    hidden_dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_size: int
    vocab_size: int
    context_length: int
    block: int
    residual_fraction_bits: int
    norm_epsilon: int  # dim * epsilon * 2^44

    @property
    def head_block(self):
        return min(self.head_size & -self.head_size, self.block)


@dataclass
class Tokenizer:
    vocab_size: int
    bos: int | None
    eos: int | None
    unknown: int
    pieces: list[bytes] = field(repr=False)


@dataclass
class Image:
    config: Config
    metadata: dict[str, str]
    tokenizer: Tokenizer
    frequencies: np.ndarray  # (head_size / 2) uint32, turns per position * 2^32
    embedding: Matrix
    classifier: Matrix  # the embedding where the image has no other
    final_gains: np.ndarray  # (dim) int16
    gains_exponent: int
    layers: list[Layer]
    content_hash: bytes


def padded(size, unit):
    return -(-size // unit) * unit


def matrix_layout(section):
    """Offsets of block factors and weights in the section, and its size."""
    rows, block = section.rows, section.block
    blocks = -(-section.columns // block)
    is_int4 = section.format == INT4
    factors = padded(2 * rows, ALIGNMENT)
    weights = padded(factors + (rows * blocks if is_int4 else 0), ALIGNMENT)
    return factors, weights, weights + rows * blocks * (block // 2 if is_int4 else block)


def read_sections(data):
    """The section table, after all checks that need no knowledge of what sections mean."""
    if data[:8] != MAGIC or len(data) < HEADER_BYTES:
        raise ImageError("no image: the magic is missing")
    version, _, file_bytes, count, header_crc = struct.unpack_from("<HHIII", data, 8)
    if version != VERSION:
        raise ImageError(f"version {version}; this reader knows {VERSION}")
    table_end = HEADER_BYTES + count * ENTRY_BYTES
    if file_bytes != len(data) or table_end > len(data):
        raise ImageError(f"{len(data)} bytes; the header says {file_bytes}")
    if header_checksum(data[:table_end]) != header_crc:
        raise ImageError("the header's checksum is wrong")
    sections = [
        Section(*struct.unpack_from("<HHIIIIIBBb", data, HEADER_BYTES + i * ENTRY_BYTES))
        for i in range(count)
    ]
    for section in sections:
        if zlib.crc32(data[section.offset : section.offset + section.size]) != section.crc:
            raise ImageError(f"section {section.kind}: the checksum is wrong")
    if content_hash(data) != data[32:64]:
        raise ImageError("the content hash is wrong")
    return sections


def header_checksum(head):
    """CRC-32 of header and section table, this field taken as zero."""
    return zlib.crc32(head[:20] + bytes(4) + head[24:])


def content_hash(data):
    """SHA-256 of an image, its header_crc and content_hash taken as zero."""
    zeroed = data[:20] + bytes(4) + data[24:32] + bytes(32) + data[HEADER_BYTES:]
    return hashlib.sha256(zeroed).digest()


def _read_matrix(data, section):
    rows, columns, block = section.rows, section.columns, section.block
    blocks = -(-columns // block)
    factors_offset, weights_offset, size = matrix_layout(section)
    if section.format not in (INT8, INT4) or size != section.size:
        raise ImageError(f"section {section.kind}: no matrix of {rows} x {columns}")
    body = data[section.offset : section.offset + section.size]
    scales = np.frombuffer(body, "<u2", rows)
    if section.format == INT8:
        values = np.frombuffer(body, np.int8, rows * blocks * block, weights_offset)
        return Matrix(values.reshape(rows, -1), None, scales, section.exponent, block, columns)
    factors = np.frombuffer(body, np.uint8, rows * blocks, factors_offset).reshape(rows, blocks)
    pairs = np.frombuffer(body, np.uint8, rows * blocks * block // 2, weights_offset)
    pairs = pairs.reshape(rows, blocks, block // 2)
    # Byte j of a block holds lane j in its low half and lane j + block / 2 in its high half.
    values = np.concatenate((pairs & 15, pairs >> 4), axis=2).astype(np.int8) - np.int8(8)
    return Matrix(values.reshape(rows, -1), factors, scales, section.exponent, block, columns)


def _read_attention(body):
    kind, window, sinks, _ = struct.unpack_from("<4I", body)
    if kind not in (SLIDING_WINDOW, LINEAR):
        raise ImageError(f"attention of kind {kind}")
    decays = np.frombuffer(body, "<u4", offset=16) if kind == LINEAR else None
    return Attention(kind, window, sinks, decays)


def _read_tokenizer(body):
    vocab_size, text_bytes, _, bos, eos, unknown, _, sorted_count = struct.unpack_from("<8I", body)
    offsets = np.frombuffer(body, "<u4", vocab_size + 1, 48)
    # After the offsets: ranks, the sorted ids and attributes.
    text_at = 48 + 4 * (vocab_size + 1) + 4 * vocab_size + 4 * sorted_count + vocab_size
    text = body[text_at : text_at + text_bytes]
    pieces = [text[first:end] for first, end in zip(offsets[:-1], offsets[1:])]
    bos, eos = (None if token == NO_TOKEN else token for token in (bos, eos))
    return Tokenizer(vocab_size, bos, eos, unknown, pieces)


def parse_image(data):
    """An `Image` from its bytes. Raises `ImageError` where they are damaged, a shard or of a model
    with biases."""
    found = {(section.layer, section.kind): section for section in read_sections(data)}
    if (0, SHARD) in found:
        raise ImageError("a shard; a whole model is needed")
    if any(kind in BIASES for _, kind in found):
        raise ImageError("a model with biases, which are not supported here")

    def body(kind, layer=0):
        section = found[layer, kind]
        return data[section.offset : section.offset + section.size]

    def matrix(kind, layer=0):
        return _read_matrix(data, found[layer, kind])

    def layer(index):
        has_attention = (index, ATTENTION) in found
        attention = _read_attention(body(ATTENTION, index)) if has_attention else Attention()
        return Layer(*(matrix(kind, index) for kind in LAYER_MATRICES), attention)

    config = Config(*struct.unpack_from("<10IQ", body(CONFIG)))
    embedding = matrix(EMBEDDING)
    return Image(
        config=config,
        metadata=dict(line.split("=", 1) for line in body(METADATA).decode().splitlines()),
        tokenizer=_read_tokenizer(body(TOKENIZER)),
        frequencies=np.frombuffer(body(FREQUENCIES), "<u4"),
        embedding=embedding,
        classifier=matrix(CLASSIFIER) if (0, CLASSIFIER) in found else embedding,
        final_gains=np.frombuffer(body(FINAL_NORM), "<i2"),
        gains_exponent=found[0, FINAL_NORM].exponent,
        layers=[layer(index + 1) for index in range(config.n_layers)],
        content_hash=data[32:64],
    )


def read_image(path):
    with open(path, "rb") as file:
        return parse_image(file.read())
