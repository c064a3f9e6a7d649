// SPDX-License-Identifier: Apache-2.0
// The program `mote`.
#include <cstdio>
#include <exception>

#include <CLI/CLI.hpp>

#include "cli/commands.hpp"

int main(int argc, char** argv) {
  CLI::App app("Transformer language models on microcontrollers, in integers only.", "mote");
  app.require_subcommand(1);
  app.footer(
      "Example: mote run -m stories260K.mote -p \"Once upon a time\" -n 100\n"
      "mote SUBCOMMAND --help tells the options of each.");
  mote::host::add_convert_command(app);
  mote::host::add_run_command(app);
  mote::host::add_perplexity_command(app);
  mote::host::add_inspect_command(app);
  mote::host::add_bench_command(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mote: %s\n", error.what());
    return 1;
  }
  return 0;
}
