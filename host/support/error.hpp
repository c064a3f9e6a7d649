// SPDX-License-Identifier: Apache-2.0
// The one exception of the host tools.
#pragma once

#include <stdexcept>
#include <string>

namespace mote::host {

/// An operating error of a tool. The message is one line that names the file (or the option) and
/// what was expected; the command line prints it on standard error and exits with 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace mote::host
