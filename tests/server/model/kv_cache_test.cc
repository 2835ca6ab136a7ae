// Pages by bytes, no memory until they are touched or asked for.
#include "server/model/kv_cache.h"

#include <unistd.h>

#include <cstdint>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/resident.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using kernels::KvType;
using testing::ProcessResidentBytes;
using testing::ResidentBytes;

constexpr kernels::AttentionShape kShape = {
    .heads = 4, .head_size = 18, .scale = 1, .rotary_size = 0};

TEST(KvCacheTest, HasThePagesThatFit) {
  const auto cache = KvCache::Map(1 << 20, 3, kShape);
  ASSERT_OK(cache);
  const int64_t page_bytes = kernels::KvPageBytes(kShape, KvType::kFloat32) * 3;
  EXPECT_LE(cache->bytes(), 1 << 20);
  EXPECT_GE(cache->pages(), (1 << 20) / page_bytes - 1);
  EXPECT_GE(cache->bytes(), cache->pages() * page_bytes);
}

TEST(KvCacheTest, Bfloat16HasTwiceThePages) {
  constexpr kernels::AttentionShape kShape64 = {
      .heads = 12, .head_size = 64, .scale = 1, .rotary_size = 0};
  const auto wide = KvCache::Map(64 << 20, 12, kShape64);
  const auto narrow = KvCache::Map(64 << 20, 12, kShape64, KvType::kBfloat16);
  ASSERT_OK(wide);
  ASSERT_OK(narrow);
  EXPECT_EQ(wide->pages(), (64 << 20) / (12 * 2 * 12 * 64 * 16 * 4));
  EXPECT_GE(narrow->pages(), 2 * wide->pages());
  EXPECT_LE(narrow->pages(), 2 * wide->pages() + 1);
  EXPECT_LE(narrow->bytes(), 64 << 20);
}

TEST(KvCacheTest, LayersAreAlignedAndApart) {
  for (const KvType type : {KvType::kFloat32, KvType::kBfloat16}) {
    auto mapped = KvCache::Map(1 << 20, 3, kShape, type);
    ASSERT_OK(mapped);
    const KvCache cache = *std::move(mapped);  // moving keeps the mapping
    const int64_t bytes = cache.pages() * kernels::KvPageBytes(kShape, type);
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
  const auto cache = KvCache::Map(int64_t{64} << 30, 3, kShape);
  ASSERT_OK(cache);
  EXPECT_GT(cache->bytes(), int64_t{63} << 30);
  EXPECT_LT(ProcessResidentBytes(getpid()) - before, 8 << 20);
}

TEST(KvCacheTest, PopulateTakesTheMemoryOfItsPagesAndKeepsTheirContents) {
  constexpr int64_t kHugePage = 2 << 20;
  const auto cache = KvCache::Map(int64_t{128} << 20, 2, kShape);
  ASSERT_OK(cache);
  const int64_t page_bytes = kernels::KvPageBytes(kShape, KvType::kFloat32);
  const int32_t first = cache->pages() / 4;
  const int32_t last = cache->pages() / 2;
  std::byte* begin = cache->layer(1).data + first * page_bytes;
  std::byte* end = cache->layer(1).data + last * page_bytes;
  *begin = std::byte{1};
  end[-1] = std::byte{2};
  if (!cache->Populate(1, first, last)) GTEST_SKIP() << "the system cannot populate";
  EXPECT_GE(ResidentBytes(begin, end - begin), end - begin);
  EXPECT_EQ(*begin, std::byte{1});
  EXPECT_EQ(end[-1], std::byte{2});
  EXPECT_TRUE(cache->Populate(1, first, last));
  // Neither the pages before nor those after, nor the other layer.
  EXPECT_EQ(ResidentBytes(cache->layer(1).data + kHugePage, first * page_bytes - 2 * kHugePage), 0);
  EXPECT_EQ(ResidentBytes(end + kHugePage, page_bytes), 0);
  EXPECT_EQ(ResidentBytes(cache->layer(0).data, last * page_bytes), 0);
}

TEST(KvCacheTest, EveryPageCanBePopulatedThoughLayersBeginAnywhere) {
  const auto cache = KvCache::Map((1 << 20) - 4096, 3, kShape);
  ASSERT_OK(cache);
  if (!cache->Populate(0, 0, 1)) GTEST_SKIP() << "the system cannot populate";
  EXPECT_EQ(cache->layers(), 3);
  for (int64_t layer = 0; layer < 3; ++layer) {
    EXPECT_TRUE(cache->Populate(layer, 0, cache->pages()));
    EXPECT_TRUE(cache->Populate(layer, 0, 0));
  }
  EXPECT_GE(ResidentBytes(cache->layer(0).data, cache->bytes()), cache->bytes());
}

TEST(KvCacheTest, LessThanOnePageIsRefused) {
  EXPECT_THAT(KvCache::Map(1000, 3, kShape),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                ::testing::HasSubstr("kv_cache_bytes is 1000; one page")));
  EXPECT_FALSE(KvCache::Map(-1, 3, kShape).ok());
}

TEST(KvCacheTest, MoreThanTheAddressSpaceIsRefused) {
  EXPECT_THAT(
      KvCache::Map(int64_t{1} << 50, 3,
                   {.heads = 1024, .head_size = 1024, .scale = 1, .rotary_size = 0}),
      testing::StatusIs(absl::StatusCode::kResourceExhausted, ::testing::HasSubstr("failed")));
}

}  // namespace
}  // namespace dyad
