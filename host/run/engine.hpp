// SPDX-License-Identifier: Apache-2.0
// A model file opened and ready to run on this computer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mote/image.hpp"
#include "mote/tokenizer.hpp"
#include "mote/transformer.hpp"
#include "run/model_file.hpp"
#include "run/parallel_transformer.hpp"

namespace mote::host {

struct EngineOptions {
  std::uint32_t context_length = 0;  // 0: the model's
  std::uint32_t batch = 16;
  std::uint32_t candidates = 1;
  Verify verify = Verify::full;
  std::uint32_t threads = 1;  // to kMaxChips
};

/// Throws `Error` that names the file where an image is not valid or the options do not fit it.
class Engine {
 public:
  Engine(const std::string& path, const EngineOptions& options);

  const Image& image() const { return file_.image(); }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  ParallelTransformer& transformer() { return transformer_; }
  std::size_t arena_bytes() const { return transformer_.arena_bytes(); }

  std::vector<std::uint32_t> encode(std::string_view text, EncodeOptions options = {}) const;
  /// `Transformer::decode`, its errors thrown.
  void decode(std::span<const std::uint32_t> tokens);
  /// All logits after the last token, Q16.
  std::vector<std::int32_t> logits();

 private:
  std::string path_;
  ModelFile file_;
  Tokenizer tokenizer_;
  ParallelTransformer transformer_;
};

/// Opens the tokenizer of `image`, whose vocabulary must be the model's.
Tokenizer open_tokenizer(const std::string& path, const Image& image);

/// `Tokenizer::encode`, its errors thrown.
std::vector<std::uint32_t> encode(const Tokenizer& tokenizer, const std::string& path,
                                  std::string_view text, EncodeOptions options);

}  // namespace mote::host
