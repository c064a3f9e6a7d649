// SPDX-License-Identifier: Apache-2.0
// The files of a folder, mapped for as long as the checkpoint lives.
#include <fmt/format.h>

#include <filesystem>
#include <set>
#include <utility>

#include "convert/printable.hpp"
#include "huggingface/huggingface_checkpoint.hpp"
#include "huggingface/json_reader.hpp"
#include "support/error.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {
namespace {

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

class HuggingfaceFolder final : public Checkpoint {
 public:
  HuggingfaceFolder(const MappedFile& config, std::vector<MappedFile> files)
      : files_(std::move(files)),
        safetensors_(read_files(files_)),
        checkpoint_(config.bytes(), config.path(), safetensors_) {}

  const CheckpointShape& shape() const override { return checkpoint_.shape(); }
  std::string format() const override { return checkpoint_.format(); }
  void read_row(std::span<float> out, TensorName tensor, std::uint32_t layer,
                std::uint32_t row) const override {
    checkpoint_.read_row(out, tensor, layer, row);
  }
  void release_pages() const override {
    for (const MappedFile& file : files_) file.release_pages();
  }

 private:
  static std::vector<SafetensorsFile> read_files(const std::vector<MappedFile>& files) {
    std::vector<SafetensorsFile> read;
    for (const MappedFile& file : files) read.emplace_back(file.bytes(), file.path());
    return read;
  }

  std::vector<MappedFile> files_;
  std::vector<SafetensorsFile> safetensors_;
  HuggingfaceCheckpoint checkpoint_;
};

/// A plain name of a file in the same folder.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

}  // namespace

std::vector<std::string> list_shards(std::span<const std::uint8_t> index, const std::string& path) {
  const nlohmann::json json = parse_json_object(index, path);
  const auto map = json.find("weight_map");
  if (map == json.end() || !map->is_object() || map->empty()) {
    throw Error(path + ": weight_map must be an object that names the file of each tensor");
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || !is_plain_name(file.get_ref<const std::string&>())) {
      throw Error(
          fmt::format("{}: {} must name a file of the same folder", path, printable(tensor)));
    }
    names.insert(file.get<std::string>());
  }
  return {names.begin(), names.end()};
}

std::unique_ptr<Checkpoint> open_huggingface_folder(const std::string& folder) {
  const std::filesystem::path path(folder);
  const MappedFile config((path / "config.json").string());
  std::vector<MappedFile> files;
  if (std::filesystem::exists(path / kSingle)) {
    files.emplace_back((path / kSingle).string());
  } else if (std::filesystem::exists(path / kIndex)) {
    const MappedFile index((path / kIndex).string());
    for (const std::string& shard : list_shards(index.bytes(), index.path())) {
      files.emplace_back((path / shard).string());
    }
  } else {
    throw Error(fmt::format("{}: the folder has neither {} nor {}", folder, kSingle, kIndex));
  }
  return std::make_unique<HuggingfaceFolder>(config, std::move(files));
}

}  // namespace mote::host
