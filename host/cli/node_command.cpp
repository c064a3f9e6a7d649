// SPDX-License-Identifier: Apache-2.0
// `mote node`: this computer as one chip of a cluster.
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cluster/node_server.hpp"
#include "run/engine.hpp"
#include "run/model_file.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

struct NodeArguments {
  std::string shard;
  std::string listen;
  std::int64_t weight = -1;  // -1: that of the shard, or 1
  std::uint64_t memory_bytes = 0;
  std::uint32_t verify_interval = 0;
  bool once = false;
  bool quiet = false;
  std::string stats_path;
};

std::atomic<bool> must_stop = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal may set it");

/// The first signal ends the node in good order; poll() returns at once.
void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { must_stop = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

std::uint8_t weight_of(const NodeArguments& arguments, const Image& image) {
  if (arguments.weight >= 0) return static_cast<std::uint8_t>(arguments.weight);
  if (!image.is_shard()) return 1;
  return image.shard().weights[image.shard().rank];
}

void serve(const NodeArguments& arguments) {
  const ModelFile file(arguments.shard, Verify::full);
  const Image& image = file.image();
  NodeServerOptions options;
  options.listen = parse_address(arguments.listen);
  options.weight = weight_of(arguments, image);
  options.memory_bytes = arguments.memory_bytes;
  options.verify_interval = arguments.verify_interval;
  options.once = arguments.once;
  if (!arguments.quiet) {
    options.say = [](std::string_view line) { fmt::print(stderr, "mote: {}\n", line); };
  }
  NodeServer server(image, options);
  stop_on_signals();
  fmt::print("listening on {}\n", server.address());
  if (std::fflush(stdout) != 0) throw Error("standard output: cannot write");
  server.run(must_stop);
  if (!arguments.stats_path.empty()) {
    write_work_json(arguments.stats_path, work_json(server.stats()));
  }
}

}  // namespace

void add_node_command(CLI::App& app) {
  const auto arguments = std::make_shared<NodeArguments>();
  CLI::App* command = app.add_subcommand("node", "Be one chip of a cluster");
  command->footer(
      "Example:\n"
      "  mote node --shard shards/stories260K.0of2.mote --listen tcp://0.0.0.0:4000\n"
      "  mote node --shard stories260K.mote --listen \"serial:///dev/ttyUSB0?baud=2000000\"\n"
      "`mote run --nodes` drives it.");
  command
      ->add_option("-m,--shard", arguments->shard,
                   "Image of one chip's part (mote shard), or of a whole model, which takes any")
      ->required();
  command
      ->add_option("--listen", arguments->listen,
                   "tcp://HOST:PORT (port 0: any that is free) or serial://DEVICE?baud=RATE")
      ->required();
  command
      ->add_option("--weight", arguments->weight,
                   "Relative speed of this chip; 0: it holds nothing; -1: that of the shard, or 1")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{-1}, std::int64_t{255}));
  command
      ->add_option("--memory", arguments->memory_bytes,
                   "Working memory, such as 320KiB; if not given, what the whole context needs")
      ->transform(CLI::AsSizeValue(true))
      ->check(CLI::Range(std::uint64_t{4096}, std::uint64_t{1} << 40));
  command
      ->add_option("--verify", arguments->verify_interval,
                   "Check the image each N tokens, for memory that decays; 0: never")
      ->capture_default_str();
  command->add_flag("--once", arguments->once, "End when the first driver has left");
  command->add_flag("-q,--quiet", arguments->quiet, "Do not tell of drivers that come and go");
  command->add_option("--stats-json", arguments->stats_path,
                      "File that tells at the end where the time went, and bytes a token");
  command->callback([arguments] { serve(*arguments); });
}

}  // namespace mote::host
