// The built dyad-server as a process.
#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/support/paths.h"
#include "tests/support/resident.h"

namespace dyad::testing {

// A running dyad-server, killed at the end if it still runs. Its stderr goes to a file of its own,
// and its stdout too.
class ServerProcess {
 public:
  // `address_space` in bytes; 0: as much as this process may use.
  explicit ServerProcess(std::vector<std::string> arguments, int64_t address_space = 0) {
    std::string name = std::filesystem::temp_directory_path() / "dyad_server_XXXXXX";
    close(mkstemp(name.data()));
    stderr_ = name;
    const std::string program = BinDir() / "dyad-server";
    arguments.insert(arguments.begin(), program);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      const rlimit limit = {static_cast<rlim_t>(address_space), static_cast<rlim_t>(address_space)};
      if (address_space > 0) setrlimit(RLIMIT_AS, &limit);
      if (std::freopen(stderr_.c_str(), "w", stderr) != nullptr && dup2(2, 1) == 1)
        execv(program.c_str(), argv.data());
      _exit(127);
    }
  }
  ~ServerProcess() {
    if (!ended_) {
      kill(pid_, SIGKILL);
      Wait();
    }
    std::filesystem::remove(stderr_);
  }

  // Exit status; the signal's number, negative, if one ended it.
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    ended_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  void Terminate() const { kill(pid_, SIGTERM); }

  int64_t ResidentBytes() const { return ProcessResidentBytes(pid_); }

  std::string Stderr() const {
    std::stringstream text;
    text << std::ifstream(stderr_).rdbuf();
    return text.str();
  }
  std::string LastLine() const {
    const std::string text = Stderr();
    const std::vector<std::string> lines = absl::StrSplit(absl::StripSuffix(text, "\n"), '\n');
    return lines.back();
  }

  // Waits for the line that says where it serves; empty if the process ended instead.
  std::string Address() {
    while (true) {
      const std::string text = Stderr();
      const size_t serving = text.find(" serving ");
      const size_t port = text.find(" port=", serving);
      const size_t end = text.find(' ', port + 1);
      if (serving != std::string::npos && end != std::string::npos) {
        return absl::StrCat("127.0.0.1:", text.substr(port + 6, end - port - 6));
      }
      if (waitpid(pid_, nullptr, WNOHANG) != 0) {
        ended_ = true;
        return "";
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

 private:
  std::string stderr_;
  pid_t pid_ = 0;
  bool ended_ = false;
};

}  // namespace dyad::testing
