// SPDX-License-Identifier: Apache-2.0
#include "run/model_file.hpp"

#include <fmt/format.h>

#include <cstring>

#include "convert/pack.hpp"
#include "support/error.hpp"

namespace mote::host {

void check(Status status, const std::string& what) {
  if (status != Status::ok) throw Error(fmt::format("{}: {}", what, status_text(status)));
}

Image open_image(const std::string& path, std::span<const std::uint8_t> bytes, Verify verify) {
  Image image;
  check(image.open(bytes, verify), path);
  return image;
}

ModelFile::ModelFile(const std::string& path, Verify verify)
    : file_(path), image_(open_image(path, file_.bytes(), verify)) {
  if (!has_paired_lanes(image_)) return;
  const std::vector<std::uint8_t> bytes = plain_lanes(image_);
  plain_.resize((bytes.size() + sizeof(Aligned) - 1) / sizeof(Aligned));
  std::memcpy(plain_.data(), bytes.data(), bytes.size());
  // Its contents have been looked at, and the hash is not of these bytes.
  image_ = open_image(path, {plain_.front().bytes, bytes.size()}, Verify::structure);
}

}  // namespace mote::host
