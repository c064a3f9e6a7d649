// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <fstream>
#include <string>

#include "cluster/chip.hpp"
#include "firmware/signature.hpp"
#include "support/image_factory.hpp"
#include "support/program.hpp"
#include "support/temporary_file.hpp"

namespace mote::test {
namespace {

TEST(SignatureCommand, prints_what_a_board_would) {
  const Bytes bytes = make_image(tiny_model());
  const host::TemporaryFile file("mote-test");
  std::ofstream(file.path(), std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  const OpenImage image(bytes);
  Tokenizer tokenizer;
  ASSERT_EQ(tokenizer.open(image->section_bytes(SectionKind::tokenizer)), Status::ok);
  host::ArenaMemory memory(firmware::signature_arena_bytes(image.image()));
  std::uint64_t signature = 0;
  ASSERT_EQ(firmware::compute_signature(signature, image.image(), tokenizer, memory.span()),
            Status::ok);
  const ProgramResult result = run_program(MOTE_PROGRAM, {"signature", "-m", file.path()});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(result.output, fmt::format("{:016x}\n", signature));
}

TEST(SignatureCommand, names_a_file_that_is_no_image) {
  const ProgramResult result = run_program(MOTE_PROGRAM, {"signature", "/dev/null"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_NE(result.errors.find("/dev/null"), std::string::npos) << result.errors;
}

}  // namespace
}  // namespace mote::test
