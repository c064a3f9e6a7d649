// SPDX-License-Identifier: Apache-2.0
// A file that appears under its name only when it is complete.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace mote::host {

/// Collects its bytes in a temporary file beside `path`. Only `commit` gives it its name, replacing
/// an older file in one step; without it the temporary file is removed. All members throw `Error`
/// that names the path where the file system fails.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Bytes between two writes that nobody wrote are zero.
  void write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes);
  /// Makes the file so long; what nobody wrote is zero.
  void resize(std::uint64_t bytes);
  /// Fills `out` with what was written before.
  void read_at(std::span<std::uint8_t> out, std::uint64_t offset) const;
  void commit();

 private:
  [[noreturn]] void fail(const char* action) const;

  std::string path_;
  std::string temporary_path_;  // empty once committed
  int fd_ = -1;
};

}  // namespace mote::host
