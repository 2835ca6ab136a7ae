// All of a cache becomes resident, lowest pages first, and nothing goes on once the thread is gone.
#include "kernels/cpu/kv_population.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <thread>

#include "gtest/gtest.h"
#include "tests/support/eventually.h"
#include "tests/support/resident.h"

namespace dyad::kernels {
namespace {

using dyad::testing::Eventually;
using dyad::testing::ResidentBytes;

constexpr AttentionShape kShape = {.heads = 12, .head_size = 64, .scale = 1, .rotary_size = 0};
constexpr int64_t kLayers = 3;

struct Mapped {
  explicit Mapped(int64_t bytes) {
    const int64_t page_bytes = kLayers * KvPageBytes(kShape, KvType::kFloat32);
    EXPECT_EQ(cache.Map({.shape = kShape,
                         .layers = kLayers,
                         .pages = static_cast<int32_t>(bytes / page_bytes),
                         .cos = {},
                         .sin = {}}),
              "");
  }
  KvCache cache;
};

const std::byte* Data(const KvCache& cache) { return cache.layer(0).data; }

// Linux before 5.14.
bool CannotPopulate() { return !Mapped(1 << 20).cache.Populate(0, 0, 1); }

// Three groups of pages, the last of them smaller.
TEST(KvPopulationTest, AllBecomesResidentWithoutAWrite) {
  if (CannotPopulate()) GTEST_SKIP() << "the system cannot populate";
  const Mapped mapped(int64_t{15} << 20);
  const KvCache& cache = mapped.cache;
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
  const Mapped mapped(int64_t{2} << 30);
  const KvCache& cache = mapped.cache;
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
}  // namespace dyad::kernels
