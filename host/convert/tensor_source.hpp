// SPDX-License-Identifier: Apache-2.0
// The tensors of a checkpoint as the image has them: with the gains of the norm before them.
#pragma once

#include "convert/checkpoint.hpp"
#include "convert/matrix_section.hpp"
#include "convert/section_plan.hpp"

namespace mote::host {

/// The tensor of a planned section, its columns multiplied by the gains of the norm that it follows
/// (SPEC.md, "Gains and frequencies"). Both arguments outlive what is returned.
TensorSource make_source(const Checkpoint& checkpoint, const PlannedSection& planned);

}  // namespace mote::host
