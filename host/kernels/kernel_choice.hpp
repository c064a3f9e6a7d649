// SPDX-License-Identifier: Apache-2.0
// Which kernels run on this computer: the best that it has, unless somebody names others. The
// results are the same bits with all of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mote::host {

struct KernelSet;

/// The environment variable that names the kernels.
inline constexpr const char* kKernelsVariable = "MOTE_ISA";

/// Names of the sets that this computer can run, the best last.
std::vector<std::string_view> runnable_kernels();

/// The set in use.
const KernelSet& kernels_in_use();
std::string_view name_of_kernels_in_use();

/// From here on all threads use the set of this name; none may be computing. Throws `Error` where
/// there is none, or this computer cannot run it.
void use_kernels(std::string_view name);
void use_kernels(const KernelSet& set);

/// Uses the best set, or that of the environment variable; ends the program with a message and
/// status 2 where there is none of that name. Returns true.
bool choose_kernels_at_start();

}  // namespace mote::host
