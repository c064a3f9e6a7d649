// SPDX-License-Identifier: Apache-2.0
// The seam between file formats and the image: a model as named float tensors, read row by row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "convert/vocabulary.hpp"

namespace mote::host {

/// The shape that a checkpoint declares, checked by its reader against the file's size.
struct CheckpointShape {
  std::uint32_t dim = 0;
  std::uint32_t hidden_dim = 0;
  std::uint32_t n_layers = 0;
  std::uint32_t n_heads = 0;
  std::uint32_t n_kv_heads = 0;
  std::uint32_t head_size = 0;
  std::uint32_t vocab_size = 0;
  std::uint32_t context_length = 0;
  double norm_epsilon = 1e-5;
  double rope_base = 10000.0;
  bool has_classifier = false;      // false: the token embedding serves
  bool has_attention_bias = false;  // bq, bk and bv exist
  bool has_output_bias = false;     // bo exists
  /// What divides the RoPE frequency of each pair of lanes. // (head_size / 2); empty: all 1
  std::vector<double> rope_factors = {};
  /// Positions that a layer sees, the present one included; 0: all. It may be more than there are.
  /// (n_layers); empty: all 0
  std::vector<std::uint32_t> layer_windows = {};
};

/// Tensors of a Llama-shaped model in the orientation (output rows, input columns). Vectors (norm
/// gains, biases) are one row. Rows of wq and wk, and values of bq and bk, are in the interleaved
/// RoPE order: lanes 2i and 2i + 1 of a head are turned together; readers of other orders permute.
enum class TensorName : std::uint8_t {
  token_embedding,  // (vocab_size, dim)
  classifier,       // (vocab_size, dim)
  final_norm,       // (1, dim)
  attention_norm,   // (1, dim)                  of a layer, as all that follow
  wq,               // (n_heads * head_size, dim)
  wk,               // (n_kv_heads * head_size, dim)
  wv,               // (n_kv_heads * head_size, dim)
  wo,               // (dim, n_heads * head_size)
  ffn_norm,         // (1, dim)
  w_gate,           // (hidden_dim, dim)
  w_up,             // (hidden_dim, dim)
  w_down,           // (dim, hidden_dim)
  bq,               // (1, n_heads * head_size)     where has_attention_bias
  bk,               // (1, n_kv_heads * head_size)
  bv,               // (1, n_kv_heads * head_size)
  bo,               // (1, dim)                     where has_output_bias
};
inline constexpr std::size_t kTensorNameCount = 16;

/// A foreign model file. A reader validates everything that the file says of sizes when it is
/// constructed, and throws `Error` that names the file and what was expected.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  virtual const CheckpointShape& shape() const = 0;
  /// What the file is, for people: "llama2.c, version 2, int8 in groups of 64".
  virtual std::string format() const = 0;
  /// Fills `out` with one row of a tensor; out.size() is its number of columns.
  virtual void read_row(std::span<float> out, TensorName tensor, std::uint32_t layer,
                        std::uint32_t row) const = 0;
  /// Gives back the memory of what was read so far; it is read from the file again where needed.
  virtual void release_pages() const {}
};

/// Opens `path` by what its first bytes say. This is where a new format is added.
std::unique_ptr<Checkpoint> open_checkpoint(const std::string& path);

}  // namespace mote::host
