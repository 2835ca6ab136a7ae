#include "kernels/cuda/launches.h"

#include <gtest/gtest.h>

#include <cstring>

namespace dyad::kernels::cuda {
namespace {

const int kKernels[2] = {};

template <typename... Arguments>
void Add(Launches& launches, const void* kernel, const LaunchShape& shape,
         const Arguments&... arguments) {
  const LaunchArgument all[] = {{&arguments, sizeof(arguments)}...};
  launches.Add(kernel, shape, all);
}

TEST(LaunchesTest, GivesBackWhatWasAdded) {
  Launches launches;
  Add(launches, &kKernels[0], {.grid = {1, 2, 3}, .block = {32}, .shared_bytes = 7}, 5, 2.5);
  Add(launches, &kKernels[1], {.grid = {9}, .block = {64, 2, 4}}, 'c');
  EXPECT_EQ(launches.count(), 2);
  int turn = 0;
  launches.ForEach([&](const void* kernel, const LaunchShape& shape, void** arguments) {
    EXPECT_EQ(kernel, &kKernels[turn]);
    if (turn++ == 0) {
      EXPECT_EQ(shape.grid.y, 2u);
      EXPECT_EQ(shape.grid.z, 3u);
      EXPECT_EQ(shape.shared_bytes, 7u);
      EXPECT_EQ(*static_cast<int*>(arguments[0]), 5);
      EXPECT_EQ(*static_cast<double*>(arguments[1]), 2.5);
    } else {
      EXPECT_EQ(shape.block.y, 2u);
      EXPECT_EQ(*static_cast<char*>(arguments[0]), 'c');
    }
  });
  EXPECT_EQ(turn, 2);
  launches.Clear();
  EXPECT_EQ(launches.count(), 0);
  EXPECT_TRUE(launches.bytes().empty());
}

// One thing changed alone: another list.
TEST(LaunchesTest, EveryDifferenceShows) {
  const LaunchShape shape = {.grid = {4, 5, 6}, .block = {32, 1, 1}, .shared_bytes = 64};
  const auto bytes = [](const void* kernel, const LaunchShape& of, auto... arguments) {
    Launches launches;
    Add(launches, kernel, of, arguments...);
    return std::string(launches.bytes());
  };
  const std::string first = bytes(&kKernels[0], shape, 1, 2);
  EXPECT_EQ(bytes(&kKernels[0], shape, 1, 2), first);
  EXPECT_NE(bytes(&kKernels[1], shape, 1, 2), first);
  EXPECT_NE(bytes(&kKernels[0], shape, 1, 3), first);
  EXPECT_NE(bytes(&kKernels[0], shape, int64_t{1}, 2), first);
  EXPECT_NE(bytes(&kKernels[0], shape, 1), first);
  for (const LaunchShape& other :
       {LaunchShape{{5, 5, 6}, {32}, 64}, LaunchShape{{4, 6, 6}, {32}, 64},
        LaunchShape{{4, 5, 7}, {32}, 64}, LaunchShape{{4, 5, 6}, {64}, 64},
        LaunchShape{{4, 5, 6}, {32}, 65}}) {
    EXPECT_NE(bytes(&kKernels[0], other, 1, 2), first);
  }
}

TEST(ReplaysTest, KeepsWhatWasUsedLast) {
  Replays<int> replays(2);
  EXPECT_EQ(replays.Find("a"), nullptr);
  EXPECT_FALSE(replays.CameBefore("a"));
  EXPECT_TRUE(replays.CameBefore("a"));
  EXPECT_FALSE(replays.CameBefore("b"));
  EXPECT_EQ(*replays.Keep("a", 1), 1);
  replays.Keep("b", 2);
  EXPECT_EQ(*replays.Find("a"), 1);
  replays.Keep("c", 3);  // b goes
  EXPECT_EQ(replays.Find("b"), nullptr);
  EXPECT_EQ(*replays.Find("a"), 1);
  EXPECT_EQ(*replays.Find("c"), 3);
}

TEST(ReplaysTest, WhatCameBeforeIsBounded) {
  Replays<int> replays(1);
  EXPECT_FALSE(replays.CameBefore("first"));
  for (int i = 0; i < 100; ++i) replays.CameBefore(std::to_string(i));
  EXPECT_FALSE(replays.CameBefore("first"));
}

}  // namespace
}  // namespace dyad::kernels::cuda
