// SPDX-License-Identifier: Apache-2.0
// Real nodes for the tests of a driver, and what one chip says.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/remote_cluster.hpp"
#include "support/error.hpp"
#include "support/image_factory.hpp"
#include "support/node_process.hpp"
#include "support/running_model.hpp"
#include "support/shard_factory.hpp"
#include "support/temporary_file.hpp"

namespace mote::test {

inline constexpr std::uint32_t kContext = 120;
inline constexpr std::uint32_t kPrompt = 11;
inline constexpr std::uint32_t kAnswer = 90;

/// Rows, heads and blocks that divide by no number of chips.
inline ModelSpec remote_model(std::uint64_t seed = 1) {
  ModelSpec spec;
  spec.shape = {90, 101, 2, 6, 2, 24, 67, kContext};
  spec.shape.has_classifier = true;
  spec.block = 16;
  spec.seed = seed;
  return spec;
}

inline SamplerConfig remote_sampling() {
  SamplerConfig config;
  config.temperature_q16 = kOneQ16;
  config.top_k = 5;
  config.repeat_penalty_q16 = kOneQ16 * 5 / 4;
  config.seed = 7;
  return config;
}

using RankedLogits = std::vector<std::pair<std::uint32_t, std::int32_t>>;

inline RankedLogits listed(std::span<const Candidate> candidates) {
  RankedLogits list;
  for (const Candidate& one : candidates) list.emplace_back(one.token, one.logit);
  return list;
}

/// What one chip says: the text, and the logits that each token was drawn from.
struct OneChip {
  explicit OneChip(const Image& image) : text(random_tokens(67, kPrompt)) {
    RunningModel model(image, {kContext, 8, 67});
    Sampler sampler;
    EXPECT_EQ(sampler.configure(remote_sampling()), Status::ok);
    for (const std::uint32_t token : text) sampler.accept(token);
    model.decode(text);
    for (std::uint32_t i = 0; i < kAnswer; ++i) {
      const auto candidates = model->candidates(sampler);
      logits.push_back(listed(candidates));
      const std::uint32_t token = sampler.sample(candidates);
      sampler.accept(token);
      text.push_back(token);
      model.decode({&token, 1});
    }
  }
  std::span<const std::uint32_t> prompt() const { return std::span(text).first(kPrompt); }

  Tokens text;
  std::vector<RankedLogits> logits;
};

/// A file with the bytes of an image.
class ImageFile {
 public:
  explicit ImageFile(const Bytes& bytes) : file_("mote-test") { write_file(file_.path(), bytes); }
  const std::string& path() const { return file_.path(); }

 private:
  host::TemporaryFile file_;
};

class RemoteTest : public testing::Test {
 protected:
  RemoteTest() : bytes_(make_image(remote_model())), image_(bytes_), file_(bytes_) {}

  const Image& image() const { return image_.image(); }
  const OneChip& expected() const {
    if (expected_ == nullptr) expected_ = std::make_unique<OneChip>(image());
    return *expected_;
  }

  NodeProcess& start_node(const std::string& path, const std::string& listen,
                          const std::vector<std::string>& arguments = {}) {
    nodes_.push_back(std::make_unique<NodeProcess>(MOTE_PROGRAM, path, listen, arguments));
    return *nodes_.back();
  }
  /// A node with the whole model at a port of its own.
  NodeProcess& start_node() { return start_node(file_.path(), "tcp://127.0.0.1:0"); }
  void start_nodes(std::size_t count) {
    while (nodes_.size() < count) start_node();
  }
  /// Nodes with one shard each, of ranks `first` on.
  void start_shards(std::uint32_t chips, std::uint32_t first = 0) {
    const Cut cut(image(), HeadPolicy::contiguous, std::vector<std::uint8_t>(chips, 1));
    for (std::uint32_t rank = first; rank < chips; ++rank) start_shard(cut, rank);
  }
  void start_shard(const Cut& cut, std::uint32_t rank) {
    files_.push_back(std::make_unique<ImageFile>(shard_bytes(image(), cut.info(image(), rank))));
    start_node(files_.back()->path(), "tcp://127.0.0.1:0");
  }
  /// What a driver holds that takes part in the cut.
  OpenImage shard_of_rank_0(std::uint32_t chips) const {
    const Cut cut(image(), HeadPolicy::contiguous, std::vector<std::uint8_t>(chips, 1));
    return OpenImage(shard_bytes(image(), cut.info(image(), 0)));
  }
  NodeProcess& node(std::size_t index) { return *nodes_[index]; }

  /// The driver of the nodes so far.
  host::RemoteOptions options() {
    host::RemoteOptions options;
    for (const auto& node : nodes_) options.chips.push_back(host::parse_address(node->address()));
    options.run = {kContext, 8, 67};
    options.timeout_us = 2'000'000;
    options.wait_us = 3'000'000;
    options.give_up_us = 8'000'000;
    options.say = [this](std::string_view line) { said_ += std::string(line) + "\n"; };
    return options;
  }
  const std::string& said() const { return said_; }

  void start(host::RemoteCluster& cluster) const {
    cluster.start(expected().prompt(), remote_sampling(), kAnswer);
  }
  /// Takes the rest of an answer, which must be that of one chip to its last bit.
  void expect_rest(host::RemoteCluster& cluster) const {
    for (;;) {
      const std::size_t count = cluster.text().size() - kPrompt;
      if (!cluster.next_token()) break;
      ASSERT_LT(count, expected().logits.size());
      // Once all tokens are there, what the last one was drawn from stays.
      const auto candidates = listed(cluster.node().candidates());
      if (!candidates.empty()) {
        EXPECT_EQ(candidates, expected().logits[count]);
      }
    }
    EXPECT_TRUE(std::ranges::equal(cluster.text(), expected().text));
  }
  void expect_answer(host::RemoteCluster& cluster) const {
    start(cluster);
    expect_rest(cluster);
  }
  /// Takes tokens until the answer has so many.
  static void take(host::RemoteCluster& cluster, std::size_t tokens) {
    while (cluster.text().size() < kPrompt + tokens) ASSERT_TRUE(cluster.next_token());
  }

  const Bytes& image_bytes() const { return bytes_; }
  const std::string& path() const { return file_.path(); }

 private:
  Bytes bytes_;
  OpenImage image_;
  ImageFile file_;
  mutable std::unique_ptr<OneChip> expected_;
  std::vector<std::unique_ptr<ImageFile>> files_;
  std::vector<std::unique_ptr<NodeProcess>> nodes_;
  std::string said_;
};

/// The text of the `Error` that `call` throws; empty where it does not.
template <typename Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const host::Error& error) {
    return error.what();
  }
  return {};
}

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

}  // namespace mote::test
