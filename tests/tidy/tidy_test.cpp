// SPDX-License-Identifier: Apache-2.0
// The house style, checked over the whole repository; and proof that each rule can fail.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tidy/rules.hpp"

namespace mote::tidy {
namespace {

namespace fs = std::filesystem;

const std::vector<Partner> kPartnerExceptions = {
    {"cluster/node_receive.cpp", "cluster/node_test.cpp", "what a node does with messages"},
    {"cluster/node_transmit.cpp", "cluster/node_test.cpp", "what a node has to say"},
    {"firmware/cluster_commands.cpp", "firmware/cluster_node_test.cpp", "a node's console"},
    {"attention/attend_portable.cpp", "attention/attend_test.cpp", "both forms, one suite"},
    {"attention/attend_armv7em.cpp", "attention/attend_test.cpp", "its cases, run on boards"},
    {"attention/attend_rv32.cpp", "attention/attend_test.cpp", "both forms, one suite"},
    {"attention/linear_armv7em.cpp", "attention/linear_test.cpp", "its cases, run on boards"},
    {"attention/linear_portable.cpp", "attention/linear_test.cpp", "both forms, one suite"},
    {"attention/linear_rv32.cpp", "attention/linear_test.cpp", "its cases, run on boards"},
    {"attention/pair_rv32.cpp", "attention/attend_test.cpp", "its cases, run on boards"},
    {"attention/pair_armv7em.cpp", "attention/attend_test.cpp", "its cases, run on boards"},
    {"attention/pair_portable.cpp", "attention/attend_test.cpp", "what does nothing"},
    {"attention/weigh_armv7em.cpp", "attention/attend_test.cpp", "its cases, run on boards"},
    {"attention/weigh_rv32.cpp", "attention/attend_test.cpp", "its cases, run on boards"},
    {"attention/weigh_portable.cpp", "attention/attend_test.cpp", "both forms, one suite"},
    {"attention/attend_avx2.cpp", "attention/attend_arch_test.cpp", "all sets, one suite"},
    {"attention/attend_avx512.cpp", "attention/attend_arch_test.cpp", "all sets, one suite"},
    {"kernels/activation_avx2.cpp", "kernels/lanes_arch_test.cpp", "all sets, one suite"},
    {"kernels/activation_armv7em.cpp", "kernels/activation_test.cpp", "its cases, run on boards"},
    {"kernels/activation_portable.cpp", "kernels/activation_test.cpp", "both forms, one suite"},
    {"kernels/activation_avx512.cpp", "kernels/lanes_arch_test.cpp", "all sets, one suite"},
    {"kernels/exp2_x86.cpp", "kernels/lanes_arch_test.cpp", "read by kernels alone"},
    {"kernels/heads_avx2.cpp", "kernels/heads_test.cpp", "all sets, one suite"},
    {"kernels/heads_avx512.cpp", "kernels/heads_test.cpp", "all sets, one suite"},
    {"kernels/matvec_avx2.cpp", "kernels/arch_equals_ref_test.cpp", "all sets, one suite"},
    {"kernels/matvec_avx512.cpp", "kernels/arch_equals_ref_test.cpp", "all sets, one suite"},
    {"kernels/matvec_dotprod.cpp", "kernels/arch_equals_ref_test.cpp", "all sets, one suite"},
    {"kernels/quantize_avx2.cpp", "kernels/lanes_arch_test.cpp", "all sets, one suite"},
    {"kernels/norm_armv7em.cpp", "kernels/rms_norm_test.cpp", "its cases, run on boards"},
    {"kernels/norm_portable.cpp", "kernels/rms_norm_test.cpp", "both forms, one suite"},
    {"kernels/quantize_armv7em.cpp", "kernels/quantize_test.cpp", "its cases, run on boards"},
    {"kernels/quantize_portable.cpp", "kernels/quantize_test.cpp", "both forms, one suite"},
    {"kernels/quantize_avx512.cpp", "kernels/lanes_arch_test.cpp", "all sets, one suite"},
    {"kernels/rms_norm_avx2.cpp", "kernels/lanes_arch_test.cpp", "all sets, one suite"},
    {"kernels/rms_norm_avx512.cpp", "kernels/lanes_arch_test.cpp", "all sets, one suite"},
    {"kernels/search_avx2.cpp", "kernels/search_test.cpp", "all sets, one suite"},
    {"kernels/search_avx512.cpp", "kernels/search_test.cpp", "all sets, one suite"},
    {"kernels/isa_rounding.cpp", "kernels/arch_equals_ref_test.cpp", "called by kernels alone"},
    {"kernels/head_rows_portable.cpp", "kernels/head_rows_test.cpp", "both forms, one suite"},
    {"kernels/head_rows_scalar.cpp", "kernels/head_rows_test.cpp", "both forms, one suite"},
    {"kernels/matvec_armv6m.cpp", "kernels/arch_equals_ref_test.cpp", "all sets, one suite"},
    {"kernels/matvec_armv7em.cpp", "kernels/arch_equals_ref_test.cpp", "all sets, one suite"},
    {"kernels/matvec_mve.cpp", "kernels/arch_equals_ref_test.cpp", "all sets, one suite"},
    {"kernels/matvec_mve_rows.cpp", "kernels/arch_equals_ref_test.cpp", "all sets, one suite"},
    {"kernels/matvec_neon.cpp", "kernels/arch_equals_ref_test.cpp", "all sets, one suite"},
    {"kernels/matvec_rv32.cpp", "kernels/arch_equals_ref_test.cpp", "all sets, one suite"},
    {"kernels/matvec_portable.cpp", "kernels/arch_equals_ref_test.cpp", "all sets, one suite"},
    {"model/candidates.cpp", "model/sampler_test.cpp", "what a sampler draws from"},
    {"model/tokenizer_encode.cpp", "model/tokenizer_test.cpp", "the second half of Tokenizer"},
    {"model/transformer_heads.cpp", "model/transformer_test.cpp", "the phases of one layer"},
    {"model/transformer_layer.cpp", "model/transformer_test.cpp", "the phases of one layer"},
};

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

bool is_source(const fs::path& path) {
  static const std::set<std::string> kExtensions = {".cpp", ".hpp", ".cmake", ".sh"};
  return kExtensions.contains(path.extension().string()) || path.filename() == "CMakeLists.txt";
}

/// Path relative to the repository, and text, of every source file.
const std::map<std::string, std::string>& sources() {
  static const std::map<std::string, std::string> kSources = [] {
    std::map<std::string, std::string> found;
    const fs::path root = MOTE_SOURCE_DIR;
    for (const char* folder :
         {"include", "src", "host", "tests", "fuzz", "bench", "examples", "ports", "scripts"}) {
      if (!fs::exists(root / folder)) {
        continue;
      }
      for (auto it = fs::recursive_directory_iterator(root / folder); it != end(it); ++it) {
        if (it->path().filename() == "build") {
          it.disable_recursion_pending();
        } else if (it->is_regular_file() && is_source(it->path())) {
          found[it->path().lexically_relative(root).generic_string()] = read(it->path());
        }
      }
    }
    return found;
  }();
  return kSources;
}

/// The .cpp files below a folder, relative to it.
std::set<std::string> cpp_files_below(const std::string& folder) {
  std::set<std::string> files;
  for (const auto& [path, text] : sources()) {
    if (path.starts_with(folder) && path.ends_with(".cpp")) {
      files.insert(path.substr(folder.size()));
    }
  }
  return files;
}

void expect_none(const std::string& path, const Findings& findings) {
  for (const Finding& finding : findings) {
    ADD_FAILURE() << path << ":" << finding.line << ": " << finding.message;
  }
}

TEST(Tidy, walk_finds_the_repository) {
  EXPECT_TRUE(sources().contains("include/mote/transformer.hpp"));
  EXPECT_TRUE(sources().contains("src/sources.cmake"));
  EXPECT_TRUE(sources().contains("tests/tidy/tidy_test.cpp"));
}

TEST(Tidy, shape) {
  for (const auto& [path, text] : sources()) {
    expect_none(path, check_shape(path, text));
  }
}

TEST(Tidy, marks) {
  for (const auto& [path, text] : sources()) {
    expect_none(path, check_marks(text));
  }
}

TEST(Tidy, device_code_uses_nothing_banned) {
  for (const auto& [path, text] : sources()) {
    if (is_device_code(path)) {
      expect_none(path, check_banned(text));
    }
  }
}

TEST(Tidy, includes_point_left) {
  for (const auto& [path, text] : sources()) {
    if (is_device_code(path)) {
      expect_none(path, check_layers(path, text));
    }
  }
}

TEST(Tidy, source_list_is_complete) {
  expect_none("src/sources.cmake",
              check_source_list(sources().at("src/sources.cmake"), cpp_files_below("src/")));
}

TEST(Tidy, every_source_has_a_test) {
  std::set<std::string> tested;
  for (const std::string& source : cpp_files_below("src/")) {
    if (!source.starts_with("base/")) {
      tested.insert(source);
    }
  }
  expect_none("tests", check_partners(tested, cpp_files_below("tests/"), kPartnerExceptions));
}

TEST(Tidy, readme_shows_the_program_that_is_built) {
  const std::string program = read(fs::path(MOTE_SOURCE_DIR) / "examples/tell_story.cpp");
  const std::string readme = read(fs::path(MOTE_SOURCE_DIR) / "README.md");
  EXPECT_NE(readme.find("```cpp\n" + program + "```\n"), std::string::npos);
}

// From here on: each rule finds what it is for, and nothing else.

constexpr std::string_view kSpdx = "// SPDX-License-Identifier: Apache-2.0\n";

std::string with_spdx(std::string_view text) {
  return std::string(kSpdx) + std::string(text);
}

std::string repeat(std::string_view text, std::size_t times) {
  std::string result;
  for (std::size_t i = 0; i < times; ++i) {
    result += text;
  }
  return result;
}

TEST(TidyRules, shape_accepts_a_good_file) {
  EXPECT_TRUE(check_shape("src/base/a.cpp", with_spdx("int a = 1;\n")).empty());
  EXPECT_TRUE(check_shape("src/base/a.hpp", with_spdx("#pragma once\n")).empty());
  EXPECT_TRUE(check_shape("src/sources.cmake", "set(A)\n").empty());
  EXPECT_TRUE(check_shape("src/base/a.cpp", with_spdx(repeat("x", 100) + "\n")).empty());
  EXPECT_TRUE(check_shape("src/base/a.cpp", with_spdx(repeat("\xc3\xa9", 100) + "\n")).empty());
  EXPECT_TRUE(check_shape("src/base/a.cpp", with_spdx(repeat("\n", 499))).empty());
  EXPECT_TRUE(check_shape("src/kernels/a_avx2.cpp", with_spdx(repeat("\n", 799))).empty());
  EXPECT_TRUE(check_shape("src/kernels/sine_table.cpp", with_spdx(repeat("\n", 799))).empty());
}

TEST(TidyRules, shape_refuses_each_fault) {
  EXPECT_EQ(check_shape("src/base/a.cpp", "int a = 1;\n").size(), 1U);
  EXPECT_EQ(check_shape("src/base/a.hpp", with_spdx("int a();\n")).size(), 1U);
  EXPECT_EQ(check_shape("src/base/a.cpp", with_spdx("int a;")).size(), 1U);
  EXPECT_EQ(check_shape("src/base/a.cpp", with_spdx("\tint a;\n")).size(), 1U);
  EXPECT_EQ(check_shape("src/base/a.cpp", with_spdx("int a; \n")).size(), 1U);
  EXPECT_EQ(check_shape("src/base/a.cpp", with_spdx("int a;\r\n")).size(), 1U);
  EXPECT_EQ(check_shape("src/base/a.cpp", with_spdx(repeat("x", 101) + "\n")).size(), 1U);
  EXPECT_EQ(check_shape("src/base/a.cpp", with_spdx(repeat("\n", 500))).size(), 1U);
  EXPECT_EQ(check_shape("src/kernels/a_avx2.cpp", with_spdx(repeat("\n", 800))).size(), 1U);
  EXPECT_EQ(check_shape("scripts/a.sh", "#!/bin/sh").size(), 1U);
}

TEST(TidyRules, marks) {
  // The texts are joined here, because the rule reads this file too.
  const std::string slash = "/";
  EXPECT_EQ(check_marks("int a;  // TO" + std::string("DO: more\n")).size(), 1U);
  EXPECT_EQ(check_marks("// FIX" + std::string("ME\n// XX") + "X\n/* HA" + "CK */\n").size(), 3U);
  EXPECT_EQ(check_marks("open(\"" + slash + "tmp/model\");\n").size(), 1U);
  EXPECT_EQ(check_marks(slash + "work/main/src\n").size(), 1U);
  EXPECT_EQ(check_marks("cd " + slash + "home/a\n").size(), 1U);
  EXPECT_TRUE(check_marks("mktemp -d mote.XXXXXX; HACKING.md; todo\n").empty());
  EXPECT_TRUE(
      check_marks(".." + slash + "work/a build" + slash + "tmp/b https://host/home/\n").empty());
}

TEST(TidyRules, banned_words_are_found) {
  for (const char* text : {"float a;",
                           "std::span<double> a;",
                           "auto* a = new int;",
                           "delete a;",
                           "malloc(4);",
                           "throw 1;",
                           "try {",
                           "typeid(a);",
                           "dynamic_cast<A*>(b);",
                           "std::vector<int> a;",
                           "std :: string a;",
                           "std::function<void()> a;",
                           "time(nullptr);",
                           "std::printf(\"\");",
                           "auto a = 1.5;",
                           "auto a = .5;",
                           "auto a = 1e3;",
                           "auto a = 0x1p3;",
                           "#include <iostream>",
                           "# include <cstdio>",
                           "#include <chrono>",
                           "#include <thread>",
                           "int b = 1'000; float a;",
                           "char b = '\"'; float a;",
                           "/* b */ float /* a */;",
                           "auto b = R\"(\")\"; float a;"}) {
    EXPECT_EQ(check_banned(text).size(), 1U) << text;
  }
}

TEST(TidyRules, banned_words_are_tokens_of_code) {
  for (const char* text :
       {"// a float\nint a;", "/* new\ndouble */ int a;", "auto a = \"new \\\" float\";",
        "std::string_view a;", "A(const A&) = delete;", "new (a) A; ::new(a) A;",
        "int new_rows, runtime, time;", "auto a = R\"x(float \" )\" )x\";",
        "auto a = 0x1e5 + 10'000u;", "#include <cstring>", "auto a = '\\'' + 'x';  // float",
        "model::string a;"}) {
    EXPECT_TRUE(check_banned(text).empty()) << text;
  }
  EXPECT_EQ(check_banned("/* one\n two */\nfloat a;").at(0).line, 3U);
}

TEST(TidyRules, layers_point_left) {
  const auto check = [](const char* path, const char* include) {
    return check_layers(path, std::string("#include ") + include + "\n").size();
  };
  EXPECT_EQ(check("src/model/a.cpp", "\"kernels/a.hpp\""), 0U);
  EXPECT_EQ(check("src/model/a.cpp", "\"model/a.hpp\""), 0U);
  EXPECT_EQ(check("src/base/a.cpp", "\"mote/arena.hpp\""), 0U);
  EXPECT_EQ(check("src/base/a.cpp", "<cstdint>"), 0U);
  EXPECT_EQ(check("include/mote/image.hpp", "\"mote/config.hpp\""), 0U);

  EXPECT_EQ(check("src/base/a.cpp", "\"kernels/a.hpp\""), 1U);
  EXPECT_EQ(check("src/kernels/a.cpp", "\"mote/image.hpp\""), 1U);
  EXPECT_EQ(check("src/attention/a.cpp", "\"model/a.hpp\""), 1U);
  EXPECT_EQ(check("src/model/a.cpp", "\"cluster/a.hpp\""), 1U);
  EXPECT_EQ(check("src/model/a.cpp", "\"convert/gguf.hpp\""), 1U);
  EXPECT_EQ(check("src/model/a.cpp", "\"host/run/session.hpp\""), 1U);
  EXPECT_EQ(check("src/model/a.cpp", "\"a.hpp\""), 1U);
  EXPECT_EQ(check("src/model/a.cpp", "<mote/image.hpp>"), 1U);
  EXPECT_EQ(check("src/model/a.cpp", "\"mote/nothing.hpp\""), 1U);
  EXPECT_EQ(check("src/other/a.cpp", "<cstdint>"), 1U);
  EXPECT_EQ(check("include/mote/arena.hpp", "\"mote/attention.hpp\""), 1U);
  EXPECT_EQ(check("include/mote/image.hpp", "\"base/crc32.hpp\""), 1U);
  EXPECT_EQ(check("include/mote/nothing.hpp", "<cstdint>"), 1U);
}

TEST(TidyRules, source_list) {
  EXPECT_TRUE(check_source_list("set(A\n base/a.cpp)  # b.cpp\n", {"base/a.cpp"}).empty());
  EXPECT_EQ(check_source_list("set(A base/a.cpp)", {}).size(), 1U);
  EXPECT_EQ(check_source_list("set(A)", {"base/a.cpp"}).size(), 1U);
  EXPECT_EQ(check_source_list("set(A base/a.cpp base/a.cpp)", {"base/a.cpp"}).size(), 1U);
}

TEST(TidyRules, partners) {
  const std::vector<Partner> exceptions = {
      {"kernels/a_ref.cpp", "kernels/a_test.cpp", "one suite"}};
  const std::set<std::string> both = {"kernels/a_ref.cpp", "model/b.cpp"};
  EXPECT_TRUE(check_partners(both, {"kernels/a_test.cpp", "model/b_test.cpp"}, exceptions).empty());
  EXPECT_EQ(check_partners(both, {"kernels/a_test.cpp"}, exceptions).size(), 1U);
  EXPECT_EQ(check_partners(both, {"model/b_test.cpp"}, exceptions).size(), 1U);
  EXPECT_EQ(check_partners({}, {}, exceptions).size(), 1U);
}

}  // namespace
}  // namespace mote::tidy
