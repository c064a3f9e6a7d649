// SPDX-License-Identifier: Apache-2.0
#include "firmware/one_chip.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "firmware/signature.hpp"
#include "support/firmware_model.hpp"
#include "support/shard_factory.hpp"

namespace mote::firmware {
namespace {

using Json = nlohmann::json;
using test::FakeBoard;
using test::OpenImage;
using test::Tokens;

const test::Bytes& model_bytes() {
  static const test::Bytes bytes = test::make_image(test::firmware_model());
  return bytes;
}

/// All that the program says to `typed` and then `reset`.
std::vector<Json> answers_to(FakeBoard& board, const std::string& typed) {
  test::use_board(board);
  board.typed = typed + "!reset\n";
  board.shown.clear();
  EXPECT_EQ(run_one_chip(), 0);
  auto answers = test::answers_of(board);
  EXPECT_FALSE(answers.empty());
  if (!answers.empty()) answers.pop_back();
  return answers;
}

std::string error_of(FakeBoard& board, const std::string& typed) {
  const auto answers = answers_to(board, typed);
  return answers.size() == 1 && answers[0].contains("error") ? answers[0]["error"] : "none";
}

TEST(OneChip, answers_with_the_tokens_of_the_library) {
  FakeBoard board(model_bytes());
  const OpenImage image(model_bytes());
  const auto answers = answers_to(board, "!run n=20 -- Once upon\n");
  const Tokens expected = test::expected_tokens(image.image(), "Once upon", 20);
  EXPECT_EQ(test::told_tokens(answers), expected);
  const Json& done = answers.back();
  EXPECT_EQ(done["done"], true);
  EXPECT_EQ(done["tokens"], expected.size());
  EXPECT_EQ(done["prompt_tokens"], test::encoded(image.image(), "Once upon").size());
  EXPECT_EQ(done["context"], 48);
  EXPECT_EQ(done["unit"], "cycles");
  EXPECT_EQ(done["arena_bytes"], Transformer::arena_bytes(image.image(), {48, 8, 1}));
}

TEST(OneChip, answers_sampled_as_the_options_say) {
  FakeBoard board(model_bytes());
  const OpenImage image(model_bytes());
  SamplerConfig sampling;
  sampling.temperature_q16 = 52429;
  sampling.top_k = 30;
  sampling.top_p_q16 = 58982;
  sampling.min_p_q16 = 655;
  sampling.repeat_penalty_q16 = 72090;
  sampling.seed = 12345678901234567890ULL;
  const auto answers = answers_to(
      board,
      "!run n=20 temperature=0.8 top_k=30 top_p=0.9 min_p=0.01 repeat_penalty=1.1 batch=3 "
      "seed=12345678901234567890 context=40 -- a\\nb\n");
  EXPECT_EQ(test::told_tokens(answers), test::expected_tokens(image.image(), "a\nb", 20, sampling));
  EXPECT_EQ(answers.back()["context"], 40);
}

TEST(OneChip, a_second_answer_knows_nothing_of_the_first) {
  FakeBoard board(model_bytes());
  const OpenImage image(model_bytes());
  const auto answers = answers_to(board, "!run n=9 -- abc\n!run n=9 -- xy\n");
  Tokens expected = test::expected_tokens(image.image(), "abc", 9);
  const Tokens second = test::expected_tokens(image.image(), "xy", 9);
  expected.insert(expected.end(), second.begin(), second.end());
  EXPECT_EQ(test::told_tokens(answers), expected);
}

TEST(OneChip, people_see_the_text_and_the_figures) {
  FakeBoard board(model_bytes());
  answers_to(board, "run n=4 -- Once\n");
  EXPECT_NE(board.shown.find("> run n=4 -- Once\r\n"), std::string::npos) << board.shown;
  EXPECT_NE(board.shown.find("  tokens            4\r\n"), std::string::npos) << board.shown;
}

TEST(OneChip, an_empty_text_begins_with_the_beginning) {
  FakeBoard board(model_bytes());
  const OpenImage image(model_bytes());
  const auto answers = answers_to(board, "!run n=5\n");
  EXPECT_EQ(test::told_tokens(answers), test::expected_tokens(image.image(), "", 5));
}

TEST(OneChip, stops_at_the_end_of_the_context) {
  FakeBoard board(model_bytes());
  const OpenImage image(model_bytes());
  const auto answers = answers_to(board, "!run context=7 repeat_penalty=2 -- a\n");
  const std::size_t given = test::encoded(image.image(), "a").size();
  EXPECT_LE(test::told_tokens(answers).size(), 8 - given);
  const bool is_full = answers.back()["ended"] == "context";
  EXPECT_EQ(is_full, test::told_tokens(answers).size() == 8 - given);
}

TEST(OneChip, refuses_a_text_that_leaves_no_position) {
  FakeBoard board(model_bytes());
  EXPECT_EQ(error_of(board, "!run context=3 -- a b c d e f g h\n"),
            status_text(Status::context_full));
  EXPECT_EQ(error_of(board, "!run " + std::string(2000, 'a') + "\n"),
            "the line: expected at most 1023 bytes");
}

TEST(OneChip, control_c_ends_an_answer) {
  FakeBoard board(model_bytes());
  // It is read after the first token.
  const auto answers = answers_to(board, "!run n=40 -- Once\n\x03");
  EXPECT_EQ(answers.back()["ended"], "stopped");
  EXPECT_EQ(test::told_tokens(answers).size(), 1U);
}

TEST(OneChip, takes_the_largest_context_that_fits) {
  const OpenImage image(model_bytes());
  FakeBoard probe(model_bytes());
  const auto info = answers_to(probe, "!info\n");
  const std::size_t program = info[0]["program_bytes"];
  const std::size_t model = Transformer::arena_bytes(image.image(), {20, 8, 1});
  // 1 token of text at the end of the memory, and room for encoding it.
  FakeBoard board(model_bytes(), program + model + 32);
  const auto answers = answers_to(board, "!run n=2\n");
  EXPECT_EQ(answers.back()["context"], 20) << answers.back();
  EXPECT_EQ(answers.back()["arena_bytes"], model);
  EXPECT_EQ(error_of(board, "!run n=2 context=22\n"), status_text(Status::arena_too_small));
}

TEST(OneChip, says_that_the_arena_is_too_small) {
  FakeBoard board(model_bytes(), 4096);
  EXPECT_EQ(error_of(board, "!run n=2 -- a\n"), status_text(Status::arena_too_small));
  EXPECT_EQ(error_of(board, "!signature\n"), status_text(Status::arena_too_small));
  EXPECT_EQ(error_of(board, "!bench\n"), status_text(Status::arena_too_small));
  FakeBoard tiny(model_bytes(), 256);
  test::use_board(tiny);
  EXPECT_EQ(run_one_chip(), 1);
}

TEST(OneChip, says_what_is_wrong_with_the_image) {
  FakeBoard none({});
  EXPECT_EQ(error_of(none, "!run a\n"), status_text(Status::image_truncated));
  FakeBoard erased(test::Bytes(4096, 0xff));
  EXPECT_EQ(error_of(erased, "!signature\n"), status_text(Status::image_bad_magic));
  test::Bytes damaged = model_bytes();
  damaged[damaged.size() / 2] ^= 1;
  FakeBoard flipped(damaged);
  const auto info = answers_to(flipped, "!info\n");
  EXPECT_EQ(info[0]["status"], status_text(Status::image_bad_section_crc));
}

TEST(OneChip, the_region_may_be_longer_than_the_image) {
  test::Bytes flash = model_bytes();
  flash.resize(flash.size() + 100'000, 0xff);
  FakeBoard board(flash);
  const auto info = answers_to(board, "!info\n");
  EXPECT_EQ(info[0]["status"], status_text(Status::ok));
  EXPECT_EQ(info[0]["image_bytes"], model_bytes().size());
}

TEST(OneChip, refuses_a_shard) {
  const OpenImage image(model_bytes());
  const test::Cut cut(image.image(), HeadPolicy::contiguous, {1, 1});
  FakeBoard board(test::shard_bytes(image.image(), cut.info(image.image(), 0)));
  EXPECT_EQ(error_of(board, "!run a\n"), "the image is one chip's part: expected a whole model");
  const auto info = answers_to(board, "!info\n");
  EXPECT_EQ(info[0]["chips"], 2);
}

TEST(OneChip, info_says_what_the_board_is_and_holds) {
  FakeBoard board(model_bytes());
  board.stack.assign(1000, board::kStackPaint);
  std::fill(board.stack.begin() + 700, board.stack.end(), std::byte{1});
  const auto info = answers_to(board, "!run n=1 -- a\n!info\n").back();
  const OpenImage image(model_bytes());
  EXPECT_EQ(info["program"], "one_chip");
  EXPECT_EQ(info["board"], "fake");
  EXPECT_EQ(info["dim"], 64);
  EXPECT_EQ(info["vocabulary"], 300);
  EXPECT_EQ(info["format"], "int8");
  EXPECT_EQ(info["arena_bytes"], Transformer::arena_bytes(image.image(), {48, 8, 1}));
  EXPECT_EQ(info["arena_size"].get<std::size_t>() + info["program_bytes"].get<std::size_t>(),
            std::size_t{1} << 20);
  EXPECT_EQ(info["stack_size"], 1000);
  EXPECT_EQ(info["stack_bytes"], 300);
  EXPECT_EQ(info["identity"], "0000000000001234");
}

TEST(OneChip, info_names_paired_lanes) {
  test::ModelSpec model = test::firmware_model();
  model.weights = WeightFormat::int8_pairs;
  FakeBoard board(test::make_image(model));
  EXPECT_EQ(answers_to(board, "!info\n")[0]["format"], "int8_pairs");
}

TEST(OneChip, bench_tells_positions_up_to_the_context) {
  FakeBoard board(model_bytes());
  const auto answers = answers_to(board, "!bench\n!bench n=20\n");
  std::vector<std::string> rows;
  for (const Json& row : answers) {
    if (row.contains("pass")) {
      rows.push_back(row["pass"].get<std::string>() + row["position"].dump());
    }
  }
  EXPECT_EQ(rows, (std::vector<std::string>{"prefill0", "decode1", "decode16", "prefill0",
                                            "decode1", "decode16"}));
}

TEST(OneChip, the_signature_is_that_of_the_host) {
  FakeBoard board(model_bytes());
  const OpenImage image(model_bytes());
  Tokenizer tokenizer;
  ASSERT_EQ(tokenizer.open(image->section_bytes(SectionKind::tokenizer)), Status::ok);
  host::ArenaMemory memory(signature_arena_bytes(image.image()));
  std::uint64_t expected = 0;
  ASSERT_EQ(compute_signature(expected, image.image(), tokenizer, memory.span()), Status::ok);
  const auto answers = answers_to(board, "!run n=3 -- x\n!signature\n!signature\n");
  ASSERT_EQ(answers.back()["signature"].get<std::string>().size(), 16U);
  EXPECT_EQ(std::stoull(answers.back()["signature"].get<std::string>(), nullptr, 16), expected);
  EXPECT_EQ(answers.back()["signature"], answers[answers.size() - 2]["signature"]);
}

TEST(OneChip, errors_name_what_is_expected) {
  FakeBoard board(model_bytes());
  EXPECT_EQ(error_of(board, "!foo\n"), "foo: expected run, bench, info, signature, reset or help");
  EXPECT_EQ(error_of(board, "!\n"), ": expected run, bench, info, signature, reset or help");
  EXPECT_EQ(error_of(board, "!run temperature=101 x\n"),
            "temperature=101: expected temperature=0.8, 0 to 100");
  EXPECT_EQ(error_of(board, "!run context=49 x\n"), status_text(Status::bad_run_config));
  EXPECT_EQ(error_of(board, "!run -- a\\\n"), "a\\: expected \\n, \\r, \\t, \\\\ or \\xHH");
  EXPECT_EQ(error_of(board, "!bench n=0\n"), "n=0: expected n=64, the last position");
}

TEST(OneChip, survives_garbage_on_the_console) {
  FakeBoard board(model_bytes());
  std::string garbage;
  Pcg32 random(3);
  for (int i = 0; i < 20'000; ++i) {
    const char byte = static_cast<char>(random.next());
    // It must not say reset.
    if (byte != 'r') garbage += byte;
  }
  const auto answers = answers_to(board, garbage + "\n!info\n");
  EXPECT_EQ(answers.back()["program"], "one_chip");
}

TEST(OneChip, help_names_every_command) {
  FakeBoard board(model_bytes());
  answers_to(board, "help\n");
  for (const char* command : {"run", "bench", "info", "signature", "reset"}) {
    EXPECT_NE(board.shown.find(std::string("\n") + command), std::string::npos) << command;
  }
}

}  // namespace
}  // namespace mote::firmware
