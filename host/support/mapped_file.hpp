// SPDX-License-Identifier: Apache-2.0
// A file mapped for reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace mote::host {

/// Maps the whole of a regular file, page aligned. Throws `Error` that names the path where it
/// cannot be opened, is no regular file or is empty.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  MappedFile& operator=(MappedFile&&) = delete;

  std::span<const std::uint8_t> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  /// Takes the pages that were read out of this process's memory. The bytes stay where they are and
  /// come from the file again.
  void release_pages() const;

 private:
  std::string path_;
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace mote::host
