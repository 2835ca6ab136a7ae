// dyadctl health: the exit status, and that it comes in time.
#include <chrono>

#include "client/dyadctl.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"

namespace dyad::client {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;
using testing::RunDyadctl;

TEST(HealthCommandTest, ZeroOnlyIfReadinessIsServing) {
  FakeServer server;
  const auto ready = RunDyadctl({"health", "--server", server.address()});
  EXPECT_EQ(ready.status, 0) << ready.err;
  EXPECT_EQ(ready.out, "readiness SERVING\n");
  server.SetReady(false);
  const auto unready = RunDyadctl({"health", "--server", server.address()});
  EXPECT_EQ(unready.status, 1);
  EXPECT_EQ(unready.out, "readiness NOT_SERVING\n");
}

TEST(HealthCommandTest, OtherNamesMayBeAskedFor) {
  FakeServer server;
  EXPECT_EQ(RunDyadctl({"health", "--service=nobody", "--server", server.address()}).status, 1);
}

// The promise is part of the command, so it is tested; the limit inside is a deadline, not a sleep.
TEST(HealthCommandTest, NobodyThereIsOneWithinTwoSeconds) {
  for (const char* nobody : {"127.0.0.1:1", "192.0.2.1:50051"}) {  // refused; never answered
    const auto start = std::chrono::steady_clock::now();
    const auto run = RunDyadctl({"health", "--server", nobody});
    EXPECT_EQ(run.status, 1);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2)) << nobody;
  }
}

TEST(HealthCommandTest, JsonNamesTheStatus) {
  FakeServer server;
  EXPECT_EQ(RunDyadctl({"health", "--json", "--server", server.address()}).out,
            "{\"service\":\"readiness\",\"status\":\"SERVING\"}\n");
  const auto run = RunDyadctl({"health", "--json", "--server", "127.0.0.1:1"});
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.out, HasSubstr("\"status\":\"UNREACHABLE\""));
}

}  // namespace
}  // namespace dyad::client
