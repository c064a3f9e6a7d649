// SPDX-License-Identifier: Apache-2.0
#include "support/program.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "support/temporary_file.hpp"

namespace mote::test {
namespace {

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// In the child: makes `path` its descriptor `target`.
void redirect(int target, const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags);
  if (fd < 0 || ::dup2(fd, target) < 0) ::_exit(127);
}

}  // namespace

ProgramResult run_program(const std::string& program, const std::vector<std::string>& arguments,
                          const std::string& output_path) {
  // Files, not pipes: neither end waits for the other.
  const host::TemporaryFile output("mote-test-output");
  const host::TemporaryFile errors("mote-test-errors");
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot start " + program);
  if (child == 0) {
    redirect(STDIN_FILENO, "/dev/null", O_RDONLY);
    redirect(STDOUT_FILENO, output_path.empty() ? output.path() : output_path, O_WRONLY);
    redirect(STDERR_FILENO, errors.path(), O_WRONLY);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child) throw std::runtime_error("lost " + program);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(output.path()),
          read_text(errors.path())};
}

}  // namespace mote::test
