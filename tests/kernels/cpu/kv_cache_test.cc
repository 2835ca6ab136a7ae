// No memory until they are touched or asked for.
#include "kernels/cpu/kv_cache.h"

#include <unistd.h>

#include <cstdint>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/resident.h"

namespace dyad::kernels {
namespace {

using dyad::testing::ProcessResidentBytes;
using dyad::testing::ResidentBytes;

constexpr AttentionShape kShape = {.heads = 4, .head_size = 18, .scale = 1, .rotary_size = 0};

// As many pages as fit.
struct Mapped {
  Mapped(int64_t bytes, int64_t layers, KvType type = KvType::kFloat32) {
    const int64_t page_bytes = layers * KvPageBytes(kShape, type);
    fault = cache.Map({.shape = kShape,
                       .layers = layers,
                       .type = type,
                       .pages = static_cast<int32_t>(bytes / page_bytes),
                       .cos = {},
                       .sin = {}});
  }
  KvCache cache;
  Fault fault;
};

TEST(KvCacheTest, HasThePagesAskedFor) {
  const Mapped mapped(1 << 20, 3);
  ASSERT_EQ(mapped.fault, "");
  const int64_t page_bytes = KvPageBytes(kShape, KvType::kFloat32) * 3;
  EXPECT_EQ(mapped.cache.pages(), (1 << 20) / page_bytes);
  EXPECT_EQ(mapped.cache.bytes(), mapped.cache.pages() * page_bytes);
}

TEST(KvCacheTest, APageOfBfloat16TakesHalf) {
  constexpr AttentionShape kShape64 = {.heads = 12, .head_size = 64, .scale = 1, .rotary_size = 0};
  EXPECT_EQ(KvPageBytes(kShape64, KvType::kFloat32), 2 * 12 * 64 * 16 * 4);
  EXPECT_EQ(KvPageBytes(kShape64, KvType::kBfloat16), 2 * 12 * 64 * 16 * 2);
}

TEST(KvCacheTest, LayersAreAlignedAndApart) {
  for (const KvType type : {KvType::kFloat32, KvType::kBfloat16}) {
    const Mapped mapped(1 << 20, 3, type);
    ASSERT_EQ(mapped.fault, "");
    const KvCache& cache = mapped.cache;
    const int64_t bytes = cache.pages() * KvPageBytes(kShape, type);
    for (int64_t layer = 0; layer < 3; ++layer) {
      EXPECT_EQ(cache.layer(layer).type, type);
      std::byte* data = cache.layer(layer).data;
      EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 64, 0u);
      data[0] = data[bytes - 1] = static_cast<std::byte>(layer + 1);
    }
    for (int64_t layer = 0; layer < 3; ++layer) {
      EXPECT_EQ(cache.layer(layer).data[0], static_cast<std::byte>(layer + 1));
      EXPECT_EQ(cache.layer(layer).data[bytes - 1], static_cast<std::byte>(layer + 1));
    }
  }
}

TEST(KvCacheTest, TakesNoMemoryUntilItIsTouched) {
  const int64_t before = ProcessResidentBytes(getpid());
  const Mapped mapped(int64_t{64} << 30, 3);
  ASSERT_EQ(mapped.fault, "");
  const KvCache& cache = mapped.cache;
  EXPECT_GT(cache.bytes(), int64_t{63} << 30);
  EXPECT_LT(ProcessResidentBytes(getpid()) - before, 8 << 20);
}

TEST(KvCacheTest, PopulateTakesTheMemoryOfItsPagesAndKeepsTheirContents) {
  constexpr int64_t kHugePage = 2 << 20;
  const Mapped mapped(int64_t{128} << 20, 2);
  ASSERT_EQ(mapped.fault, "");
  const KvCache& cache = mapped.cache;
  const int64_t page_bytes = KvPageBytes(kShape, KvType::kFloat32);
  const int32_t first = cache.pages() / 4;
  const int32_t last = cache.pages() / 2;
  std::byte* begin = cache.layer(1).data + first * page_bytes;
  std::byte* end = cache.layer(1).data + last * page_bytes;
  *begin = std::byte{1};
  end[-1] = std::byte{2};
  if (!cache.Populate(1, first, last)) GTEST_SKIP() << "the system cannot populate";
  EXPECT_GE(ResidentBytes(begin, end - begin), end - begin);
  EXPECT_EQ(*begin, std::byte{1});
  EXPECT_EQ(end[-1], std::byte{2});
  EXPECT_TRUE(cache.Populate(1, first, last));
  // Neither the pages before nor those after, nor the other layer.
  EXPECT_EQ(ResidentBytes(cache.layer(1).data + kHugePage, first * page_bytes - 2 * kHugePage), 0);
  EXPECT_EQ(ResidentBytes(end + kHugePage, page_bytes), 0);
  EXPECT_EQ(ResidentBytes(cache.layer(0).data, last * page_bytes), 0);
}

TEST(KvCacheTest, EveryPageCanBePopulatedThoughLayersBeginAnywhere) {
  const Mapped mapped((1 << 20) - 4096, 3);
  ASSERT_EQ(mapped.fault, "");
  const KvCache& cache = mapped.cache;
  if (!cache.Populate(0, 0, 1)) GTEST_SKIP() << "the system cannot populate";
  EXPECT_EQ(cache.layers(), 3);
  for (int64_t layer = 0; layer < 3; ++layer) {
    EXPECT_TRUE(cache.Populate(layer, 0, cache.pages()));
    EXPECT_TRUE(cache.Populate(layer, 0, 0));
  }
  EXPECT_GE(ResidentBytes(cache.layer(0).data, cache.bytes()), cache.bytes());
}

TEST(KvCacheTest, MoreThanTheAddressSpaceIsRefused) {
  KvCache cache;
  const Fault fault = cache.Map({.shape = {.heads = 1024, .head_size = 1024, .scale = 1},
                                 .layers = 3,
                                 .pages = 1 << 22,
                                 .cos = {},
                                 .sin = {}});
  EXPECT_THAT(fault, ::testing::HasSubstr("failed"));
}

}  // namespace
}  // namespace dyad::kernels
