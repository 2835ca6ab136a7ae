// Standard output that is full, closed or not read any more. Each case is a process of its own.
#include "server/base/standard_streams.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "gtest/gtest.h"

namespace dyad {
namespace {

enum class Output { kFull, kClosed, kReaderGone, kGood };

void Redirect(Output output) {
  int ends[2] = {-1, -1};
  switch (output) {
    case Output::kFull:
      dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO);
      break;
    case Output::kClosed:
      close(STDOUT_FILENO);
      break;
    case Output::kReaderGone:
      if (pipe(ends) != 0) std::abort();
      dup2(ends[1], STDOUT_FILENO);
      close(ends[0]);
      break;
    case Output::kGood:
      dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
      break;
  }
}

// What a program does that prints by `print` and ends well.
[[noreturn]] void Program(Output output, void (*print)()) {
  Redirect(output);
  PrepareStandardStreams();
  CheckStandardOutputAtExit("program");
  // What the next file gets must not be what is printed.
  if (open("/dev/null", O_RDONLY) <= STDERR_FILENO) std::abort();
  print();
  std::exit(0);
}

constexpr auto kPrintf = [] { std::printf("printed\n"); };
constexpr auto kCout = [] { std::cout << "printed\n"; };
constexpr auto kNothing = [] {};

TEST(StandardStreamsDeathTest, WhatDoesNotArriveIsStatusOneAndOneLine) {
  for (void (*print)() : {+kPrintf, +kCout}) {
    EXPECT_EXIT(Program(Output::kFull, print), ::testing::ExitedWithCode(1),
                "^program: cannot write to standard output: No space left on device\n$");
    EXPECT_EXIT(Program(Output::kClosed, print), ::testing::ExitedWithCode(1),
                "^program: cannot write to standard output: Bad file descriptor\n$");
    EXPECT_EXIT(Program(Output::kReaderGone, print), ::testing::ExitedWithCode(1),
                "^program: cannot write to standard output: Broken pipe\n$");
  }
}

TEST(StandardStreamsDeathTest, WhatArrivesOrIsNotPrintedIsNoFault) {
  EXPECT_EXIT(Program(Output::kGood, +kPrintf), ::testing::ExitedWithCode(0), "^$");
  EXPECT_EXIT(Program(Output::kGood, +kCout), ::testing::ExitedWithCode(0), "^$");
  for (const Output output : {Output::kFull, Output::kClosed, Output::kReaderGone}) {
    EXPECT_EXIT(Program(output, +kNothing), ::testing::ExitedWithCode(0), "^$");
  }
}

}  // namespace
}  // namespace dyad
