// SPDX-License-Identifier: Apache-2.0
// `mote signature`: the hash that a board prints for the same model.
#include <memory>
#include <string>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cluster/chip.hpp"
#include "firmware/signature.hpp"
#include "run/engine.hpp"
#include "support/error.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {
namespace {

void print_signature(const std::string& path) {
  const MappedFile file(path);
  const Image image = open_image(path, file.bytes(), Verify::full);
  if (image.is_shard()) throw Error(path + ": holds one chip's part; a whole model is needed");
  const Tokenizer tokenizer = open_tokenizer(path, image);
  ArenaMemory memory(firmware::signature_arena_bytes(image));
  std::uint64_t signature = 0;
  check(firmware::compute_signature(signature, image, tokenizer, memory.span()), path);
  fmt::print("{:016x}\n", signature);
}

}  // namespace

void add_signature_command(CLI::App& app) {
  const auto path = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("signature", "Print one hash over tokens and logits of a model");
  command->footer(
      "A board that holds the same image prints the same hash for the command `signature`.\n"
      "Example: mote signature -m stories260K.mote");
  command->add_option("model,-m,--model", *path, "Model image (.mote)")->required();
  command->callback([path] { print_signature(*path); });
}

}  // namespace mote::host
