// SPDX-License-Identifier: Apache-2.0
// An image file opened to be run on this computer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mote/image.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {

/// A model or a shard, mapped. One with paired lanes, which are for other processors, is copied to
/// plain lanes, and keeps its content hash. Throws `Error` that names the path where it is not
/// valid.
class ModelFile {
 public:
  ModelFile(const std::string& path, Verify verify);

  const Image& image() const { return image_; }

 private:
  struct alignas(kSectionAlignment) Aligned {
    std::uint8_t bytes[kSectionAlignment];
  };

  MappedFile file_;
  std::vector<Aligned> plain_;  // empty: the file is used in place
  Image image_;
};

}  // namespace mote::host
