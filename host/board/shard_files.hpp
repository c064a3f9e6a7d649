// SPDX-License-Identifier: Apache-2.0
// A model cut over equal chips, as files that live as long as the object.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mote/image.hpp"
#include "shard/shard_writer.hpp"
#include "support/temporary_file.hpp"

namespace mote::host {

class ShardFiles {
 public:
  /// Writes an image for each of `chips` chips; for one chip it names `model`, the whole image's
  /// file, itself.
  ShardFiles(const std::string& model, const Image& whole, std::uint32_t chips,
             const ShardProgress& progress = {});

  const std::vector<std::string>& paths() const { return paths_; }      // (chips)
  const std::vector<ShardReport>& reports() const { return reports_; }  // (chips)

 private:
  std::vector<std::unique_ptr<TemporaryFile>> files_;
  std::vector<std::string> paths_;
  std::vector<ShardReport> reports_;
};

}  // namespace mote::host
