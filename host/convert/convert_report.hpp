// SPDX-License-Identifier: Apache-2.0
// How `mote convert` shows what rounding did to each tensor.
#pragma once

#include <string>

#include "convert/convert.hpp"

namespace mote::host {

/// A line a tensor and a total line, for people. Each line ends with a line feed.
std::string format_convert_table(const ConvertReport& report);

/// The same as JSON: {"image": path, "image_bytes": n, "tensors": [{name, rows, ...}], "total":
/// {}}.
std::string format_convert_json(const ConvertReport& report, const std::string& image_path);

}  // namespace mote::host
