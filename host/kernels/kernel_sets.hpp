// SPDX-License-Identifier: Apache-2.0
// The kernels that this build has for this kind of computer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "attention/attend.hpp"
#include "kernels/activation.hpp"
#include "kernels/heads.hpp"
#include "kernels/matvec.hpp"
#include "kernels/quantize.hpp"
#include "kernels/rms_norm.hpp"
#include "kernels/search.hpp"

namespace mote::host {

/// The functions of one instruction set; each gives the bits of the reference.
struct KernelSet {
  std::string_view name;
  bool (*runs_here)();
  void (*matvec)(std::int32_t*, const MatrixView&, const ActivationView&, int);
  void (*attend)(WideVector&, std::span<std::uint32_t>, std::span<const KvSegment>,
                 std::span<const QuantizedVector>, Multiplier);
  void (*attend_two)(HeadAttention (&)[2], std::span<std::uint32_t>, Multiplier);
  void (*quantize)(std::int8_t*, Scale16*, std::span<const std::int64_t>, std::size_t,
                   std::span<const Multiplier>);
  void (*quantize_narrow)(std::int8_t*, Scale16*, std::span<const std::int32_t>, std::size_t,
                          Multiplier);
  void (*quantize_heads)(std::int8_t*, Scale16*, std::span<std::int32_t>, std::size_t,
                         std::span<std::int64_t>, Multiplier);
  void (*rotate_heads)(std::span<std::int32_t>, std::uint32_t, const std::uint32_t*, std::uint32_t);
  void (*swiglu)(std::int64_t*, const std::int32_t*, const std::int32_t*, std::size_t);
  void (*quantize_swiglu)(std::int8_t*, Scale16*, std::span<const std::int32_t>,
                          const std::int32_t*, std::size_t, std::span<std::int64_t>);
  Multiplier (*norm_factor)(const std::int8_t*, std::span<const std::uint32_t>, int, std::uint32_t,
                            std::uint32_t, std::uint64_t);
  void (*add_residual)(std::span<std::int32_t>, const std::int32_t*);
  std::size_t (*find_above)(const std::int32_t*, std::size_t, std::size_t, std::int32_t);
};

/// The set of the reference, which runs anywhere.
constexpr KernelSet reference_kernels() {
  return {"reference",
          [] { return true; },
          ref::matvec_s8_s32,
          ref::attend_segments,
          ref::attend_two,
          ref::quantize_blocks_s64_s8,
          ref::quantize_blocks_s32_s8,
          ref::quantize_heads_s32_s8,
          ref::rotate_heads,
          ref::swiglu_lanes,
          ref::quantize_swiglu,
          ref::norm_factor,
          ref::add_residual,
          ref::find_above};
}

/// All sets of the build, the best last. The first is that of the reference, which runs anywhere.
std::span<const KernelSet> kernel_sets();

/// The same, of the instruction sets of one kind of computer (kernel_sets_*.cpp); there before any
/// constructor runs.
extern const KernelSet kKernelSets[];
extern const std::size_t kKernelSetCount;

}  // namespace mote::host
