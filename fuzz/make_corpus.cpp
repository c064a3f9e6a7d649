// SPDX-License-Identifier: Apache-2.0
// Writes the seeds of the fuzz targets: make_corpus FOLDER makes FOLDER/llama2c/... and so on.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "convert/convert.hpp"
#include "huggingface/tokenizer_json.hpp"
#include "mote/frame.hpp"
#include "mote/message.hpp"
#include "mote/partition.hpp"
#include "run/engine.hpp"
#include "shard/shard_section.hpp"
#include "shard/shard_writer.hpp"
#include "support/llama2c_writer.hpp"
#include "support/mapped_file.hpp"
#include "support/named_model.hpp"
#include "synthetic/synthetic_checkpoint.hpp"

namespace {

using Bytes = std::vector<std::uint8_t>;
using mote::test::Seed;

bool write_seeds(const std::filesystem::path& folder, const std::vector<Seed>& seeds) {
  std::filesystem::create_directories(folder);
  for (const Seed& seed : seeds) {
    std::ofstream file(folder / seed.name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(seed.bytes.data()),
               static_cast<std::streamsize>(seed.bytes.size()));
    if (!file.flush()) return false;
  }
  return true;
}

void write_image(
    const std::filesystem::path& path, mote::WeightFormat weights, bool has_classifier,
    const mote::host::LayerAttention& attention = {}, bool has_biases = false,
    const mote::host::Vocabulary& vocabulary = mote::host::make_synthetic_vocabulary(12)) {
  mote::host::CheckpointShape shape;
  shape.dim = 16;
  shape.hidden_dim = 20;
  shape.n_layers = 1;
  shape.n_heads = 2;
  shape.n_kv_heads = 1;
  shape.head_size = 8;
  shape.vocab_size = static_cast<std::uint32_t>(vocabulary.entries.size());
  shape.context_length = 4;
  shape.has_classifier = has_classifier;
  shape.has_attention_bias = has_biases;
  shape.has_output_bias = has_biases;
  mote::host::ConvertOptions options;
  options.weights = weights;
  options.block = 16;
  options.attention = {attention};
  options.name = "seed";
  mote::host::convert_checkpoint(path.string(), mote::host::SyntheticCheckpoint(shape, 1),
                                 vocabulary, options);
}

/// That of the first tokenizer.json among the seeds.
mote::host::Vocabulary byte_level_vocabulary() {
  const Bytes bytes = mote::test::tokenizer_json_seeds().front().bytes;
  return mote::host::parse_tokenizer_json(std::span(bytes).subspan(1), 259, {}, "seed");
}

/// The image at `whole_path` cut over three chips: one with the tokenizer, one without, and one
/// that has no row of anything.
void write_shards(const std::filesystem::path& folder, const std::filesystem::path& whole_path) {
  const std::vector<std::uint8_t> weights = {1, 1, 0};
  const mote::host::MappedFile file(whole_path.string());
  const mote::Image whole =
      mote::host::open_image(whole_path.string(), file.bytes(), mote::Verify::full);
  std::vector<mote::Range> table(mote::Partition::table_count(whole.config(), 3));
  mote::Partition partition;
  mote::host::check(partition.init(whole.config(), mote::HeadPolicy::round_robin, weights, table),
                    "partition");
  for (std::uint32_t rank = 0; rank < 3; ++rank) {
    const std::string name = "shard" + std::to_string(rank) + ".mote";
    mote::host::write_shard((folder / name).string(), whole,
                            mote::host::describe_shard(whole, partition, weights, rank));
  }
}

bool write_image_seeds(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  write_image(folder / "int8.mote", mote::WeightFormat::int8, false);
  write_image(folder / "int4.mote", mote::WeightFormat::int4, true);
  write_image(folder / "pairs.mote", mote::WeightFormat::int8_pairs, false);
  write_image(folder / "window.mote", mote::WeightFormat::int4, false,
              {mote::AttentionKind::sliding_window, 2, 1, {}});
  write_image(folder / "linear.mote", mote::WeightFormat::int4, false,
              {mote::AttentionKind::linear, 0, 0, {60000}});
  write_image(folder / "biases.mote", mote::WeightFormat::int4, false, {}, true);
  write_image(folder / "byte_level.mote", mote::WeightFormat::int4, false, {}, false,
              byte_level_vocabulary());
  write_shards(folder, folder / "linear.mote");
  return true;
}

/// A message of each kind that fuzz_frame decodes.
Bytes message(mote::MessageType type, const Bytes& payload = {}) {
  mote::MessageHeader header;
  header.type = type;
  header.source = 5;
  header.session = 1;
  const bool is_activation = type == mote::MessageType::activation;
  const bool answers = type == mote::MessageType::ack || type == mote::MessageType::barrier;
  if (is_activation || answers) header.sequence = 7;
  if (is_activation) {
    header.exchange = mote::Exchange::hidden;
    header.layer = 3;
    header.first = 12;
    header.position = 100;
  }
  Bytes bytes(mote::kMessageHeaderBytes);
  mote::encode_header(bytes, header);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

template <typename Message>
Bytes payload_of(const Message& contents) {
  Bytes bytes(mote::kMaxMessageBytes);
  bytes.resize(mote::encode_payload(bytes, contents));
  return bytes;
}

/// Two blocks of an activation.
Bytes activation_payload() {
  Bytes bytes(66);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(i % 5 - 2);
  }
  return bytes;
}

/// Input of fuzz_frame's `read_pieces`: how it comes and how long it is, then the bytes.
void append_piece(Bytes& out, std::uint8_t control, Bytes bytes) {
  if (bytes.size() % 2 == 0) bytes.push_back(0);
  out.push_back(control);
  out.push_back(static_cast<std::uint8_t>((bytes.size() - 1) / 2));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

Bytes pieces() {
  Bytes bytes;
  append_piece(bytes, 0, activation_payload());
  append_piece(bytes, 7, {1, 2, 0, 3});
  append_piece(bytes, 20, Bytes(400, 0));
  append_piece(bytes, 2, Bytes(401, 0xff));
  append_piece(bytes, 200, {1});
  return bytes;
}

/// Frames with noise after each.
Bytes frame_stream() {
  Bytes stream;
  for (const Bytes& one : {message(mote::MessageType::activation, activation_payload()),
                           message(mote::MessageType::heartbeat)}) {
    Bytes frame(mote::kMaxFrameBytes);
    frame.resize(mote::encode_frame(frame, one));
    stream.insert(stream.end(), frame.begin(), frame.end());
    stream.insert(stream.end(), {9, 0});
  }
  return stream;
}

std::vector<Seed> frame_seeds() {
  using mote::MessageType;
  mote::Hello hello;
  hello.identity = 1;
  hello.seat = 3;
  hello.rank = 1;
  hello.chips = 4;
  hello.weight = 2;
  hello.model.fill(0xab);
  mote::Ready ready;
  ready.run = {256, 8, 40};
  ready.members = 3;
  ready.seats = {2, 0, 1};
  ready.weights = {1, 2, 1};
  ready.tokens = 5;
  ready.drawn = 1;
  const mote::ErrorMessage error = {mote::Status::wrong_shard, 1, 2, 3, 4};
  const mote::SeatAssignment seat = {4, 2, 1, 3, mote::Topology::star, 512};
  const mote::AckEntry entries[] = {{1, 4}, {2, 8192}};
  return {{"ack", message(MessageType::ack, payload_of(std::span<const mote::AckEntry>(entries)))},
          {"activation", message(MessageType::activation, activation_payload())},
          {"barrier", message(MessageType::barrier)},
          {"error", message(MessageType::error, payload_of(error))},
          {"heartbeat", message(MessageType::heartbeat)},
          {"hello", message(MessageType::hello, payload_of(hello))},
          {"pieces", pieces()},
          {"ready", message(MessageType::ready, payload_of(ready))},
          {"seat", message(MessageType::seat, payload_of(seat))},
          {"stream", frame_stream()}};
}

/// A command of fuzz_node, and what belongs to it.
Bytes command(std::uint32_t what, std::uint32_t how, const Bytes& rest = {}) {
  Bytes bytes = {static_cast<std::uint8_t>(what | how << 3)};
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  return bytes;
}

/// `flags`, then steps of the cluster with a command after every few; at last the end of the
/// answer.
Seed node_seed(const char* name, std::uint8_t flags, std::uint32_t steps,
               const std::vector<Bytes>& commands) {
  Seed seed = {name, {flags}};
  const auto append = [&](const Bytes& bytes) {
    seed.bytes.insert(seed.bytes.end(), bytes.begin(), bytes.end());
  };
  for (const Bytes& one : commands) {
    append(command(0, steps - 1));
    append(one);
  }
  for (int i = 0; i < 4; ++i) append(command(0, 31));
  return seed;
}

/// `count` commands that differ in where and in what.
template <typename Make>
std::vector<Bytes> commands(std::uint32_t count, Make make) {
  std::vector<Bytes> all;
  for (std::uint32_t i = 0; i < count; ++i) all.push_back(make(i));
  return all;
}

std::vector<Seed> node_seeds() {
  const auto low = [](std::uint32_t value) { return static_cast<std::uint8_t>(value); };
  const auto noise = [&](std::uint32_t i) {
    Bytes bytes = {20};
    for (std::uint32_t k = 0; k < 20; ++k) bytes.push_back(low(i * 37 + k * k * 11));
    return command(2, i % 6, bytes);
  };
  const auto contents = [&](std::uint32_t i) {
    Bytes bytes = message(static_cast<mote::MessageType>(1 + i % 10), Bytes(i, low(i)));
    bytes.insert(bytes.begin(), low(static_cast<std::uint32_t>(bytes.size())));
    return command(3, i % 6, bytes);
  };
  const auto changed = [&](std::uint32_t i) {
    return command(4, i % 6, {low(i * 7), low(i % 30), low(1U << i % 8)});
  };
  const auto again = [&](std::uint32_t i) { return command(7, i % 6, {low(i * 5)}); };
  return {node_seed("answer_ring", 0x14, 1, {}),
          node_seed("answer_star_shards", 0x31, 1, {}),
          node_seed("answer_broadcast_int4", 0x92, 1, {}),
          node_seed("answer_unequal_verified", 0x5c, 1, {}),
          node_seed("again", 0x10, 4, commands(20, again)),
          node_seed("changed", 0x14, 4, commands(20, changed)),
          node_seed("contents", 0x11, 5, commands(20, contents)),
          node_seed("lost", 0x10, 9, commands(6, [](std::uint32_t i) { return command(5, i); })),
          node_seed("noise", 0x10, 3, commands(12, noise)),
          node_seed("restart", 0x14, 20, {command(6, 8), command(6, 9)}),
          node_seed("silence", 0x54, 20, {command(6, 6), command(1, 31)}),
          node_seed("stop", 0x04, 20, {command(6, 0), command(6, 2), command(6, 0)})};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const bool written = write_image_seeds(folder / "image") &&
                       write_seeds(folder / "frame", frame_seeds()) &&
                       write_seeds(folder / "node", node_seeds()) &&
                       write_seeds(folder / "gguf", mote::test::gguf_seeds()) &&
                       write_seeds(folder / "llama2c", mote::test::llama2c_seeds()) &&
                       write_seeds(folder / "safetensors", mote::test::safetensors_seeds()) &&
                       write_seeds(folder / "tokenizer_bin", mote::test::tokenizer_bin_seeds()) &&
                       write_seeds(folder / "tokenizer_json", mote::test::tokenizer_json_seeds());
  if (!written) std::fprintf(stderr, "make_corpus: cannot write below %s\n", argv[1]);
  return written ? 0 : 1;
}
