// What waits to be read, by calls, connections and time.
#include "server/api/unread_answers.h"

#include <atomic>
#include <chrono>
#include <optional>

#include "server/api/error_reply.h"
#include "server/api/request_error.h"
#include "server/base/steady_clock.h"
#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;

constexpr int64_t kKiB = 1 << 10;

class UnreadAnswersTest : public ::testing::Test {
 protected:
  UnreadAnswers all_{{.bytes = 400 * kKiB}};
  UnreadAnswers::Part first_{all_, 1, [] {}};
  UnreadAnswers::Part second_{all_, 1, [] {}};
  UnreadAnswers::Part other_{all_, 2, [] {}};
};

TEST_F(UnreadAnswersTest, AConnectionHasAQuarter) {
  EXPECT_OK(first_.Add(60 * kKiB));
  EXPECT_OK(second_.Add(40 * kKiB));
  EXPECT_EQ(all_.bytes(), 100 * kKiB);
  const absl::Status full = second_.CheckRoom(1);
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()),
              HasSubstr("on this connection, this answer too, has 102401 bytes; the server's limit "
                        "is 102400 (a quarter of --max_unread_bytes)"));
  EXPECT_EQ(RetryAfter(full), absl::Seconds(1));
  EXPECT_EQ(Reason(ToErrorReply(full)), "dyad.v1 UNREAD_ANSWERS");
  EXPECT_EQ(second_.Add(1).message(), full.message());
  EXPECT_EQ(all_.bytes(), 100 * kKiB) << "what is refused does not count";
  EXPECT_OK(other_.Add(100 * kKiB));
  first_.Remove(60 * kKiB);
  EXPECT_OK(second_.Add(60 * kKiB));
}

TEST_F(UnreadAnswersTest, AllTogetherHaveALimit) {
  std::vector<std::unique_ptr<UnreadAnswers::Part>> parts;
  for (uint64_t client = 10; client < 14; ++client) {
    parts.push_back(std::make_unique<UnreadAnswers::Part>(all_, client, [] {}));
    EXPECT_OK(parts.back()->Add(100 * kKiB));
  }
  const absl::Status full = other_.CheckRoom(1);
  EXPECT_THAT(std::string(full.message()), HasSubstr("on all connections"));
  EXPECT_THAT(std::string(full.message()), HasSubstr("is 409600 (--max_unread_bytes)"));
  EXPECT_EQ(other_.Add(20 * kKiB).code(), absl::StatusCode::kResourceExhausted);
  parts.pop_back();
  EXPECT_OK(other_.Add(20 * kKiB)) << "a part that ends makes room";
  parts.clear();
  EXPECT_EQ(all_.bytes(), 20 * kKiB);
}

TEST_F(UnreadAnswersTest, OneAnswerAloneIsNeverTooLarge) {
  EXPECT_OK(first_.CheckRoom(900 * kKiB));
  EXPECT_OK(first_.Add(900 * kKiB));
  EXPECT_FALSE(other_.CheckRoom(1).ok());
}

TEST_F(UnreadAnswersTest, WhoReadsGoesOnBesideWhoDoesNot) {
  EXPECT_OK(first_.Add(100 * kKiB));
  for (int i = 0; i < 1000; ++i) {
    ASSERT_OK(second_.Add(10 * kKiB));
    second_.Remove(10 * kKiB);
  }
  EXPECT_OK(second_.Add(16 * kKiB));
  EXPECT_FALSE(second_.Add(1).ok());
}

// Waits for `done`, at most ten seconds.
template <typename Condition>
bool Await(const Condition& done) {
  const absl::Time until = SteadyNow() + absl::Seconds(10);
  while (!done() && SteadyNow() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return done();
}

TEST(UnreadTimeTest, ACallOfWhichNothingIsReadIsGivenUpOnce) {
  const absl::Duration limit = absl::Milliseconds(50);
  UnreadAnswers all({.bytes = 400 * kKiB, .time = limit});
  std::atomic<int> given_up = 0;
  UnreadAnswers::Part idle(all, 1, [] { ADD_FAILURE() << "nothing of it waits"; });
  std::optional<UnreadAnswers::Part> part(std::in_place, all, 1, [&] { ++given_up; });
  const absl::Time start = SteadyNow();
  ASSERT_OK(part->Add(10));
  EXPECT_FALSE(part->given_up());
  EXPECT_TRUE(Await([&] { return given_up > 0; }));
  EXPECT_GE(SteadyNow() - start, limit);
  EXPECT_TRUE(part->given_up());
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(given_up, 1);
  part.reset();
  EXPECT_EQ(all.bytes(), 0);
}

TEST(UnreadTimeTest, EachByteThatIsReadStartsTheTimeAgain) {
  const absl::Duration limit = absl::Milliseconds(800);
  UnreadAnswers all({.bytes = 400 * kKiB, .time = limit});
  UnreadAnswers::Part part(all, 1, [] {});
  const absl::Time start = SteadyNow();
  ASSERT_OK(part.Add(1000));
  while (SteadyNow() - start < 1.5 * limit) {
    part.Remove(1);
    ASSERT_FALSE(part.given_up());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(Await([&] { return part.given_up(); }));
}

}  // namespace
}  // namespace dyad
