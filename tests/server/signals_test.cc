// Real signals, each in a child process that ends by them, or by alarm if they fail.
#include "server/signals.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace dyad {
namespace {

// A thread that sends this process `signal` in a while. The signal must come after Wait began:
// until then it would end the process.
std::jthread SendSoon(int signal) {
  return std::jthread([signal] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    kill(getpid(), signal);
  });
}

// Such a thread would not block the signals, and could be the one that the kernel picks. The child
// starts this program anew, so that threads of earlier tests are not there.
TEST(SignalWatchTest, NoLibraryStartsThreadsBeforeMain) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const std::filesystem::directory_iterator threads("/proc/self/task");
        std::_Exit(static_cast<int>(std::distance(begin(threads), end(threads))));
      },
      ::testing::ExitedWithCode(1), "");
}

TEST(SignalWatchTest, WaitReturnsTheSignal) {
  for (const int signal : {SIGTERM, SIGINT}) {
    EXPECT_EXIT(
        {
          alarm(10);
          SignalWatch watch;
          const std::jthread sender = SendSoon(signal);
          std::_Exit(watch.Wait(absl::Seconds(9)));
        },
        ::testing::ExitedWithCode(signal), "");
  }
}

TEST(SignalWatchTest, BeforeWaitASignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        alarm(10);
        SignalWatch watch;
        kill(getpid(), SIGTERM);
        pause();
      },
      ::testing::ExitedWithCode(128 + SIGTERM), "");
}

TEST(SignalWatchTest, SecondSignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        alarm(10);
        SignalWatch watch;
        const std::jthread sender = SendSoon(SIGTERM);
        watch.Wait(absl::Seconds(9));
        kill(getpid(), SIGINT);
        pause();
      },
      ::testing::ExitedWithCode(128 + SIGINT), "");
}

TEST(SignalWatchTest, AProcessThatDoesNotEndIsEnded) {
  EXPECT_EXIT(
      {
        alarm(10);
        SignalWatch watch;
        const std::jthread sender = SendSoon(SIGTERM);
        watch.Wait(absl::Milliseconds(300));
        while (true) pause();
      },
      ::testing::ExitedWithCode(1), "dyad-server: the process did not end within 300ms");
}

TEST(SignalWatchTest, ThreadsStartedLaterDoNotTakeTheSignal) {
  EXPECT_EXIT(
      {
        alarm(10);
        SignalWatch watch;
        std::vector<std::thread> later;
        for (int i = 0; i < 8; ++i) {
          later.emplace_back([] { std::this_thread::sleep_for(std::chrono::seconds(20)); });
        }
        const std::jthread sender = SendSoon(SIGTERM);
        std::_Exit(watch.Wait(absl::Seconds(9)));
      },
      ::testing::ExitedWithCode(SIGTERM), "");
}

TEST(SignalWatchTest, EndsWithoutASignal) {
  EXPECT_EXIT(
      {
        alarm(10);
        { SignalWatch watch; }
        std::_Exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace dyad
