// SPDX-License-Identifier: Apache-2.0
#include "support/temporary_file.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "support/error.hpp"

namespace mote::host {

TemporaryFile::TemporaryFile(const std::string& prefix) {
  path_ = (std::filesystem::temp_directory_path() / (prefix + "-XXXXXX")).string();
  const int fd = ::mkstemp(path_.data());
  if (fd < 0) throw Error(path_ + ": cannot create a temporary file");
  ::close(fd);
}

TemporaryFile::~TemporaryFile() {
  ::unlink(path_.c_str());
}

}  // namespace mote::host
