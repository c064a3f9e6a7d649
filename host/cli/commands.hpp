// SPDX-License-Identifier: Apache-2.0
// The subcommands of `mote`. Each adds its options to the program and runs when it is named.
#pragma once

#include <CLI/CLI.hpp>

namespace mote::host {

void add_convert_command(CLI::App& app);
void add_run_command(CLI::App& app);
void add_chat_command(CLI::App& app);
void add_perplexity_command(CLI::App& app);
void add_inspect_command(CLI::App& app);
void add_pack_command(CLI::App& app);
void add_shard_command(CLI::App& app);
void add_plan_command(CLI::App& app);
void add_node_command(CLI::App& app);
void add_simulate_command(CLI::App& app);
void add_bench_command(CLI::App& app);
void add_signature_command(CLI::App& app);
void add_board_command(CLI::App& app);

}  // namespace mote::host
