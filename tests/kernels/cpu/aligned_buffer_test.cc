// Buffers and scratch: alignment, and that scratch stays where it is once it is large enough.
#include "kernels/cpu/aligned_buffer.h"

#include <gtest/gtest.h>

#include <cstring>

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

TEST(ScratchTest, StaysUntilMoreIsNeeded) {
  Scratch scratch;
  auto* first = scratch.Get<std::byte>(ScratchUse::kRows, 1000);
  EXPECT_EQ(scratch.Get<std::byte>(ScratchUse::kRows, 10), first);
  EXPECT_EQ(scratch.Get<double>(ScratchUse::kRows, 125), reinterpret_cast<double*>(first));
  auto* larger = scratch.Get<std::byte>(ScratchUse::kRows, 100000);
  std::memset(larger, 0, 100000);
  EXPECT_EQ(scratch.Get<std::byte>(ScratchUse::kRows, 1000), larger);
}

TEST(ScratchTest, UsesAndOwnersAreApart) {
  Scratch scratch, other;
  auto* rows = scratch.Get<float>(ScratchUse::kRows, 16);
  EXPECT_NE(scratch.Get<float>(ScratchUse::kSums, 16), rows);
  EXPECT_NE(other.Get<float>(ScratchUse::kRows, 16), rows);
}

}  // namespace
}  // namespace dyad::kernels
