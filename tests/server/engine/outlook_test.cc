// When one sequence more would end: places, pages, prompts and turns, each alone.
#include "server/engine/outlook.h"

#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace dyad::engine {
namespace {

constexpr QueuedWork kHundred = {1, 0, 100};  // steps, as a step takes a millisecond

// A millisecond a step, whatever runs.
Forecast AMillisecondAStep() {
  Forecast forecast;
  for (int i = 0; i < 4000; ++i) {
    forecast.OnStep({.rows = i % 40 == 0    ? 1001
                             : i % 40 == 20 ? 1000
                                            : 1,
                     .sequences = i % 40 == 20 ? 1000 : 1,
                     .waiting = 0},
                    absl::Milliseconds(1));
  }
  return forecast;
}

constexpr Room Places(int32_t places) {
  return {.places = places, .max_batch_tokens = 100, .pages = 1'000'000, .pages_used = 0};
}

Outlook Of(const Room& room, const std::vector<RunningWork>& running, Clients clients = {}) {
  return {AMillisecondAStep(), room, running, std::move(clients)};
}

double StepsToEnd(const Outlook& outlook, const QueuedWork& work, uint64_t client = 1) {
  return absl::ToDoubleMilliseconds(outlook.TimeToEnd(client, work));
}

TEST(OutlookTest, KnowsNothingBeforeAnythingWasMeasured) {
  EXPECT_EQ(Outlook().TimeToEnd(1, kHundred), absl::ZeroDuration());
}

TEST(OutlookTest, RunsAtOnceWhereThereIsAPlace) {
  EXPECT_NEAR(StepsToEnd(Of(Places(2), {{0, 70}}), kHundred), 100, 2);
}

TEST(OutlookTest, WaitsForTheFirstThatEndsWhereThereIsNone) {
  EXPECT_NEAR(StepsToEnd(Of(Places(3), {{0, 90}, {0, 30}, {0, 70}}), kHundred), 130, 3);
}

// Two before it take the places of the two that end first.
TEST(OutlookTest, WaitsForItsTurn) {
  Outlook outlook = Of(Places(3), {{0, 90}, {0, 30}, {0, 70}});
  outlook.Queue(1, {2, 0, 200});
  EXPECT_NEAR(StepsToEnd(outlook, kHundred), 190, 4);
  outlook.Queue(1, {1, 0, 100});  // all three places are taken once more
  EXPECT_NEAR(StepsToEnd(outlook, kHundred), 230, 5);
  outlook.Queue(1, {-3, 0, -300});
  EXPECT_NEAR(StepsToEnd(outlook, kHundred), 130, 3);
}

TEST(OutlookTest, CountsTheQueueWhereNothingRunsYet) {
  Outlook outlook = Of(Places(1), {});
  outlook.Queue(1, {2, 0, 200});
  EXPECT_NEAR(StepsToEnd(outlook, kHundred), 300, 6);
}

// 3 that run will need 8 pages each; so they and one more would need 30 of the 26.
TEST(OutlookTest, WaitsForPagesForEverybodysWholeLength) {
  Room room = Places(100);
  room.pages = 26;
  room.pages_used = 6;
  const std::vector<RunningWork> running = {{0, 96}, {0, 64}, {0, 128}};
  EXPECT_NEAR(StepsToEnd(Of(room, running), kHundred), 164, 4);
  room.pages = 31;
  EXPECT_NEAR(StepsToEnd(Of(room, running), kHundred), 100, 2);
}

// 10 run where pages will do for 5: while they do, steps are as long as theirs.
TEST(OutlookTest, WaitsAtThePaceOfThoseThatRun) {
  Forecast forecast;  // a millisecond for each sequence
  for (int i = 0; i < 100; ++i) {
    forecast.OnStep({.rows = 8, .sequences = 8, .waiting = 0}, absl::Milliseconds(8));
  }
  const Room room = {.places = 20, .max_batch_tokens = 100, .pages = 56, .pages_used = 10};
  const std::vector<RunningWork> running(10, {0, 160});
  const Outlook outlook(forecast, room, running, {});
  EXPECT_NEAR(StepsToEnd(outlook, {1, 0, 160}), 160 * 10 + 160 * 5, 1);
}

TEST(OutlookTest, WaitsForTheRowsOfPromptsBeforeIt) {
  Outlook outlook = Of(Places(10), {{1000, 0}});
  outlook.Queue(1, {4, 2000, 0});
  EXPECT_NEAR(StepsToEnd(outlook, {1, 500, 0}), 35, 1);
}

// The turn is of the client that runs least: a guest has fewer of the busy one's before it.
TEST(OutlookTest, CountsOnlyWhatHasItsTurnBefore) {
  Clients clients;
  clients[1] = {.waiting = {10, 0, 1000}, .running = 1};
  clients[2] = {.waiting = {1, 0, 100}, .running = 0};
  const Outlook outlook = Of(Places(1), {{0, 50}}, clients);
  EXPECT_NEAR(StepsToEnd(outlook, kHundred, 1), 50 + 11 * 100 + 100, 30);
  EXPECT_NEAR(StepsToEnd(outlook, kHundred, 2), 50 + 2 * 100 + 100, 10);
}

TEST(OutlookTest, AGuestGetsTheSecondPlaceOfAnother) {
  Clients clients;
  clients[1] = {.waiting = {10, 0, 1000}, .running = 2};
  const Outlook outlook = Of(Places(2), {{0, 50}, {0, 50}}, clients);
  EXPECT_NEAR(StepsToEnd(outlook, kHundred, 2), 100, 2);
  clients[1].running = 1;
  EXPECT_NEAR(StepsToEnd(Of(Places(1), {{0, 50}}, clients), kHundred, 2), 150, 3);
}

TEST(OutlookTest, SumsTheQueueOfAllClients) {
  Clients clients;
  clients[1] = {.waiting = {1, 10, 100}, .running = 2};
  Outlook outlook = Of(Places(2), {}, clients);
  outlook.Queue(2, {2, 20, 200});
  EXPECT_EQ(outlook.waiting().sequences, 3);
  EXPECT_EQ(outlook.waiting().tokens, 30);
  EXPECT_EQ(outlook.waiting().new_tokens, 300);
  EXPECT_EQ(outlook.retry_after(), absl::Seconds(1));
}

}  // namespace
}  // namespace dyad::engine
