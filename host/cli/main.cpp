// SPDX-License-Identifier: Apache-2.0
// The program `mote`.
#include <cstdio>
#include <exception>

#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "support/error.hpp"

int main(int argc, char** argv) {
  CLI::App app("Transformer language models on microcontrollers, in integers only.", "mote");
  app.require_subcommand(1);
  app.footer(
      "Example: mote run -m stories260K.mote -p \"Once upon a time\" -n 100\n"
      "mote SUBCOMMAND --help tells the options of each.");
  mote::host::add_convert_command(app);
  mote::host::add_run_command(app);
  mote::host::add_chat_command(app);
  mote::host::add_perplexity_command(app);
  mote::host::add_inspect_command(app);
  mote::host::add_pack_command(app);
  mote::host::add_shard_command(app);
  mote::host::add_plan_command(app);
  mote::host::add_node_command(app);
  mote::host::add_simulate_command(app);
  mote::host::add_bench_command(app);
  mote::host::add_signature_command(app);
  mote::host::add_board_command(app);
  try {
    app.parse(argc, argv);
    if (std::fflush(stdout) != 0) throw mote::host::Error("standard output: cannot write");
  } catch (const CLI::RequiredError& error) {
    // What was not understood says more than what is missing because of it.
    const auto unknown = app.remaining(true);
    return unknown.empty() ? app.exit(error) : app.exit(CLI::ExtrasError("mote", unknown));
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mote: %s\n", error.what());
    return 1;
  }
  return 0;
}
