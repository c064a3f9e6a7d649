// SPDX-License-Identifier: Apache-2.0
// What the chips tell each other for one token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "mote/image.hpp"
#include "mote/transformer.hpp"
#include "plan/cost_card.hpp"

namespace mote::host {

/// The exchanges of one token, in order.
std::vector<Phase> token_phases(const ModelConfig& config);

const char* exchange_name(Exchange exchange);

/// What each chip sends in the exchange of `phase` for one token. Messages hold whole blocks.
///   slices      (chips)
///   candidates  that a chip names at most
std::vector<ShareSize> exchange_shares(const Image& image, std::span<const Slice> slices,
                                       Phase phase, std::uint32_t candidates, const LinkCard& link);

}  // namespace mote::host
