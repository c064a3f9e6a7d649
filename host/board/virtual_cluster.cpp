// SPDX-License-Identifier: Apache-2.0
#include "board/virtual_cluster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <filesystem>
#include <utility>

#include "cluster/work_meter.hpp"
#include "plan/link.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

/// How soon an emulator's end is noticed at the latest.
constexpr std::uint64_t kLookUs = 20'000;
/// While the link of a chip takes nothing, it is tried again so often.
constexpr std::uint64_t kStuckUs = 500;

std::uint32_t links_needed(Topology topology, std::size_t chips, std::size_t chip) {
  if (chips <= 1) return 0;
  if (topology == Topology::ring) return 2;
  return chip == 0 ? static_cast<std::uint32_t>(chips - 1) : 1;
}

void append(CommandWords& words, const CommandWords& more) {
  words.insert(words.end(), more.begin(), more.end());
}

void check_board(const VirtualClusterConfig& config, std::size_t chip, const std::string& name) {
  const BoardEntry& board = *config.boards[chip];
  board.require_program(config.program);
  if (!board.lockstep.empty()) return;
  const std::uint32_t needed = links_needed(config.topology, config.boards.size(), chip);
  if (board.links.size() < needed) {
    throw Error(fmt::format("{}: has {} links and needs {} for its place in the {}", name,
                            board.links.size(), needed, topology_name(config.topology)));
  }
  const std::uint64_t bytes = std::filesystem::file_size(config.images[chip]);
  if (board.image_bytes != 0 && bytes > board.image_bytes) {
    throw Error(fmt::format("{}: its image has {} bytes, the board has room for {}", name, bytes,
                            board.image_bytes));
  }
}

}  // namespace

VirtualCluster::VirtualCluster(VirtualClusterConfig config)
    : config_(std::move(config)), chips_(config_.boards.size()) {
  const auto is_lockstep = [](const BoardEntry* board) { return !board->lockstep.empty(); };
  const auto steps = std::ranges::count_if(config_.boards, is_lockstep);
  const bool is_mixed = std::ranges::count(config_.boards, config_.boards[0]) != std::ssize(chips_);
  if (steps != 0 && is_mixed) {
    throw Error(
        fmt::format("--board {}: its chips run in lock step, all in one process; it does "
                    "not mix with other boards",
                    (*std::ranges::find_if(config_.boards, is_lockstep))->name));
  }
  if (steps != 0 && config_.topology != Topology::ring) {
    throw Error(fmt::format("--topology {}: chips that run in lock step are wired as a ring",
                            topology_name(config_.topology)));
  }
  for (std::size_t chip = 0; chip < size(); ++chip) check_board(config_, chip, chip_name(chip));
  if (!this->is_lockstep()) connect_wires();
}

std::string VirtualCluster::chip_name(std::size_t chip) const {
  return fmt::format("chip {} ({})", chip, config_.boards[chip]->name);
}

void VirtualCluster::connect_wires() {
  const auto seats = static_cast<std::uint32_t>(size());
  for (std::uint32_t seat = 0; seat < seats; ++seat) {
    for (std::uint32_t port = 0; port < links_needed(config_.topology, seats, seat); ++port) {
      // Each pair once: from the chip whose next is the other, or from the hub.
      const bool is_first = config_.topology == Topology::ring ? port == 0 : seat == 0;
      if (!is_first) continue;
      const PortAddress a = {seat, port};
      const PortAddress b = receivers_of(config_.topology, seats, 0, a).front();
      const std::uint64_t number = 2 * wires_.size();
      wires_.push_back({a, b, Wire(config_.wire, config_.seed + number),
                        Wire(config_.wire, config_.seed + number + 1)});
    }
  }
}

CommandWords VirtualCluster::command(std::size_t chip, int console_fd,
                                     const std::vector<int>& link_fds) {
  const BoardEntry& board = *config_.boards[chip];
  CommandWords words = board.emulator;
  append(words, board.firmware);
  append(words, board.image);
  if (config_.counts_work) append(words, board.count);
  append(words, fill_in(board.console, {{"fd", fmt::format("{}", console_fd)}}));
  for (std::size_t link = 0; link < board.links.size(); ++link) {
    append(words, fill_in(board.links[link], {{"fd", fmt::format("{}", link_fds[link])}}));
  }
  // Differs for each chip and each start, and is the same when all is done again.
  const std::uint64_t seed = config_.seed * 1000 + ++starts_;
  return fill_in(words, {{"firmware", board.program_path(config_.program)},
                         {"image", config_.images[chip]},
                         {"folder", board.folder},
                         {"seed", fmt::format("{}", static_cast<std::uint32_t>(seed))}});
}

CommandWords VirtualCluster::lockstep_command(const std::vector<int>& console_fds) {
  const BoardEntry& board = *config_.boards.front();
  CommandWords words = fill_in(board.lockstep, {{"folder", board.folder}});
  append(words, {"--firmware", board.program_path(config_.program)});
  for (const std::string& image : config_.images) append(words, {"--image", image});
  for (const int fd : console_fds) append(words, {"--console", fmt::format("{}", fd)});
  if (size() == 1) return words;
  append(words, {"--" + std::string(topology_name(config_.topology)), "--seed",
                 fmt::format("{}", config_.seed)});
  if (config_.wire.bit_error_rate > 0) {
    append(words, {"--link-error-rate", fmt::format("{:.9f}", config_.wire.bit_error_rate)});
  }
  if (config_.wire.baud != 0) append(words, {"--baud", fmt::format("{}", config_.wire.baud)});
  return words;
}

void VirtualCluster::start_alone(std::size_t chip) {
  SocketPair console = make_socket_pair();
  std::vector<SocketPair> links;
  std::vector<int> link_fds;
  for (std::size_t link = 0; link < config_.boards[chip]->links.size(); ++link) {
    links.push_back(make_socket_pair());
    link_fds.push_back(links.back().theirs.get());
  }
  const CommandWords words = command(chip, console.theirs.get(), link_fds);
  std::vector<int> inherited = link_fds;
  inherited.push_back(console.theirs.get());
  VirtualChip& made = chips_[chip];
  made.emulator =
      std::make_unique<Emulator>(words, inherited, chip_name(chip), config_.boards[chip]->install);
  made.console = std::make_unique<Console>(console.ours.release(), chip_name(chip));
  for (SocketPair& link : links) {
    made.links.push_back(std::make_unique<Link>(link.ours.release(), chip_name(chip)));
  }
}

void VirtualCluster::start_lockstep() {
  std::vector<SocketPair> consoles;
  std::vector<int> fds;
  for (std::size_t chip = 0; chip < size(); ++chip) {
    consoles.push_back(make_socket_pair());
    fds.push_back(consoles.back().theirs.get());
  }
  chips_[0].emulator = std::make_unique<Emulator>(
      lockstep_command(fds), fds, config_.boards[0]->name, config_.boards[0]->install);
  for (std::size_t chip = 0; chip < size(); ++chip) {
    chips_[chip].console =
        std::make_unique<Console>(consoles[chip].ours.release(), chip_name(chip));
  }
}

void VirtualCluster::start(std::size_t chip) {
  if (!is_lockstep()) return start_alone(chip);
  if (chip == 0) start_lockstep();
}

void VirtualCluster::kill(std::size_t chip) {
  chips_[chip] = {};
  for (WirePair& pair : wires_) {
    if (pair.a.seat != chip && pair.b.seat != chip) continue;
    pair.from_a.lose();
    pair.from_b.lose();
  }
}

Link* VirtualCluster::link_at(const PortAddress& address) {
  const VirtualChip& chip = chips_[address.seat];
  return address.port < chip.links.size() ? chip.links[address.port].get() : nullptr;
}

void VirtualCluster::carry(Wire& wire, const PortAddress& from, const PortAddress& to,
                           std::uint64_t now_us) {
  std::array<std::uint8_t, 256> buffer{};
  Link* const source = link_at(from);
  Link* const sink = link_at(to);
  while (source != nullptr && wire.room() != 0) {
    const std::size_t room = std::min(wire.room(), buffer.size());
    const std::size_t count = source->read(std::span(buffer).first(room));
    if (count == 0) break;
    wire.put(std::span(buffer).first(count), now_us);
  }
  if (sink == nullptr) return wire.lose();
  sink->flush();
  for (auto bytes = wire.arrived(now_us); !bytes.empty(); bytes = wire.arrived(now_us)) {
    // What a board does not take at once stays on the wire, which is bounded.
    if (sink->has_unsent() || !sink->can_write(bytes.size())) break;
    sink->write(bytes);
    wire.take(bytes.size());
    sink->flush();
  }
}

void VirtualCluster::watch(std::vector<pollfd>& polled, std::uint64_t& next_us, const Wire& wire,
                           const PortAddress& from, const PortAddress& to) {
  const Link* const source = link_at(from);
  const Link* const sink = link_at(to);
  if (source != nullptr && source->is_up() && wire.room() != 0) {
    polled.push_back({source->fd(), POLLIN, 0});
  }
  if (sink != nullptr && sink->is_up() && sink->has_unsent()) {
    polled.push_back({sink->fd(), POLLOUT, 0});
  } else {
    next_us = std::min(next_us, wire.next_us());
  }
}

void VirtualCluster::wait(std::uint64_t wait_us) {
  const std::uint64_t now_us = clock_us();
  std::uint64_t until_us = now_us + std::min(wait_us, kLookUs);
  std::vector<pollfd> polled;
  for (const WirePair& pair : wires_) {
    watch(polled, until_us, pair.from_a, pair.a, pair.b);
    watch(polled, until_us, pair.from_b, pair.b, pair.a);
  }
  for (const VirtualChip& chip : chips_) {
    if (chip.console == nullptr || !chip.console->link().is_up()) continue;
    const Link& link = chip.console->link();
    polled.push_back({link.fd(), link.poll_events(), 0});
    if (!chip.console->is_sent()) until_us = std::min(until_us, now_us + kStuckUs);
  }
  const std::uint64_t left_us = until_us > now_us ? until_us - now_us : 0;
  const timespec timeout = {static_cast<time_t>(left_us / 1'000'000),
                            static_cast<long>(left_us % 1'000'000 * 1000)};
  ::ppoll(polled.data(), polled.size(), &timeout, nullptr);
}

void VirtualCluster::pump(std::uint64_t wait_us) {
  wait(wait_us);
  if (config_.must_stop != nullptr && *config_.must_stop) throw Error("stopped by a signal");
  const std::uint64_t now_us = clock_us();
  for (WirePair& pair : wires_) {
    carry(pair.from_a, pair.a, pair.b, now_us);
    carry(pair.from_b, pair.b, pair.a, now_us);
  }
  for (VirtualChip& chip : chips_) {
    if (chip.console != nullptr) chip.console->pump();
  }
  if (now_us < look_us_) return;
  look_us_ = now_us + kLookUs;
  for (VirtualChip& chip : chips_) {
    if (chip.emulator != nullptr) chip.emulator->require_alive();
  }
}

}  // namespace mote::host
