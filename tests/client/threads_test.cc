// Threads that end well, throw, or cannot be started.
#include "client/threads.h"

#include <pthread.h>

#include <atomic>
#include <stdexcept>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

TEST(ThreadsTest, EachNumberIsWorkedOnOnce) {
  std::atomic<int64_t> sum = 0, failures = 0;
  RunThreads(
      10, [&](int64_t number) { sum += number; }, [&](const absl::Status&) { ++failures; });
  EXPECT_EQ(sum, 45);
  EXPECT_EQ(failures, 0);
}

TEST(ThreadsTest, AnExceptionIsAFailure) {
  absl::Status failure;
  RunThreads(
      3,
      [](int64_t number) {
        if (number == 1) throw std::runtime_error("thrown on purpose");
      },
      [&](const absl::Status& status) { failure = status; });
  EXPECT_THAT(failure, StatusIs(absl::StatusCode::kInternal, HasSubstr("on purpose")));
}

// As under a limit of processes or memory: the system has no room for the stack.
TEST(ThreadsTest, AThreadThatCannotBeStartedIsAFailure) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_getattr_default_np(&attributes), 0);
  size_t usual = 0;
  pthread_attr_getstacksize(&attributes, &usual);
  pthread_attr_setstacksize(&attributes, size_t{1} << 50);
  ASSERT_EQ(pthread_setattr_default_np(&attributes), 0);
  int worked = 0;
  absl::Status failure;
  RunThreads(
      2, [&](int64_t) { ++worked; }, [&](const absl::Status& status) { failure = status; });
  pthread_attr_setstacksize(&attributes, usual);
  EXPECT_EQ(pthread_setattr_default_np(&attributes), 0);
  pthread_attr_destroy(&attributes);
  EXPECT_EQ(worked, 0);
  EXPECT_FALSE(failure.ok());
  EXPECT_THAT(std::string(failure.message()), HasSubstr("cannot start thread 1 of 2"));
}

}  // namespace
}  // namespace dyad::client
