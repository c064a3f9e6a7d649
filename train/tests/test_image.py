# SPDX-License-Identifier: Apache-2.0
"""Images against those of `mote convert` (environment MOTE: the program), byte for byte."""

import os
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

import torch

from mote_train import export, llama2c, rounding, tokenizer
from mote_train.model import Decoder
from mote_train.shape import Attention, ModelShape

MOTE = os.environ.get("MOTE", "build/release/host/mote")
TEXT = "One day, a little dog went to the park.\nHe saw a big red ball and said hello!\n" * 3


def random_model(*layers: Attention) -> llama2c.Checkpoint:
    model = Decoder(ModelShape(64, 96, len(layers), 4, 2, 300, 128, layers), seed=7)
    generator = torch.Generator().manual_seed(8)
    for name, parameter in model.named_parameters():
        if name.endswith("norm"):
            parameter.data = torch.rand(parameter.shape, generator=generator) + 0.5
    model.wq.data[0, 3] = 0  # a row of zeros
    return export.to_checkpoint(model)


@unittest.skipUnless(Path(MOTE).exists(), f"{MOTE} is not there; set MOTE")
class ImageTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        vocabulary = [tokenizer.Piece(b"<unk>", 0.0), tokenizer.Piece(b"\n<s>\n", 0.0)]
        vocabulary += [tokenizer.Piece(b"\n</s>\n", 0.0)]
        vocabulary += [tokenizer.Piece(b"<0x%02X>" % byte, 0.0) for byte in range(256)]
        letters = sorted(set(TEXT))[: 300 - len(vocabulary) - 8]
        letters += " e he in and day go al".split()
        texts = list(dict.fromkeys(letter.encode() for letter in letters))
        texts += [b"zz%d" % i for i in range(300 - len(vocabulary) - len(texts))]
        self.pieces = vocabulary + [tokenizer.Piece(t, -float(i // 2)) for i, t in enumerate(texts)]

    def path(self, name: str) -> str:
        return str(Path(self.folder.name) / name)

    def write_bin(self) -> str:
        out = struct.pack("<i", max(len(p.bytes) for p in self.pieces))
        for piece in self.pieces:
            out += struct.pack("<fi", piece.score, len(piece.bytes)) + piece.bytes
        Path(self.path("tok.bin")).write_bytes(out)
        return self.path("tok.bin")

    def expect_same_as_converter(self, checkpoint: llama2c.Checkpoint, *options: str) -> None:
        llama2c.write_legacy(self.path("m.bin"), checkpoint)
        pieces = tokenizer.read_bin(self.write_bin())
        for format in ("int8", "int4"):
            command = [MOTE, "convert", self.path("m.bin"), "--tokenizer", self.path("tok.bin")]
            command += ["--weights", format, "-o", self.path("m.mote"), "-q", *options]
            subprocess.run([*command, "--license", "MIT"], check=True)
            ours = export.make_image(checkpoint, pieces, format, {"name": "m", "license": "MIT"})
            self.assertEqual(Path(self.path("m.mote")).read_bytes(), ours, format)

    def test_causal_model(self) -> None:
        self.expect_same_as_converter(random_model(Attention(), Attention()))

    def test_windows(self) -> None:
        window = Attention("window", 100, 4)
        checkpoint = random_model(window, window)
        self.expect_same_as_converter(checkpoint, "--window", "100", "--sinks", "4")

    def test_linear_layers_are_valid(self) -> None:
        checkpoint = random_model(Attention("linear", decays=(60000, 65536)))
        data = export.make_image(checkpoint, self.pieces, "int4", {"name": "m"})
        Path(self.path("l.mote")).write_bytes(data)
        subprocess.run([MOTE, "inspect", self.path("l.mote")], check=True, capture_output=True)


class RoundingTest(unittest.TestCase):
    def test_scales(self) -> None:
        for value in (0, 1, 2047, 2048, 4095, 4096, 4097, 8191, 4095 << 30):
            bits = rounding.encode_scale_up(value)
            self.assertGreaterEqual(rounding.scale16_value(bits), value)
            if bits:
                self.assertLess(rounding.scale16_value(bits - 1), value)


if __name__ == "__main__":
    unittest.main()
