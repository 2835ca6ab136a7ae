// Buffers and scratch: alignment, and that scratch stays where it is once it is large enough.
#include "kernels/aligned_buffer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

namespace dyad::kernels {
namespace {

uintptr_t AddressOf(const void* data) { return reinterpret_cast<uintptr_t>(data); }

TEST(AlignedBufferTest, AlignsSmallOnesToCacheLinesAndLargeOnesToHugePages) {
  for (const int64_t bytes : {1, 63, 64, 65, (2 << 20) - 1}) {
    const AlignedBuffer buffer(bytes);
    EXPECT_EQ(AddressOf(buffer.as<float>()) % 64, 0u);
    EXPECT_EQ(buffer.bytes(), bytes);
    std::memset(buffer.as<std::byte>(), 1, static_cast<size_t>(bytes));
  }
  const AlignedBuffer large((2 << 20) + 1);
  EXPECT_EQ(AddressOf(large.as<float>()) % (2 << 20), 0u);
}

TEST(AlignedBufferTest, EmptyOwnsNothing) {
  EXPECT_EQ(AlignedBuffer().as<float>(), nullptr);
  EXPECT_EQ(AlignedBuffer(0).as<float>(), nullptr);
}

TEST(AlignedBufferTest, MovesItsMemory) {
  AlignedBuffer from(100);
  const float* data = from.as<float>();
  const AlignedBuffer to = std::move(from);
  EXPECT_EQ(to.as<float>(), data);
  EXPECT_EQ(to.bytes(), 100);
}

TEST(AlignedBufferTest, KeptOnesLieSideBySideOnHugePages) {
  const AlignedBuffer first = AlignedBuffer::Kept(100);
  AlignedBuffer second = AlignedBuffer::Kept(3 << 20);
  const AlignedBuffer third = AlignedBuffer::Kept(7);
  EXPECT_EQ(AddressOf(first.as<float>()) % 64, 0u);
  EXPECT_EQ(AddressOf(second.as<float>()), AddressOf(first.as<float>()) + 128);
  EXPECT_EQ(AddressOf(third.as<float>()), AddressOf(second.as<float>()) + (3 << 20));
  EXPECT_EQ(second.bytes(), 3 << 20);
  second = AlignedBuffer();  // the others keep the memory
  std::memset(first.as<std::byte>(), 1, 100);
  std::memset(third.as<std::byte>(), 1, 7);
  const AlignedBuffer large = AlignedBuffer::Kept(int64_t{40} << 20);
  EXPECT_EQ(AddressOf(large.as<float>()) % (2 << 20), 0u);
  std::memset(large.as<std::byte>(), 1, static_cast<size_t>(large.bytes()));
  EXPECT_EQ(AlignedBuffer::Kept(0).as<float>(), nullptr);
}

TEST(ThreadScratchTest, StaysUntilMoreIsNeeded) {
  std::byte* first = ThreadScratch(ScratchUse::kRows, 1000);
  EXPECT_EQ(ThreadScratch(ScratchUse::kRows, 10), first);
  EXPECT_EQ(ThreadScratch(ScratchUse::kRows, 1000), first);
  std::byte* larger = ThreadScratch(ScratchUse::kRows, 100000);
  std::memset(larger, 0, 100000);
  EXPECT_EQ(ThreadScratch(ScratchUse::kRows, 1000), larger);
}

TEST(ThreadScratchTest, UsesAndThreadsAreApart) {
  std::byte* rows = ThreadScratch(ScratchUse::kRows, 64);
  EXPECT_NE(ThreadScratch(ScratchUse::kSums, 64), rows);
  std::byte* elsewhere = nullptr;
  std::thread([&] { elsewhere = ThreadScratch(ScratchUse::kRows, 64); }).join();
  EXPECT_NE(elsewhere, nullptr);
  EXPECT_NE(elsewhere, rows);
}

}  // namespace
}  // namespace dyad::kernels
