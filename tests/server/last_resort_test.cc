// Exceptions that nobody catches, on main's thread and on another one, and an abort.
#include "server/last_resort.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "gtest/gtest.h"
#include "server/server_log.h"
#include "tests/support/sanitized.h"

namespace dyad {
namespace {

template <typename Exception>
void ThrowInThread(const Exception& exception) {
  PrepareLastResort();
  std::thread([&] { throw exception; }).join();
}

TEST(LastResortTest, AnExceptionOfAnyThreadEndsTheProcessWithALine) {
  EXPECT_EXIT(ThrowInThread(std::runtime_error("what happened")), ::testing::ExitedWithCode(1),
              "dyad-server: what happened\n$");
  EXPECT_EXIT(ThrowInThread(std::bad_alloc()), ::testing::ExitedWithCode(1),
              "dyad-server: not enough memory\n$");
  EXPECT_EXIT(ThrowInThread(std::system_error(EAGAIN, std::generic_category())),
              ::testing::ExitedWithCode(1),
              "refuses a thread.*Resource temporarily unavailable\n$");
  EXPECT_EXIT(ThrowInThread(7), ::testing::ExitedWithCode(1), "an unknown exception\n$");
}

// Takes the last byte that malloc has, and ends by an exception.
template <typename Exception>
void ThrowWithoutMemory(const Exception& exception) noexcept {
  PrepareLastResort();
  const rlimit no_more = {0, 0};  // what is mapped stays
  if (setrlimit(RLIMIT_AS, &no_more) != 0) _exit(3);
  for (size_t size = size_t{1} << 20; size > 0; size /= 2) {
    while (std::malloc(size) != nullptr) {
    }
  }
  [&] { throw exception; }();
}

TEST(LastResortTest, TheLineNeedsNoMemory) {
  if (testing::kSanitized) GTEST_SKIP() << "a sanitizer has memory of its own";
  EXPECT_EXIT(ThrowWithoutMemory(std::bad_alloc()), ::testing::ExitedWithCode(1),
              "dyad-server: not enough memory\n$");
  EXPECT_EXIT(ThrowWithoutMemory(std::system_error(EAGAIN, std::generic_category())),
              ::testing::ExitedWithCode(1),
              "refuses a thread.*Resource temporarily unavailable\n$");
}

TEST(LastResortTest, WhatWasLoggedBeforeAnAbortIsWritten) {
  EXPECT_EXIT(
      {
        PrepareLastResort();
        ServerLog log(LogFormat::kText, LogLevel::kInfo);
        log.Write(LogLevel::kError, "assertion failed", {});
        std::abort();
      },
      ::testing::KilledBySignal(SIGABRT), " error assertion failed\n$");
}

}  // namespace
}  // namespace dyad
