// All of a cache becomes resident, lowest pages first, and nothing goes on once the thread is gone.
#include "server/model/kv_population.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <thread>

#include "gtest/gtest.h"
#include "tests/support/eventually.h"
#include "tests/support/resident.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using testing::Eventually;
using testing::ResidentBytes;

constexpr kernels::AttentionShape kShape = {
    .heads = 12, .head_size = 64, .scale = 1, .rotary_size = 0};
constexpr int64_t kLayers = 3;

KvCache Map(int64_t bytes) {
  auto cache = KvCache::Map(bytes, kLayers, kShape);
  EXPECT_OK(cache);
  return *std::move(cache);
}

const std::byte* Data(const KvCache& cache) { return cache.layer(0).data; }

// Linux before 5.14.
bool CannotPopulate() { return !Map(1 << 20).Populate(0, 0, 1); }

// Three groups of pages, the last of them smaller.
TEST(KvPopulationTest, AllBecomesResidentWithoutAWrite) {
  if (CannotPopulate()) GTEST_SKIP() << "the system cannot populate";
  const KvCache cache = Map(int64_t{15} << 20);
  std::byte& last = cache.layer(kLayers - 1).data[cache.bytes() / kLayers - 1];
  last = std::byte{7};
  const std::jthread populating = PopulateInBackground(cache);
  EXPECT_TRUE(
      Eventually([&] { return ResidentBytes(Data(cache), cache.bytes()) >= cache.bytes(); }));
  EXPECT_EQ(last, std::byte{7});
  EXPECT_EQ(cache.layer(1).data[0], std::byte{0});
}

// The cache is so large that populating it takes at least a tenth of a second.
TEST(KvPopulationTest, EndsWithItsThreadAndTakesLowPagesOfAllLayersFirst) {
  if (CannotPopulate()) GTEST_SKIP() << "the system cannot populate";
  const KvCache cache = Map(int64_t{2} << 30);
  const int64_t layer_bytes = cache.bytes() / kLayers;
  std::optional<std::jthread> populating = PopulateInBackground(cache);
  EXPECT_TRUE(Eventually([&] { return ResidentBytes(cache.layer(kLayers - 1).data, 1) > 0; }));
  populating.reset();
  for (int64_t layer = 0; layer < kLayers; ++layer) {
    const std::byte* middle = cache.layer(layer).data + layer_bytes / 2;
    EXPECT_EQ(ResidentBytes(middle, layer_bytes / 4), 0);
  }
  const int64_t resident = ResidentBytes(Data(cache), cache.bytes());
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(ResidentBytes(Data(cache), cache.bytes()), resident);
}

}  // namespace
}  // namespace dyad
