// SPDX-License-Identifier: Apache-2.0
#include "convert/convert_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "run/image_summary.hpp"

namespace mote::host {
namespace {

/// What is no matrix in the table is a vector of gains.
std::string tensor_format(const TensorReport& tensor) {
  return tensor.format == WeightFormat::raw ? "int16" : format_name(tensor.format);
}

std::string shape_text(const TensorReport& tensor) {
  return tensor.rows == 0 ? fmt::format("{}", tensor.columns)
                          : fmt::format("{} x {}", tensor.rows, tensor.columns);
}

std::uint64_t tensor_bytes(const ConvertReport& report) {
  std::uint64_t sum = 0;
  for (const TensorReport& tensor : report.tensors) sum += tensor.bytes;
  return sum;
}

/// Of the matrices; gains are far more exact and would only blur the total.
double largest_error(const ConvertReport& report) {
  double largest = 0;
  for (const TensorReport& tensor : report.tensors) {
    if (tensor.format != WeightFormat::raw) largest = std::max(largest, tensor.largest_error);
  }
  return largest;
}

}  // namespace

std::string format_convert_table(const ConvertReport& report) {
  std::size_t width = std::string("tensor").size();
  for (const TensorReport& tensor : report.tensors) width = std::max(width, tensor.name.size());
  const auto line = [&](const auto& name, const auto& shape, const auto& format, const auto& bytes,
                        const auto& relative, const auto& largest) {
    return fmt::format("{:<{}}  {:>13}  {:<6}  {:>10}  {:>10}  {:>10}\n", name, width, shape,
                       format, bytes, relative, largest);
  };
  std::string out = line("tensor", "shape", "format", "bytes", "rms error", "max error");
  for (const TensorReport& tensor : report.tensors) {
    out += line(tensor.name, shape_text(tensor), tensor_format(tensor), tensor.bytes,
                fmt::format("{:.4f} %", 100 * tensor.relative_rms_error),
                fmt::format("{:.3g}", tensor.largest_error));
  }
  out += line("total", "", "", tensor_bytes(report),
              fmt::format("{:.4f} %", 100 * report.relative_rms_error),
              fmt::format("{:.3g}", largest_error(report)));
  out += fmt::format("image: {} bytes\n", report.image_bytes);
  return out;
}

std::string format_convert_json(const ConvertReport& report, const std::string& image_path) {
  nlohmann::ordered_json tensors = nlohmann::ordered_json::array();
  for (const TensorReport& tensor : report.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"rows", tensor.rows},
                       {"columns", tensor.columns},
                       {"format", tensor_format(tensor)},
                       {"bytes", tensor.bytes},
                       {"relative_rms_error", tensor.relative_rms_error},
                       {"largest_error", tensor.largest_error}});
  }
  const nlohmann::ordered_json total = {{"bytes", tensor_bytes(report)},
                                        {"relative_rms_error", report.relative_rms_error},
                                        {"largest_error", largest_error(report)}};
  const nlohmann::ordered_json out = {{"image", image_path},
                                      {"image_bytes", report.image_bytes},
                                      {"tensors", tensors},
                                      {"total", total}};
  // A path may hold any bytes; JSON may not.
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace mote::host
