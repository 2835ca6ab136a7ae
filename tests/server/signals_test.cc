// Real signals, each in a child process that ends by them.
#include "server/signals.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "gtest/gtest.h"

namespace dyad {
namespace {

TEST(SignalWatchTest, WaitReturnsTheSignal) {
  for (const int signal : {SIGTERM, SIGINT}) {
    EXPECT_EXIT(
        {
          SignalWatch watch;
          // The signal must come after Wait began: until then it would end the process.
          std::thread sender([signal] {
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
            kill(getpid(), signal);
          });
          const int got = watch.Wait();
          sender.join();
          std::_Exit(got);
        },
        ::testing::ExitedWithCode(signal), "");
  }
}

TEST(SignalWatchTest, BeforeWaitASignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        SignalWatch watch;
        kill(getpid(), SIGTERM);
        pause();
      },
      ::testing::ExitedWithCode(128 + SIGTERM), "");
}

TEST(SignalWatchTest, SecondSignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        SignalWatch watch;
        std::thread sender([] {
          std::this_thread::sleep_for(std::chrono::milliseconds(200));
          kill(getpid(), SIGTERM);
        });
        watch.Wait();
        kill(getpid(), SIGINT);
        pause();
      },
      ::testing::ExitedWithCode(128 + SIGINT), "");
}

// Libraries start threads before main; a process-wide signal may be delivered on any of them.
TEST(SignalWatchTest, WakesAlsoIfAnOlderThreadGetsTheSignal) {
  EXPECT_EXIT(
      {
        std::thread older([] { std::this_thread::sleep_for(std::chrono::seconds(20)); });
        SignalWatch watch;
        std::thread sender([&older] {
          std::this_thread::sleep_for(std::chrono::milliseconds(200));
          pthread_kill(older.native_handle(), SIGTERM);
        });
        std::_Exit(watch.Wait());
      },
      ::testing::ExitedWithCode(SIGTERM), "");
}

TEST(SignalWatchTest, EndsWithoutASignal) {
  EXPECT_EXIT(
      {
        { SignalWatch watch; }
        std::_Exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace dyad
