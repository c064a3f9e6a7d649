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

bool chose_formats(const ConvertReport& report) {
  return std::any_of(report.tensors.begin(), report.tensors.end(), [](const TensorReport& tensor) {
    return tensor.calibration && tensor.calibration->int8_gain != 0;
  });
}

/// A line a matrix: what rounding did to its products with the text, and what int8 would gain.
std::string format_products(const ConvertReport& report, std::size_t width) {
  const bool has_gains = chose_formats(report);
  std::string out = fmt::format("\n{:<{}}  {:<10}  {:>14}  {:>10}{}\n", "products", width, "format",
                                "plain rounding", "calibrated", has_gains ? "   int8 gains" : "");
  for (const TensorReport& tensor : report.tensors) {
    if (!tensor.calibration) continue;
    const TensorCalibration& calibration = *tensor.calibration;
    out += fmt::format("{:<{}}  {:<10}  {:>12.4f} %  {:>8.4f} %", tensor.name, width,
                       tensor_format(tensor), 100 * calibration.plain_product_error,
                       100 * calibration.product_error);
    out += has_gains ? fmt::format("  {:>10.6f}\n", calibration.int8_gain) : "\n";
  }
  return out;
}

std::string format_summary(const CalibrationSummary& summary) {
  const auto against = [&](double perplexity) {
    return fmt::format("{:.4f}  {:+.2f} %", perplexity,
                       100 * (perplexity / summary.int8_perplexity - 1));
  };
  std::string out = fmt::format(
      "bits a weight: {:.3f}, with scales and padding\n"
      "perplexity on {} of the text's {} tokens\n"
      "  int8            {:.4f}\n"
      "  plain rounding  {}\n"
      "  calibrated      {}\n",
      summary.bits_per_weight, summary.measured_tokens, summary.tokens, summary.int8_perplexity,
      against(summary.plain_perplexity), against(summary.perplexity));
  if (summary.divergence_before > 0) {
    out += fmt::format(
        "divergence from the exact model on passages held out: {:.5f} nats a token, {:.5f} after "
        "tuning\n",
        summary.divergence_before, summary.divergence_after);
  }
  return out;
}

nlohmann::ordered_json summary_json(const CalibrationSummary& summary) {
  return {{"tokens", summary.tokens},
          {"measured_tokens", summary.measured_tokens},
          {"int8_perplexity", summary.int8_perplexity},
          {"plain_perplexity", summary.plain_perplexity},
          {"perplexity", summary.perplexity},
          {"divergence_before", summary.divergence_before},
          {"divergence_after", summary.divergence_after},
          {"bits_per_weight", summary.bits_per_weight}};
}

}  // namespace

std::string format_convert_table(const ConvertReport& report) {
  std::size_t width = std::string("tensor").size();
  for (const TensorReport& tensor : report.tensors) width = std::max(width, tensor.name.size());
  const auto line = [&](const auto& name, const auto& shape, const auto& format, const auto& bytes,
                        const auto& relative, const auto& largest) {
    return fmt::format("{:<{}}  {:>13}  {:<10}  {:>10}  {:>10}  {:>10}\n", name, width, shape,
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
  if (report.calibration) out += format_products(report, width) + "\n";
  out += fmt::format("image: {} bytes\n", report.image_bytes);
  if (report.calibration) out += format_summary(*report.calibration);
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
    if (!tensor.calibration) continue;
    tensors.back()["product_error"] = tensor.calibration->product_error;
    tensors.back()["plain_product_error"] = tensor.calibration->plain_product_error;
    tensors.back()["int8_gain"] = tensor.calibration->int8_gain;
  }
  const nlohmann::ordered_json total = {{"bytes", tensor_bytes(report)},
                                        {"relative_rms_error", report.relative_rms_error},
                                        {"largest_error", largest_error(report)}};
  nlohmann::ordered_json out = {{"image", image_path},
                                {"image_bytes", report.image_bytes},
                                {"tensors", tensors},
                                {"total", total}};
  if (report.calibration) out["calibration"] = summary_json(*report.calibration);
  // A path may hold any bytes; JSON may not.
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace mote::host
