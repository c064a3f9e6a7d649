// SPDX-License-Identifier: Apache-2.0
// A cluster of three chips in which anything may arrive: noise, messages of any contents with a
// right checksum, frames of the others changed, repeated or lost, at any moment of an answer. No
// chip may stop the program or say anything but valid messages; and where nobody lied, an answer
// that ends is the right one.
//
// The input is a byte of flags, then commands: 3 bits say what, 5 bits and the bytes behind how.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "convert/convert.hpp"
#include "shard/shard_section.hpp"
#include "shard/shard_writer.hpp"
#include "support/temporary_file.hpp"
#include "support/wired_nodes.hpp"
#include "synthetic/synthetic_checkpoint.hpp"

namespace {

using mote::test::Bytes;
using mote::test::Flight;
using mote::test::Tokens;
using mote::test::WiredNodes;
using mote::test::WiredOptions;

constexpr std::uint32_t kChips = 3;
constexpr std::uint32_t kContext = 12;
constexpr std::uint32_t kAnswer = 4;
constexpr std::uint32_t kVocabulary = 30;
constexpr std::size_t kRecent = 16;
/// What one round of all chips may say at most: a bound on what the input can make them do.
constexpr std::size_t kMostFrames = 2000;
constexpr std::size_t kMostSteps = 600;
constexpr std::uint64_t kGiveUpUs = 3000;

void require(bool condition) {
  if (!condition) __builtin_trap();
}

/// The bytes of an image where an image may begin.
class Memory {
 public:
  explicit Memory(const Bytes& bytes) : units_(bytes.size() / sizeof(Unit) + 1) {
    auto* out = reinterpret_cast<std::uint8_t*>(units_.data());
    std::ranges::copy(bytes, out);
    require(image_.open(std::span<const std::uint8_t>(out, bytes.size())) == mote::Status::ok);
  }
  const mote::Image& image() const { return image_; }

 private:
  struct alignas(mote::kSectionAlignment) Unit {
    std::uint8_t bytes[mote::kSectionAlignment];
  };
  std::vector<Unit> units_;
  mote::Image image_;
};

Bytes make_image(mote::WeightFormat weights) {
  mote::host::CheckpointShape shape;
  shape.dim = 36;
  shape.hidden_dim = 40;
  shape.n_layers = 2;
  shape.n_heads = 2;
  shape.n_kv_heads = 1;
  shape.head_size = 4;
  shape.vocab_size = kVocabulary;
  shape.context_length = kContext;
  mote::host::ConvertOptions options;
  options.weights = weights;
  options.block = 16;
  options.name = "fuzz";
  const mote::host::TemporaryFile file("mote-fuzz");
  mote::host::convert_checkpoint(file.path(), mote::host::SyntheticCheckpoint(shape, 1),
                                 mote::host::make_synthetic_vocabulary(kVocabulary), options);
  return mote::test::read_file(file.path());
}

Bytes make_shard(const mote::Image& whole, std::uint32_t rank) {
  const std::vector<std::uint8_t> weights(kChips, 1);
  std::vector<mote::Range> table(mote::Partition::table_count(whole.config(), kChips));
  mote::Partition partition;
  require(partition.init(whole.config(), mote::HeadPolicy::contiguous, weights, table) ==
          mote::Status::ok);
  const mote::host::TemporaryFile file("mote-fuzz");
  mote::host::write_shard(file.path(), whole,
                          mote::host::describe_shard(whole, partition, weights, rank));
  return mote::test::read_file(file.path());
}

WiredOptions base_options() {
  WiredOptions options;
  options.run = {kContext, 2, 5};
  options.sampler.temperature_q16 = mote::kOneQ16;
  options.sampler.top_k = 5;
  options.sampler.repeat_penalty_q16 = 2 * mote::kOneQ16;
  options.node.timing = {20, 50, 300};
  options.coordinator.forming_us = 60;
  options.coordinator.stall_us = 900;
  options.coordinator.give_up_us = kGiveUpUs;
  return options;
}

const Tokens kPrompt = {3, 1, 4, 1, 5};

/// A model, whole and in shards, and what one chip answers.
struct Model {
  explicit Model(mote::WeightFormat weights) : whole(make_image(weights)) {
    for (std::uint32_t rank = 0; rank < kChips; ++rank) {
      shards.push_back(std::make_unique<Memory>(make_shard(whole.image(), rank)));
    }
    WiredNodes one(whole.image(), 1, base_options());
    require(one.start(kPrompt, kAnswer) == mote::Status::ok);
    require(one.run_until([&] { return one.coordinator().state() >= State::done; }));
    answer.assign(one.coordinator().text().begin(), one.coordinator().text().end());
    require(answer.size() == kPrompt.size() + kAnswer);
  }

  using State = mote::Coordinator::State;
  Memory whole;
  std::vector<std::unique_ptr<Memory>> shards;
  Tokens answer;
};

const Model& model_of(bool is_int4) {
  static const Model kInt8(mote::WeightFormat::int8);
  static const Model kInt4(mote::WeightFormat::int4);
  return is_int4 ? kInt4 : kInt8;
}

class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  bool is_empty() const { return bytes_.empty(); }
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }
  Bytes bytes(std::size_t count) {
    const auto taken = bytes_.first(std::min<std::size_t>(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return {taken.begin(), taken.end()};
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

/// Contents of the types that have a layout; decode_flight has checked the header.
void check_payload(const Flight& flight) {
  using mote::MessageType;
  const auto decodes = [&](auto message) {
    return mote::decode_payload(message, flight.payload) == mote::Status::ok;
  };
  switch (flight.header.type) {
    case MessageType::hello:
      return require(decodes(mote::Hello{}));
    case MessageType::ready:
      return require(decodes(mote::Ready{}));
    case MessageType::error:
      return require(decodes(mote::ErrorMessage{}));
    case MessageType::ack: {
      std::array<mote::AckEntry, mote::kMaxChips> memory;
      return require(decodes(std::span<mote::AckEntry>(memory)));
    }
    case MessageType::activation:
    case MessageType::token:
    case MessageType::candidates:
      return require(!flight.payload.empty());
    default:
      return require(flight.payload.empty());
  }
}

class Scenario {
 public:
  explicit Scenario(std::uint8_t flags)
      : model_(model_of((flags & 0x80) != 0)), nodes_(images(flags), options(flags)) {
    nodes_.on_send = [this](const Flight& flight) { take_flight(flight); };
    nodes_.fate = [this](const Flight&) {
      return is_cut_ ? std::vector<std::uint64_t>{} : std::vector<std::uint64_t>{0};
    };
    if ((flags & 0x10) != 0) start();
  }

  void command(Input& input) {
    const std::uint8_t byte = input.byte();
    const std::uint32_t how = byte >> 3;
    switch (byte & 7) {
      case 0:
        return run(how + 1);
      case 1:
        return nodes_.pass_time(how * 40);
      case 2:
        return put(how, input.bytes(input.byte()));
      case 3:
        return put_message(how, input.bytes(input.byte()));
      case 4:
        return put_changed(how, input);
      case 5:
        is_cut_ = true;
        run(how + 1);
        is_cut_ = false;
        return;
      case 6:
        return command_chips(how);
      default:
        return put_again(how, input.byte());
    }
  }

  /// Lets what was begun end, with whole wires.
  void finish() {
    using State = mote::Coordinator::State;
    for (std::uint32_t seat = 0; seat < kChips; ++seat) {
      if (nodes_.is_down(seat)) nodes_.start_chip(seat, ++boot_);
    }
    for (std::size_t i = 0; i < kMostSteps && is_busy(); ++i) {
      steps_ = 0;
      run(1);
    }
    // It ends in time, whatever was said.
    if (is_busy()) nodes_.pass_time(kGiveUpUs);
    steps_ = 0;
    run(1);
    require(!is_busy());
    if (!is_honest_ || !is_started_ || nodes_.coordinator().state() != State::done) return;
    const auto text = nodes_.coordinator().text();
    // Where it was stopped there is a part of it.
    require(text.size() <= model_.answer.size());
    require(std::ranges::equal(text, std::span(model_.answer).first(text.size())));
  }

 private:
  std::vector<const mote::Image*> images(std::uint8_t flags) const {
    std::vector<const mote::Image*> all;
    for (const auto& shard : model_.shards) {
      all.push_back((flags & 0x20) != 0 ? &shard->image() : &model_.whole.image());
    }
    return all;
  }
  static WiredOptions options(std::uint8_t flags) {
    WiredOptions options = base_options();
    options.node.topology = mote::Topology((flags & 3) % 3);
    options.node.frame_bytes = (flags & 4) != 0 ? 512 : 250;
    options.node.verify_interval = flags >> 3 & 1;
    if ((flags & 0x40) != 0) options.weights = {1, 0, 3};
    return options;
  }

  bool is_busy() {
    const auto state = nodes_.coordinator().state();
    return state == mote::Coordinator::State::forming || state == mote::Coordinator::State::running;
  }
  void start() {
    require(nodes_.start(kPrompt, kAnswer) == mote::Status::ok);
    is_started_ = true;
  }

  void take_flight(const Flight& flight) {
    require(++frames_ <= kMostFrames && flight.header.source < kChips);
    require(flight.frame.size() <= 512 && std::ranges::count(flight.frame, 0) == 1);
    check_payload(flight);
    recent_.push_back(flight);
    if (recent_.size() > kRecent) recent_.pop_front();
  }

  void run(std::size_t steps) {
    for (std::size_t i = 0; i < steps && steps_ < kMostSteps; ++i) {
      ++steps_;
      frames_ = 0;
      nodes_.step();
      for (std::uint32_t seat = 0; seat < kChips; ++seat) {
        if (nodes_.is_down(seat)) continue;
        require(nodes_.node(seat).text().size() <= kContext + 1);
        require(!nodes_.node(seat).is_in_session() || nodes_.node(seat).sequence() < 0x10000);
      }
    }
  }

  /// A port of a chip that is there.
  void put(std::uint32_t how, Bytes bytes) {
    const std::uint32_t seat = how % kChips;
    if (nodes_.is_down(seat)) return;
    nodes_.put({seat, how / kChips % nodes_.node(seat).port_count()}, std::move(bytes));
    nodes_.deliver();
  }
  void put_framed(std::uint32_t how, const Bytes& message) {
    is_honest_ = false;
    Bytes frame(mote::max_frame_bytes(message.size()));
    frame.resize(mote::encode_frame(frame, message));
    put(how, std::move(frame));
  }
  void put_message(std::uint32_t how, Bytes message) {
    if (message.empty()) return;
    message[0] = static_cast<std::uint8_t>((message[0] & ~7U) | mote::kProtocolVersion);
    put_framed(how, message);
  }
  /// A frame that was sent lately, with some bytes of its message changed or cut off.
  void put_changed(std::uint32_t how, Input& input) {
    const std::uint8_t which = input.byte();
    if (recent_.empty()) return;
    const Flight& flight = recent_[which % recent_.size()];
    Bytes message(mote::kMessageHeaderBytes);
    mote::encode_header(message, flight.header);
    message.insert(message.end(), flight.payload.begin(), flight.payload.end());
    for (int changes = which / kRecent % 4; changes >= 0; --changes) {
      const std::uint8_t place = input.byte();
      message[place % message.size()] ^= input.byte();
    }
    if (which >= 0xc0) message.resize(1 + input.byte() % message.size());
    put_framed(how, message);
  }
  void put_again(std::uint32_t how, std::uint8_t which) {
    if (!recent_.empty()) put(how, recent_[which % recent_.size()].frame);
  }

  void command_chips(std::uint32_t how) {
    const std::uint32_t seat = 1 + how % 2;
    switch (how / 2 % 6) {
      case 0:
        return start();
      case 1:
        return nodes_.coordinator().stop();
      case 2:
        return nodes_.coordinator().seat_down(seat);
      case 3:
        return nodes_.take_down(seat);
      case 4:
        return nodes_.start_chip(seat, ++boot_);
      default:
        return nodes_.node(0).set_text_limit(how);
    }
  }

  const Model& model_;
  WiredNodes nodes_;
  std::deque<Flight> recent_;
  std::size_t frames_ = 0;
  std::size_t steps_ = 0;
  std::uint32_t boot_ = 1;
  bool is_cut_ = false;
  bool is_honest_ = true;
  bool is_started_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input({data, size});
  Scenario scenario(input.byte());
  while (!input.is_empty()) scenario.command(input);
  scenario.finish();
  return 0;
}
