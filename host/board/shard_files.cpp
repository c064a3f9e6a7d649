// SPDX-License-Identifier: Apache-2.0
#include "board/shard_files.hpp"

#include <algorithm>

#include "mote/partition.hpp"
#include "run/engine.hpp"
#include "run/image_summary.hpp"
#include "shard/shard_section.hpp"

namespace mote::host {
namespace {

constexpr std::uint64_t kProgressSteps = 1000;  // of one shard

ShardReport report_whole(const Image& whole) {
  const ImageSummary summary = summarize(whole);
  const auto hash = whole.content_hash();
  return {whole.bytes().size(),
          summary.weight_bytes,
          summary.tokenizer_bytes,
          {hash.begin(), hash.end()}};
}

}  // namespace

ShardFiles::ShardFiles(const std::string& model, const Image& whole, std::uint32_t chips,
                       const ShardProgress& progress) {
  if (chips == 1) {
    paths_ = {model};
    reports_ = {report_whole(whole)};
    return;
  }
  const std::vector<std::uint8_t> weights(chips, 1);
  std::vector<Range> table(Partition::table_count(whole.config(), chips));
  Partition partition;
  check(partition.init(whole.config(), HeadPolicy::contiguous, weights, table), model);
  for (std::uint32_t rank = 0; rank < chips; ++rank) {
    files_.push_back(std::make_unique<TemporaryFile>("mote-shard"));
    paths_.push_back(files_.back()->path());
    const auto show = [&](std::uint64_t done, std::uint64_t total) {
      if (progress)
        progress(rank * kProgressSteps + done * kProgressSteps / total, chips * kProgressSteps);
    };
    const ShardInfo shard = describe_shard(whole, partition, weights, rank);
    reports_.push_back(write_shard(paths_.back(), whole, shard, show));
  }
}

}  // namespace mote::host
