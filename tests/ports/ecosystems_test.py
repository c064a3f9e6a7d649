#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The metadata of ESP-IDF, Arduino, PlatformIO and Zephyr, the lists of sources and the packages.

Usage: ecosystems_test.py   (from anywhere; needs cmake and arm-none-eabi-g++)
"""
import csv
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PORTS = ROOT / "ports"
COMPONENT = PORTS / "esp_idf/mote"
EXAMPLES = ["one_chip", "cluster_node"]
SKETCHES = ["OneChip", "ClusterNode"]
CHIPS = {"esp32", "esp32s2", "esp32s3", "esp32c3", "esp32c6", "esp32h2", "esp32p4"}


def version() -> str:
    text = (ROOT / "CMakeLists.txt").read_text()
    return re.search(r"project\(mote VERSION ([0-9.]+)", text).group(1)


def run(*arguments, **options) -> str:
    result = subprocess.run(
        [str(argument) for argument in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    if result.returncode != 0:
        raise AssertionError(f"{arguments} ended with {result.returncode}:\n{result.stdout}")
    return result.stdout


KERNELS = ["portable", "armv6m", "armv7em", "mve", "rv32"]


def library_sources(both: bool = False, kernels: str = "portable") -> list:
    """Those of src/sources.cmake, as CMake reads it, relative to src/; `both`: with and without
    byte-level tokenizers, of which a build chooses one."""
    more = "${MOTE_BYTE_LEVEL_SOURCES} ${MOTE_NO_BYTE_LEVEL_SOURCES}" if both else ""
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder) / "list.cmake"
        script.write_text(
            f"set(MOTE_KERNELS {kernels})\n"
            f'include("{ROOT}/src/sources.cmake")\n'
            f"set(sources ${{MOTE_SOURCES}} ${{MOTE_FIRMWARE_SOURCES}} {more})\n"
            "list(REMOVE_DUPLICATES sources)\n"
            "foreach(source ${sources})\n"
            '  message("${source}")\nendforeach()\n'
        )
        return run("cmake", "-P", script).split()


def sources_of_all_kernels(both: bool = False) -> set:
    return {source for kernels in KERNELS for source in library_sources(both, kernels)}


def source_lists(*settings) -> dict:
    """The sources that the builds of ecosystems name, by ecosystem."""
    with tempfile.TemporaryDirectory() as folder:
        output = run("cmake", "-S", ROOT / "tests/ports/source_lists", "-B", folder,
                     *(f"-D{setting}" for setting in settings))
    lists = {}
    for ecosystem, source in re.findall(r"source (\S+) (\S+)", output):
        lists.setdefault(ecosystem, []).append(source)
    return lists


def yaml_scalar(text: str):
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text


def read_yaml(text: str):
    """The part of YAML that the files use: nested maps and lists of scalars or maps by indentation,
    one key a line. Anything else is an error."""
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if "\t" in line:
            raise ValueError(f"line {number}: a tabulator")
        lines.append((len(line) - len(line.lstrip()), line.strip()))
    value, rest = read_block(lines)
    if rest:
        raise ValueError(f"does not fit: {rest[0][1]}")
    return value


def read_block(lines):
    indent = lines[0][0]
    is_list = lines[0][1].startswith("- ")
    value = [] if is_list else {}
    while lines and lines[0][0] == indent and lines[0][1].startswith("- ") == is_list:
        text = lines[0][1]
        if is_list:
            item = text[2:]
            if re.match(r"[\w.-]+:( |$)", item):
                entry, lines = read_block([(indent + 2, item)] + lines[1:])
                value.append(entry)
            else:
                value.append(yaml_scalar(item))
                lines = lines[1:]
            continue
        match = re.fullmatch(r"([\w.-]+):(?: (.*))?", text)
        if not match or match.group(1) in value:
            raise ValueError(f"no key, or a second time: {text}")
        lines = lines[1:]
        if match.group(2):
            value[match.group(1)] = yaml_scalar(match.group(2))
        elif lines and lines[0][0] > indent:
            value[match.group(1)], lines = read_block(lines)
        else:
            raise ValueError(f"empty: {text}")
    return value, lines


def read_properties(path: pathlib.Path) -> dict:
    pairs = [line.split("=", 1) for line in path.read_text().splitlines() if line]
    return {key: value for key, value in pairs}


def read_partitions(path: pathlib.Path) -> list:
    rows = csv.reader(line for line in path.read_text().splitlines() if not line.startswith("#"))
    return [[cell.strip() for cell in row] for row in rows]


class Metadata(unittest.TestCase):
    def test_esp_idf_manifest(self):
        manifest = read_yaml((COMPONENT / "idf_component.yml").read_text())
        self.assertEqual(manifest["version"], version())
        self.assertEqual(set(manifest["targets"]), CHIPS)
        self.assertIn("idf", manifest["dependencies"])
        for example in manifest["examples"]:
            self.assertTrue((COMPONENT / example["path"] / "CMakeLists.txt").is_file())
        self.assertLessEqual(set(manifest) - {"tags", "examples", "targets", "dependencies"},
                             {"version", "description", "license"})

    def test_esp_idf_examples(self):
        kconfig = (COMPONENT / "Kconfig").read_text()
        for example in EXAMPLES:
            folder = COMPONENT / "examples" / example
            self.assertIn(f"run_{example}", (folder / "main/main.cpp").read_text())
            self.assertTrue((folder / "README.md").is_file())
            for defaults in folder.glob("sdkconfig.defaults*"):
                self.assertIn(defaults.suffix[1:], CHIPS | {"defaults"})
                for name in re.findall(r"CONFIG_(MOTE_\w+)=", defaults.read_text()):
                    self.assertRegex(kconfig, rf"config {name}\n")

    def test_esp_idf_settings_exist(self):
        """Every setting that the sources read is one of Kconfig."""
        defined = set(re.findall(r"config (MOTE_\w+)\n", (COMPONENT / "Kconfig").read_text()))
        for path in [COMPONENT / "CMakeLists.txt", *COMPONENT.glob("*.[ch]pp")]:
            for name in re.findall(r"CONFIG_(MOTE_\w+)", path.read_text()):
                self.assertIn(name, defined, path)

    def test_kconfig_is_well_formed(self):
        """Blocks are closed, settings have a type, and what a default names is defined."""
        for path in [COMPONENT / "Kconfig", PORTS / "zephyr/Kconfig"]:
            lines = [line.strip() for line in path.read_text().splitlines()]
            blocks = []
            for line in lines:
                word = line.split(" ")[0]
                if word in ["menu", "choice", "if"]:
                    blocks.append(word)
                elif word in ["endmenu", "endchoice", "endif"]:
                    self.assertEqual(word, "end" + blocks.pop(), path)
            self.assertEqual(blocks, [], path)
            defined = re.findall(r"(?m)^\s*(?:menu)?config (\w+)$", path.read_text())
            self.assertEqual(len(defined), len(set(defined)), path)
            for index, line in enumerate(lines):
                if re.fullmatch(r"(menu)?config \w+", line):
                    self.assertRegex(lines[index + 1], r'^(bool|int|string) ".+"$', path)
                for name in re.findall(r"^default (MOTE_\w+)", line):
                    self.assertIn(name, defined, path)

    def test_partitions(self):
        tables = [*COMPONENT.glob("examples/*/*.csv"), *PORTS.glob("arduino/examples/*/*.csv")]
        self.assertEqual(len(tables), 6)
        for path in tables:
            flash = 0x1000000 if "16mb" in path.name else 0x400000
            end = 0x9000
            rows = read_partitions(path)
            for name, kind, _, offset, size in rows:
                self.assertGreaterEqual(int(offset, 0), end, f"{path}: {name}")
                self.assertEqual(int(offset, 0) % (0x10000 if kind == "app" else 0x1000), 0)
                end = int(offset, 0) + int(size, 0)
            self.assertLessEqual(end, flash, path)
            self.assertEqual(rows[-1][0], "model")
            # Pages of 64 KiB are mapped.
            self.assertEqual(int(rows[-1][3], 0) % 0x10000, 0, path)

    def test_arduino_properties(self):
        properties = read_properties(PORTS / "arduino/library.properties")
        self.assertEqual(properties["version"], version())
        for key in ["name", "author", "maintainer", "sentence", "paragraph", "url", "category"]:
            self.assertTrue(properties[key], key)
        self.assertIn(properties["category"], ["Data Processing"])
        self.assertEqual(properties["includes"], "Mote.h")
        self.assertTrue((PORTS / "arduino/src/Mote.h").is_file())

    def test_arduino_keywords(self):
        header = (PORTS / "arduino/src/Mote.h").read_text()
        for line in (PORTS / "arduino/keywords.txt").read_text().splitlines():
            word, kind = line.split("\t")
            self.assertIn(kind, ["KEYWORD1", "KEYWORD2", "LITERAL1"])
            self.assertIn(word, header)

    def test_arduino_examples(self):
        """A sketch has its folder's name, and what the sketches share is the same."""
        folders = [PORTS / "arduino/examples" / name for name in SKETCHES]
        for folder in folders:
            self.assertTrue((folder / f"{folder.name}.ino").is_file())
        for shared in ["model.h", "partitions.csv"]:
            first, second = ((folder / shared).read_bytes() for folder in folders)
            self.assertEqual(first, second, shared)

    def test_platformio_manifest(self):
        manifest = json.loads((PORTS / "platformio/library.json").read_text())
        self.assertEqual(manifest["version"], version())
        self.assertRegex(manifest["name"], r"^[A-Za-z0-9][A-Za-z0-9 -]*$")
        self.assertLessEqual(len(manifest["description"]), 255)
        self.assertEqual(manifest["license"], "Apache-2.0")
        self.assertEqual(manifest["headers"], ["Mote.h"])

    def test_zephyr_module(self):
        module = read_yaml((ROOT / "zephyr/module.yml").read_text())
        self.assertEqual(module["name"], "mote")
        self.assertTrue((ROOT / module["build"]["cmake"] / "CMakeLists.txt").is_file())
        self.assertTrue((ROOT / module["build"]["kconfig"]).is_file())
        for folder in module["samples"]:
            self.assertTrue((ROOT / folder).is_dir())

    def test_zephyr_samples(self):
        kconfig = (PORTS / "zephyr/Kconfig").read_text()
        for name in EXAMPLES:
            folder = PORTS / "zephyr/samples" / name
            sample = read_yaml((folder / "sample.yaml").read_text())
            self.assertIn(f"sample.mote.{name}", sample["tests"])
            self.assertIn(f"run_{name}", (folder / "src/main.cpp").read_text())
            for conf in [folder / "prj.conf", *folder.glob("boards/*.conf")]:
                for setting in re.findall(r"CONFIG_(MOTE\w*)=", conf.read_text()):
                    self.assertRegex(kconfig, rf"config {setting}\n", conf)

    def test_licences(self):
        """Every source of the ports begins with its licence."""
        for suffix in ["cpp", "hpp", "h", "ino", "S", "py", "cmake"]:
            for path in PORTS.rglob(f"*.{suffix}"):
                if path.relative_to(PORTS).parts[0] in [
                    "esp_idf", "arduino", "zephyr", "pico_sdk", "stubs", "ecosystem", "template"
                ]:
                    head = path.read_text()[:120]
                    self.assertIn("SPDX-License-Identifier: Apache-2.0", head, path)


class Sources(unittest.TestCase):
    def test_every_build_names_the_one_list(self):
        lists = source_lists()
        self.assertEqual(
            set(lists),
            {"zephyr", "pico_sdk", "esp_idf_NONE", "esp_idf_WIRED", "esp_idf_ESP_NOW"},
        )
        expected = [f"src/{source}" for source in library_sources()]
        self.assertGreater(len(expected), 30)
        for ecosystem, sources in lists.items():
            self.assertEqual([s for s in sources if s.startswith("src/")], expected, ecosystem)
            for source in sources:
                self.assertTrue((ROOT / source).is_file(), source)
            self.assertEqual(len(sources), len(set(sources)), ecosystem)

    def test_every_build_has_the_kernels_of_its_processor(self):
        for ecosystem, kernels, *settings in [
            ("esp_idf_NONE", "rv32", "CONFIG_IDF_TARGET_ARCH_RISCV=y"),
            ("esp_idf_NONE", "armv6m", "CONFIG_IDF_TARGET_ARCH_XTENSA=y"),
            ("zephyr", "rv32", "CONFIG_RISCV=y", "CONFIG_RISCV_ISA_EXT_M=y"),
            ("zephyr", "portable", "CONFIG_RISCV=y"),
            ("zephyr", "portable", "CONFIG_RISCV=y", "CONFIG_RISCV_ISA_EXT_M=y", "CONFIG_64BIT=y"),
            ("zephyr", "armv6m", "CONFIG_CPU_CORTEX_M3=y"),
            ("zephyr", "armv7em", "CONFIG_CPU_CORTEX_M4=y"),
            ("zephyr", "mve", "CONFIG_ARMV8_1_M_MVEI=y"),
            ("pico_sdk", "armv6m", "PICO_PLATFORM=rp2040"),
            ("pico_sdk", "armv7em", "PICO_PLATFORM=rp2350-arm-s"),
            ("pico_sdk", "rv32", "PICO_PLATFORM=rp2350-riscv"),
        ]:
            sources = [s for s in source_lists(*settings)[ecosystem] if s.startswith("src/")]
            expected = [f"src/{source}" for source in library_sources(kernels=kernels)]
            self.assertEqual(sources, expected, (ecosystem, settings))

    def test_every_file_of_a_port_is_built(self):
        built = {source for sources in source_lists().values() for source in sources}
        for folder in [COMPONENT, PORTS / "zephyr", PORTS / "pico_sdk"]:
            for path in folder.glob("*.cpp"):
                source = str(path.relative_to(ROOT))
                if path.name != "cycles_riscv.cpp":
                    self.assertIn(source, built)


class EspIdfCheck(unittest.TestCase):
    """scripts/check_esp_idf.sh, with the stubs in the place of ESP-IDF."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def check(self, *arguments):
        return subprocess.run(
            [ROOT / "scripts/check_esp_idf.sh", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def make_copy(self) -> pathlib.Path:
        headers = self.folder / "components/esp_system/include"
        shutil.copytree(PORTS / "stubs/esp_idf", headers)
        (self.folder / "components/soc/esp32c3").mkdir(parents=True)
        return headers

    def test_accepts_what_fits(self):
        self.make_copy()
        result = self.check(self.folder, "esp32c3")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn("esp32c3 fits", result.stdout)

    def test_refuses_another_signature(self):
        timer = self.make_copy() / "esp_timer.h"
        timer.write_text(timer.read_text().replace("(void)", "(int unit)"))
        result = self.check(self.folder, "esp32c3")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("board.cpp does not fit", result.stdout)

    def test_refuses_to_see_nothing(self):
        uart = self.make_copy() / "driver/uart.h"
        uart.write_text(
            re.sub(r"(?s)uart_driver_install\([^)]*\)", "uart_driver_install(...)", uart.read_text()))
        result = self.check(self.folder, "esp32c3")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("a missing argument went unseen", result.stdout)

    def test_refuses_other_arguments(self):
        for arguments in [[], [self.folder / "absent"], [self.folder]]:
            result = self.check(*arguments)
            self.assertNotEqual(result.returncode, 0, arguments)
            self.assertTrue(result.stdout.startswith("check_esp_idf: "), result.stdout)
        self.make_copy()
        self.assertIn("knows no esp99", self.check(self.folder, "esp99").stdout)


class Packages(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def package(self, kind: str) -> pathlib.Path:
        out = self.folder / "mote"
        run(ROOT / "scripts/package_library.sh", kind, out)
        return out

    def library_of(self, out: pathlib.Path) -> list:
        """The sources of the package that are not of its port."""
        sources = out / "src"
        return sorted(str(p.relative_to(sources)) for p in sources.rglob("*/*.cpp"))

    def compile(self, out: pathlib.Path, source: pathlib.Path, *flags):
        headers = pathlib.Path("/usr/include/newlib/c++/12.2.1")
        run("arm-none-eabi-g++", "-std=gnu++20", "-fsyntax-only", "-mcpu=cortex-m0plus", "-mthumb",
            "--specs=picolibc.specs", "-nostdinc++", "-isystem", headers, "-isystem",
            headers / "arm-none-eabi", "-isystem", PORTS / "stubs/arduino", "-I", out / "src",
            *flags, source)

    def check_arduino_layout(self, out: pathlib.Path):
        self.assertEqual(self.library_of(out), sorted(sources_of_all_kernels()))
        for source in ["mote_arduino.cpp", "firmware/one_chip.cpp", "model/transformer.cpp"]:
            self.compile(out, out / "src" / source)
        for sketch in SKETCHES:
            self.compile(out, out / f"examples/{sketch}/{sketch}.ino", "-include", "Arduino.h",
                         "-x", "c++")
        self.assertFalse(list(out.rglob("*.cmake")))

    def test_arduino(self):
        out = self.package("arduino")
        self.check_arduino_layout(out)
        for name in ["library.properties", "keywords.txt", "README.md", "LICENSE"]:
            self.assertGreater((out / name).stat().st_size, 0, name)

    def test_each_processor_gets_its_kernels(self):
        """Of the sources of some kernels alone, those of the processor define something."""
        out = self.package("arduino")
        some = sources_of_all_kernels() - set.intersection(
            *(set(library_sources(kernels=kernels)) for kernels in KERNELS))
        self.assertGreaterEqual(len(some), len(KERNELS))
        arm = ["arm-none-eabi-g++", "-mthumb", "--specs=picolibc.specs"]
        riscv = ["riscv64-unknown-elf-g++", "--specs=picolibc.specs", "-mabi=ilp32"]
        for kernels, *compiler in [
            ("armv6m", *arm, "-mcpu=cortex-m0plus"), ("armv6m", *arm, "-mcpu=cortex-m3"),
            ("armv7em", *arm, "-mcpu=cortex-m4"), ("armv7em", *arm, "-mcpu=cortex-m33"),
            ("mve", *arm, "-mcpu=cortex-m55", "-mfloat-abi=hard"),
            ("rv32", *riscv, "-march=rv32imc"), ("portable", *riscv, "-march=rv32ic"),
            ("armv6m", "xtensa-lx106-elf-g++"),
        ]:
            if shutil.which(compiler[0]) is None:
                continue
            defining = {source for source in some if self.symbols_of(out, source, compiler)}
            self.assertEqual(defining, some & set(library_sources(kernels=kernels)), compiler)

    def symbols_of(self, out: pathlib.Path, source: str, compiler: list) -> str:
        headers = pathlib.Path("/usr/include/newlib/c++/12.2.1")
        made = self.folder / "kernels.o"
        run(*compiler, "-std=gnu++20", "-O2", "-ffreestanding", "-nostdinc++", "-isystem", headers,
            "-isystem", headers / "arm-none-eabi", "-I", out / "src", "-c", out / "src" / source,
            "-o", made)
        return run(compiler[0].replace("g++", "nm"), "--defined-only", "--extern-only", made)

    def test_platformio(self):
        out = self.package("platformio")
        self.check_arduino_layout(out)
        manifest = json.loads((out / "library.json").read_text())
        for example in manifest["examples"]:
            for name in example["files"]:
                self.assertTrue((out / example["base"] / name).is_file(), name)

    def test_esp_idf(self):
        out = self.package("esp_idf")
        self.assertEqual(self.library_of(out), sorted(sources_of_all_kernels(both=True)))
        for name in ["idf_component.yml", "Kconfig", "README.md", "LICENSE", "src/sources.cmake",
                     "include/mote/node.hpp", "include/mote_esp_idf.hpp"]:
            self.assertGreater((out / name).stat().st_size, 0, name)

    def test_refusals(self):
        script = ROOT / "scripts/package_library.sh"
        (self.folder / "mote").mkdir()
        (self.folder / "mote/file").touch()
        for arguments in [[], ["conan", self.folder / "a"], ["arduino", self.folder / "mote"],
                          ["esp_idf", self.folder / "other"]]:
            result = subprocess.run([script, *arguments], capture_output=True, text=True)
            self.assertNotEqual(result.returncode, 0, arguments)
            self.assertTrue(result.stderr.startswith("package_library: "), result.stderr)

    def test_model_header(self):
        image = self.folder / "model.mote"
        image.write_bytes(bytes(range(256)) * 3)
        header = self.folder / "model_data.h"
        run("python3", PORTS / "arduino/extras/model_to_header.py", image, header)
        numbers = re.findall(r"(?m)^[\d,]+$", header.read_text())
        data = bytes(int(n) for line in numbers for n in line.split(",") if n)
        self.assertEqual(data, image.read_bytes())


if __name__ == "__main__":
    unittest.main()
