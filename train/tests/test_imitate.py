# SPDX-License-Identifier: Apache-2.0
"""Whole models: the imitation against the engine, bit for bit.

    python3 train/tests/test_imitate.py

MOTE_LOGITS names the program mote_logits; build/release/host/mote_logits where it is not set.
Tests that need it, or files that are not there, are skipped.
"""

import os
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "train"))

from mote_train import image, image_reader as reader  # noqa: E402
from mote_train.imitate import Imitation, greedy  # noqa: E402

MOTE_LOGITS = Path(os.environ.get("MOTE_LOGITS", ROOT / "build/release/host/mote_logits"))
SHARED = ROOT.parent / "shared"
SYNTHETIC = ("int8", "int8-16", "int4", "int4-64", "hybrid-int8", "hybrid-int4")


class Engine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not MOTE_LOGITS.exists():
            raise unittest.SkipTest(f"{MOTE_LOGITS} is not built")
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.images = {}
        for name in SYNTHETIC:
            cls.images[name] = os.path.join(cls.folder.name, name + ".mote")
            cls.call("--synthetic", name, "-o", cls.images[name])

    @classmethod
    def call(cls, *options):
        command = [MOTE_LOGITS, *map(str, options)]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout

    def engine_logits(self, path, tokens, vocab_size):
        out = os.path.join(self.folder.name, "logits.bin")
        listed = ",".join(map(str, tokens))
        self.call("-m", path, "--tokens", listed, "--each", "-o", out)
        return np.fromfile(out, "<i4").reshape(len(tokens), vocab_size)

    def check_image(self, path, count, seed=1):
        image = reader.read_image(path)
        vocab_size = image.config.vocab_size
        tokens = np.random.default_rng(seed).integers(0, vocab_size, count)
        imitated = Imitation(image).decode(tokens[None], "all")[0]
        engine = self.engine_logits(path, tokens, vocab_size)
        np.testing.assert_array_equal(imitated, engine)
        return imitated

    def test_all_logits_of_synthetic_models(self):
        for name, path in self.images.items():
            with self.subTest(name):
                logits = self.check_image(path, 100)
                self.assertGreater(len(np.unique(logits)), 1000)

    def scramble(self, path, seed):
        """A copy with wild scales, factors, gains, frequencies and exponents."""
        random = np.random.default_rng(seed)
        least_scale = (0, 0x4000, 0xA000, 0xE000)[seed % 4]
        data = bytearray(Path(path).read_bytes())
        count = struct.unpack_from("<I", data, 16)[0]
        for i, section in enumerate(reader.read_sections(bytes(data))):
            begin, end = section.offset, section.offset + section.size
            if section.block:
                scales = random.integers(least_scale, 1 << 16, section.rows).astype("<u2")
                data[begin : begin + 2 * section.rows] = scales.tobytes()
                has_factors = section.format == reader.INT4
                blocks = -(-section.columns // section.block) if has_factors else 0
                begin += reader.matrix_layout(section)[0]
                end = begin + section.rows * blocks
                exponent = section.exponent + int(random.integers(-6, 12)) + 12 * (seed // 4)
                struct.pack_into("<b", data, self.entry(i) + 26, exponent)
            if section.block or section.kind in (reader.FINAL_NORM, reader.FREQUENCIES):
                data[begin:end] = random.bytes(end - begin)
            body = bytes(data[section.offset : section.offset + section.size])
            struct.pack_into("<I", data, self.entry(i) + 12, zlib.crc32(body))
        data[32:64] = reader.content_hash(bytes(data))
        struct.pack_into("<I", data, 20, reader.header_checksum(bytes(data[: self.entry(count)])))
        out = Path(self.folder.name) / "scrambled.mote"
        out.write_bytes(data)
        return out

    @staticmethod
    def entry(index):
        return reader.HEADER_BYTES + index * reader.ENTRY_BYTES

    def test_all_logits_of_scrambled_models(self):
        for name, path in self.images.items():
            for seed in range(8):
                with self.subTest(name, seed=seed):
                    self.check_image(self.scramble(path, seed), 30, seed)

    def test_passes_and_neighbours_change_nothing(self):
        for name in ("int4", "hybrid-int8"):
            image = reader.read_image(self.images[name])
            random = np.random.default_rng(5)
            tokens = random.integers(0, image.config.vocab_size, (3, 60))
            together = Imitation(image, texts=3)
            parts = [together.decode(tokens[:, a:b], "all") for a, b in ((0, 1), (1, 20), (20, 60))]
            logits = np.concatenate(parts, axis=1)
            for i in range(3):
                alone = Imitation(image)
                alone.decode(tokens[i : i + 1, :59], "none")
                last = alone.decode(tokens[i : i + 1, 59:])
                np.testing.assert_array_equal(last[0], logits[i, 59])

    def test_greedy(self):
        prompts = [[1, 5, 7], [1], [1, 9, 9, 9, 2, 11]]
        for name in ("int8-16", "hybrid-int4"):
            text = "\n".join(",".join(map(str, prompt)) for prompt in prompts)
            prompt_file = os.path.join(self.folder.name, "prompts.txt")
            Path(prompt_file).write_text(text + "\n")
            options = ("-m", self.images[name], "--tokens-file", prompt_file, "--greedy", 50)
            lines = self.call(*options).splitlines()
            imitated = greedy(reader.read_image(self.images[name]), prompts, 50)
            self.assertEqual([list(map(int, line.split())) for line in lines], imitated.tolist())

    def test_damage_is_seen(self):
        data = Path(self.images["int8"]).read_bytes()
        for at in (3, 13, 70, 64 + 12, 5000, len(data) - 1):
            damaged = bytearray(data)
            damaged[at] ^= 4
            with self.assertRaises(reader.ImageError, msg=at):
                reader.parse_image(bytes(damaged))
        with self.assertRaises(reader.ImageError):
            reader.parse_image(data[:-1])

    def test_tokenizer(self):
        tokenizer = reader.read_image(self.images["int8"]).tokenizer
        self.assertEqual((tokenizer.vocab_size, tokenizer.bos, tokenizer.eos), (300, 1, 2))
        self.assertEqual(tokenizer.pieces[3 + 65 : 3 + 67], [b"A", b"B"])

    def test_shared_models(self):
        mote = MOTE_LOGITS.with_name("mote")
        for model, tokenizer in (("stories260K", "tok512"), ("babyllama-0.9M", "tok105")):
            source, vocabulary = (SHARED / f"models/{name}.bin" for name in (model, tokenizer))
            if not (mote.exists() and source.exists() and vocabulary.exists()):
                self.skipTest(f"{source} or {mote} is not on this machine")
            for weights in ("int8", "int4"):
                with self.subTest(model, weights=weights):
                    out = os.path.join(self.folder.name, "shared.mote")
                    options = ["--weights", weights, "--tokenizer", vocabulary, "-q", "-o", out]
                    subprocess.run([mote, "convert", source, *options], check=True)
                    self.check_image(out, 120)


class Refusals(unittest.TestCase):
    def test_biases_are_refused_by_name(self):
        config = image.Section(image.CONFIG, 0, bytes(64))
        for kind in reader.BIASES:
            biases = image.Section(kind, 1, bytes(8), rows=2)
            with self.assertRaisesRegex(reader.ImageError, "biases"):
                reader.parse_image(image.assemble([config, biases]))


if __name__ == "__main__":
    unittest.main()
