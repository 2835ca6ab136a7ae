// Both streams of standard output, C's and C++'s, have buffers that may fail at the last moment.
#include "server/base/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

namespace dyad {
namespace {

const char* program_name = "";

void CheckStandardOutput() {
  errno = 0;
  std::cout.flush();
  const bool arrived = std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good();
  if (arrived) return;
  std::fprintf(stderr, "%s: cannot write to standard output%s%s\n", program_name,
               errno == 0 ? "" : ": ", errno == 0 ? "" : std::strerror(errno));
  std::fflush(stderr);
  _exit(1);
}

}  // namespace

void PrepareStandardStreams() {
  std::signal(SIGPIPE, SIG_IGN);
  // The lowest free number is taken, so these come in order. Opened the wrong way round: reading
  // from 0 and writing to 1 fail. Nobody could be told that writing to 2 failed.
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) != -1) continue;
    if (open("/dev/null", descriptor == STDOUT_FILENO ? O_RDONLY : O_WRONLY) < 0) return;
  }
}

#ifndef DYAD_SANITIZED
// Before any constructor of a library, too: some open files, which would get the numbers.
[[gnu::section(".preinit_array"), gnu::used]] void (*prepare)() = PrepareStandardStreams;
#endif

void CheckStandardOutputAtExit(const char* program) {
  program_name = program;
  std::atexit(&CheckStandardOutput);
}

}  // namespace dyad
