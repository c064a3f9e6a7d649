// SPDX-License-Identifier: Apache-2.0
// A name for a file that lives as long as an object.
#pragma once

#include <string>

namespace mote::host {

/// An empty file in the system's folder for temporary files, removed at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& prefix);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace mote::host
