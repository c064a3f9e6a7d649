// SPDX-License-Identifier: Apache-2.0
#include "chat/template_files.hpp"

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "gguf/gguf_metadata.hpp"
#include "huggingface/json_reader.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {
namespace {

/// A text, or a list of {"name": ..., "template": ...}.
std::string read_template(const nlohmann::json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (!json.is_array()) return "";
  for (const nlohmann::json& entry : json) {
    if (!entry.is_object() || entry.value("name", nlohmann::json()) != "default") continue;
    const auto text = entry.value("template", nlohmann::json());
    if (text.is_string()) return text.get<std::string>();
  }
  return "";
}

std::string read_folder_template(const std::filesystem::path& folder) {
  const auto jinja = folder / "chat_template.jinja";
  if (std::filesystem::exists(jinja)) {
    const MappedFile file(jinja.string());
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
  }
  const auto config = folder / "tokenizer_config.json";
  if (!std::filesystem::exists(config)) return "";
  const MappedFile file(config.string());
  const nlohmann::json json = parse_json_object(file.bytes(), file.path());
  return read_template(json.value("chat_template", nlohmann::json()));
}

}  // namespace

std::string read_chat_template(const std::string& source) {
  if (std::filesystem::is_directory(source)) return read_folder_template(source);
  const MappedFile file(source);
  constexpr std::string_view kMagic = "GGUF";
  const bool is_gguf = file.bytes().size() >= kMagic.size() &&
                       std::equal(kMagic.begin(), kMagic.end(), file.bytes().begin());
  if (!is_gguf) return "";
  const GgufFile gguf(file.bytes(), file.path());
  return std::string(find_text(gguf, "tokenizer.chat_template").value_or(""));
}

}  // namespace mote::host
