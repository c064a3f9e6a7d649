// SPDX-License-Identifier: Apache-2.0
// A plugin of QEMU that counts the instructions between two calls of a function, block by block of
// code. scripts/profile_board.py builds it and reads what it writes.
//
// Arguments: start=ADDRESS of the function, call=N (counting lasts from its Nth call, the first
// being 1, to the next), out=FILE. A line of FILE is an address, the bytes from it to the end of
// its instructions, how many these are, and how often they ran.
//
// Debian's QEMU comes without the header of its plugins; what is declared here is version 1 of that
// interface (QEMU 7.2, include/qemu/qemu-plugin.h).
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>

extern "C" {
using PluginId = std::uint64_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;
enum PluginOperation { kInlineAdd };
using TranslateCallback = void (*)(PluginId, qemu_plugin_tb*);
using ExecuteCallback = void (*)(unsigned, void*);

void qemu_plugin_register_vcpu_tb_trans_cb(PluginId, TranslateCallback);
std::size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb*);
qemu_plugin_insn* qemu_plugin_tb_get_insn(const qemu_plugin_tb*, std::size_t);
std::uint64_t qemu_plugin_insn_vaddr(const qemu_plugin_insn*);
std::size_t qemu_plugin_insn_size(const qemu_plugin_insn*);
void qemu_plugin_register_vcpu_insn_exec_inline(qemu_plugin_insn*, PluginOperation, void*,
                                                std::uint64_t);
void qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_insn*, ExecuteCallback, int, void*);
__attribute__((visibility("default"))) extern const int qemu_plugin_version = 1;
}

namespace {

struct Instruction {
  std::uint64_t address = 0;
  std::uint64_t count = 0;
};

std::deque<Instruction> instructions;  // whose places stay where they are
std::uint64_t start_address = 0;
std::uint64_t first_call = 1;
std::uint64_t calls = 0;
std::string out_path;

void write_counts() {
  std::FILE* file = std::fopen(out_path.c_str(), "w");
  if (file == nullptr) std::exit(3);
  for (const Instruction& at : instructions) {
    if (at.count == 0) continue;
    std::fprintf(file, "%llx %llu\n", static_cast<unsigned long long>(at.address),
                 static_cast<unsigned long long>(at.count));
  }
  std::fclose(file);
}

void on_start(unsigned, void*) {
  ++calls;
  if (calls == first_call) {
    for (Instruction& at : instructions) at.count = 0;
  }
  if (calls == first_call + 1) write_counts();
}

void on_translate(PluginId, qemu_plugin_tb* block) {
  for (std::size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
    qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(block, i);
    instructions.push_back({qemu_plugin_insn_vaddr(instruction), 0});
    if (instructions.back().address == start_address) {
      qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_start, 0, nullptr);
    }
    qemu_plugin_register_vcpu_insn_exec_inline(instruction, kInlineAdd, &instructions.back().count,
                                               1);
  }
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int qemu_plugin_install(PluginId id,
                                                                          const qemu_info_t*,
                                                                          int count, char** words) {
  for (int i = 0; i < count; ++i) {
    const std::string_view word = words[i];
    if (word.starts_with("start="))
      start_address = std::stoull(std::string(word.substr(6)), nullptr, 0);
    if (word.starts_with("call=")) first_call = std::stoull(std::string(word.substr(5)));
    if (word.starts_with("out=")) out_path = word.substr(4);
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
  return 0;
}
