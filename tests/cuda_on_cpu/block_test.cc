// The harness catches what a GPU would leave undefined: each mistake is planted in a kernel and has
// to end the program, or to show as NaN.
#include "tests/cuda_on_cpu/block.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/cuda/ptx.cuh"
#include "kernels/reference/tensor.h"

// As a kernel's file sees the harness.
namespace dyad::kernels::cuda {
namespace {

using cuda_on_cpu::RunGrid;

constexpr Extent kOne = {1, 1, 1};
int Thread() { return static_cast<int>(threadIdx.x); }
float* SharedFloats() { return reinterpret_cast<float*>(DynamicShared()); }

TEST(BlockTest, RunsEveryThreadOfEveryBlockOnce) {
  std::vector<int> seen(2 * 3 * 2 * 40, 0);
  RunGrid({2, 3, 2}, {40, 1, 1}, 0, [&] {
    const unsigned block = (blockIdx.z * 3 + blockIdx.y) * 2 + blockIdx.x;
    ++seen[block * 40 + threadIdx.x];
  });
  EXPECT_EQ(std::accumulate(seen.begin(), seen.end(), 0), 480);
  EXPECT_EQ(*std::max_element(seen.begin(), seen.end()), 1);
}

TEST(BlockTest, ThreadsRunInManyOrders) {
  std::vector<std::vector<int>> orders;
  for (int turn = 0; turn < 3; ++turn) {
    orders.emplace_back();
    RunGrid(kOne, {32, 1, 1}, 0, [&] { orders.back().push_back(Thread()); });
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_NE(orders[1], orders[2]);
}

TEST(BlockTest, SharedMemoryIsBornAsNaN) {
  RunGrid(kOne, kOne, 8 * sizeof(float), [] {
    for (int i = 0; i < 8; ++i) EXPECT_TRUE(std::isnan(SharedFloats()[i]));
  });
}

TEST(BlockTest, BarriersMakeWritesVisible) {
  std::vector<float> sums(64);
  RunGrid(kOne, {64, 1, 1}, 64 * sizeof(float), [&] {
    SharedFloats()[Thread()] = 1;
    __syncthreads();
    for (int i = 0; i < 64; ++i) sums[static_cast<size_t>(Thread())] += SharedFloats()[i];
  });
  EXPECT_EQ(sums, std::vector<float>(64, 64.0f));
}

// Without the barrier somebody reads what nobody has written yet.
TEST(BlockTest, AMissingBarrierShowsAsNaN) {
  bool any = false;
  RunGrid(kOne, {64, 1, 1}, 64 * sizeof(float), [&] {
    SharedFloats()[Thread()] = 1;
    any |= std::isnan(SharedFloats()[(Thread() + 1) % 64]);
  });
  EXPECT_TRUE(any);
}

TEST(BlockTest, ShufflesMeetTheWarp) {
  std::vector<float> sums(64);
  RunGrid(kOne, {64, 1, 1}, 0, [&] {
    auto value = static_cast<float>(Thread());
    for (int d = 16; d > 0; d /= 2) value += __shfl_xor_sync(0xffffffffu, value, d);
    sums[static_cast<size_t>(Thread())] = value;
  });
  EXPECT_EQ(sums.front(), 31 * 32 / 2);
  EXPECT_EQ(sums.back(), 31 * 32 / 2 + 32 * 32);
}

using BlockDeathTest = testing::Test;
auto Ends() { return testing::ExitedWithCode(3); }

TEST(BlockDeathTest, ABarrierThatNotAllReach) {
  EXPECT_EXIT(RunGrid(kOne, {64, 1, 1}, 0,
                      [] {
                        if (Thread() != 5) __syncthreads();
                      }),
              Ends(), "that not all threads reach");
}

TEST(BlockDeathTest, ALaneThatLeavesAWarpWhileOthersMeet) {
  EXPECT_EXIT(RunGrid(kOne, {32, 1, 1}, 0,
                      [] {
                        if (Thread() == 7) return;
                        __syncwarp();
                      }),
              Ends(), "that not all threads reach");
}

TEST(BlockDeathTest, LanesInDifferentCollectives) {
  EXPECT_EXIT(RunGrid(kOne, {32, 1, 1}, 0,
                      [] {
                        if (Thread() < 16) {
                          __syncwarp();
                        } else {
                          __shfl_xor_sync(0xffffffffu, 1.0f, 1);
                        }
                      }),
              Ends(), "different collectives");
}

TEST(BlockDeathTest, ThreadsThatDisagreeAboutABarrier) {
  EXPECT_EXIT(RunGrid(kOne, {64, 1, 1}, 0, [] { NamedBarrier(1, Thread() < 32 ? 64 : 32); }),
              Ends(), "disagree");
}

// --- Asynchronous copies ---

TEST(CopyTest, LandsWhenItIsWaitedForAndNotBefore) {
  alignas(16) const float from[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  RunGrid(kOne, kOne, 48, [&] {
    CopyAsync16(SharedAddress(SharedFloats()), from, true);
    CommitCopies();
    CopyAsync16(SharedAddress(SharedFloats() + 4), from + 4, true);
    CopyAsync16(SharedAddress(SharedFloats() + 8), from, false);
    CommitCopies();
    EXPECT_TRUE(std::isnan(SharedFloats()[0]));
    WaitCopies<1>();
    EXPECT_EQ(SharedFloats()[3], 4);
    EXPECT_TRUE(std::isnan(SharedFloats()[4]));
    WaitCopies<0>();
    EXPECT_EQ(SharedFloats()[7], 8);
    EXPECT_EQ(SharedFloats()[8], 0);
  });
}

// A producer fills a ring by bulk copies; a barrier in memory says when.
TEST(CopyTest, BulkCopiesCompleteTheBarrierThatCountsThem) {
  alignas(16) const float from[4] = {1, 2, 3, 4};
  RunGrid(kOne, {32, 1, 1}, 64, [&] {
    const Shared barrier = SharedAddress(DynamicShared() + 32);
    if (Thread() == 0) BarrierInit(barrier, 1);
    FenceBarrierInit();
    __syncthreads();
    if (Thread() == 0) {
      BarrierExpect(barrier, 16);
      BulkCopy(SharedAddress(SharedFloats()), from, 16, barrier);
    }
    BarrierWait(barrier, 0);
    EXPECT_EQ(SharedFloats()[2], 3);
  });
}

TEST(CopyDeathTest, ABarrierInMemoryThatNobodyArrivesAt) {
  EXPECT_EXIT(RunGrid(kOne, {32, 1, 1}, 16,
                      [] {
                        const Shared barrier = SharedAddress(DynamicShared());
                        if (Thread() == 0) BarrierInit(barrier, 2);
                        __syncthreads();
                        if (Thread() == 0) BarrierArrive(barrier);
                        BarrierWait(barrier, 0);
                      }),
              Ends(), "that not all threads reach");
  EXPECT_EXIT(RunGrid(kOne, kOne, 16, [] { BarrierArrive(SharedAddress(DynamicShared())); }),
              Ends(), "not initialised");
  EXPECT_EXIT(RunGrid(kOne, kOne, 16,
                      [] {
                        const Shared barrier = SharedAddress(DynamicShared());
                        BarrierInit(barrier, 1);
                        BarrierExpect(barrier, 16);
                        BarrierArrive(barrier);
                      }),
              Ends(), "more arrivals");
}

// --- Tensor cores ---

uint16_t Bits(float value) { return ToBfloat16(value); }
uint32_t Pair(float low, float high) { return Bits(low) | static_cast<uint32_t>(Bits(high)) << 16; }

// Fragments by the published lane map: a row of a for lane / 4, two k for lane % 4.
TEST(MultiplyTest, IsTheProductOfItsFragments) {
  float a[16][16], b[16][8], found[16][8];
  std::mt19937 random(3);
  for (auto& row : a) {
    for (float& v : row) v = static_cast<float>(static_cast<int>(random() % 17) - 8);
  }
  for (auto& row : b) {
    for (float& v : row) v = static_cast<float>(static_cast<int>(random() % 17) - 8);
  }
  RunGrid(kOne, {32, 1, 1}, 0, [&] {
    const int row = Thread() / 4, k = Thread() % 4 * 2;
    const uint4 of_a = {Pair(a[row][k], a[row][k + 1]), Pair(a[row + 8][k], a[row + 8][k + 1]),
                        Pair(a[row][k + 8], a[row][k + 9]),
                        Pair(a[row + 8][k + 8], a[row + 8][k + 9])};
    float d[4] = {};
    Mma(Bf16(), d, of_a, Pair(b[k][row], b[k + 1][row]), Pair(b[k + 8][row], b[k + 9][row]));
    for (int i = 0; i < 4; ++i) found[row + i / 2 * 8][k + i % 2] = d[i];
  });
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      float expected = 0;
      for (int k = 0; k < 16; ++k) expected += a[row][k] * b[k][column];
      EXPECT_EQ(found[row][column], expected) << row << " " << column;
    }
  }
}

TEST(MultiplyTest, FollowsTheGenerationThatIsSet) {
  const auto multiply = [] {
    float result = 0;
    RunGrid(kOne, {32, 1, 1}, 0, [&] {
      const bool first = Thread() < 4;
      const uint4 a = {first && Thread() == 0 ? Pair(1, std::ldexp(1.0f, -12)) : 0, 0,
                       first && Thread() == 0 ? Pair(-1, 0) : 0, 0};
      const bool one = Thread() == 0;
      float d[4] = {};
      Mma(Bf16(), d, a, one ? Pair(1, std::ldexp(1.0f, -13)) : 0, one ? Pair(1, 0) : 0);
      if (one) result = d[0];
    });
    return result;
  };
  EXPECT_EQ(multiply(), std::ldexp(1.0f, -25));
  cuda_on_cpu::SetTensorCore(reference::kTensorCore80);
  EXPECT_EQ(multiply(), 0);
  cuda_on_cpu::SetTensorCore(reference::kTensorCore90);
}

TEST(MultiplyTest, LoadsMatricesByTheirRows) {
  RunGrid(kOne, {32, 1, 1}, 4 * 8 * 16, [&] {
    auto* const words = reinterpret_cast<uint32_t*>(DynamicShared());
    for (int i = 0; i < 4; ++i) words[Thread() * 4 + i] = static_cast<uint32_t>(Thread() * 4 + i);
    __syncwarp();
    uint32_t r[4];
    LoadMatrix4(r, SharedAddress(words + Thread() * 4));
    for (int m = 0; m < 4; ++m) {
      EXPECT_EQ(r[m], static_cast<uint32_t>((m * 8 + Thread() / 4) * 4 + Thread() % 4));
    }
  });
}

}  // namespace
}  // namespace dyad::kernels::cuda
