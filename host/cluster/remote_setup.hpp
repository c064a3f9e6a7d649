// SPDX-License-Identifier: Apache-2.0
// Whether the chips that a driver found can hold its model, in words.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "mote/image.hpp"
#include "mote/message.hpp"
#include "mote/node.hpp"

namespace mote::host {

/// A chip that is there.
struct PresentChip {
  std::string name;
  Hello hello;
};

/// The first bytes of a hash as `mote inspect` writes it.
std::string short_hash(std::span<const std::uint8_t> hash);

/// What is wrong with a chip that says `error`, with both sides of it. Begins with `name`.
std::string describe_error(const std::string& name, const ErrorMessage& error);

/// Whether `status` says that chip and driver do not fit, which no other try will change.
bool is_refusal(Status status);

/// Throws `Error` where a chip holds another model than `driver`, or where ranks of a cut model are
/// held by nobody.
void check_setup(const Image& driver, const std::vector<PresentChip>& chips);

}  // namespace mote::host
