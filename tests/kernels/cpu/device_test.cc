// What the CPU's device adds to its kernels; that each operator is right is
// tests/kernels/reference/device_check_test.cc's.
#include "kernels/cpu/device.h"

#include <unistd.h>

#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/eventually.h"
#include "tests/support/resident.h"

namespace dyad::kernels {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<CpuDevice> Make(KvPopulation population = KvPopulation::kAsUsed) {
  return std::make_unique<CpuDevice>(std::make_shared<ThreadPool>(2),
                                     CpuOptions{.population = population});
}

// Layers that run together have the bits of layers that run one after the other.
TEST(CpuDeviceTest, SeveralLayersReadTheSameRows) {
  const auto device = Make();
  std::vector<float> weights;
  for (int i = 0; i < 40 * 24; ++i) weights.push_back(static_cast<float>(i % 13) / 7 - 1);
  const auto a = device->Pack(DensePlan(24, 40, {weights.data(), Element::kFloat32}));
  const auto b = device->Pack(DensePlan(24, 24, {weights.data() + 3, Element::kFloat32}));
  const Matrix x = device->Allocate(5, 24);
  device->Write(x, std::vector<float>(weights.begin(), weights.begin() + 5 * 24));
  for (const Activation activation : {Activation::kNone, Activation::kGelu}) {
    const Matrix ya = device->Allocate(5, 40), yb = device->Allocate(5, 24);
    const Matrix alone_a = device->Allocate(5, 40), alone_b = device->Allocate(5, 24);
    device->Apply(x, {{a.get(), ya}, {b.get(), yb}}, {.activation = activation, .residual = {}});
    device->Apply(x, {{a.get(), alone_a}}, {.activation = activation, .residual = {}});
    device->Apply(x, {{b.get(), alone_b}}, {.activation = activation, .residual = {}});
    EXPECT_EQ(device->Read(ya), device->Read(alone_a));
    EXPECT_EQ(device->Read(yb), device->Read(alone_b));
  }
}

// Two blocks of a 2 × 2 matrix; where x is 0 both logits are 0, and so is the sum of the shares.
TEST(CpuDeviceTest, RowsWithoutSharesAreTold) {
  const auto device = Make();
  const std::vector<float> weights(8, 1.0f);
  Plan plan;
  plan.widths = {2, 2, 2};
  const Weights all = {.data = weights.data(), .elements = 8, .output = 2};
  Contract gate;
  gate.destination = 2;
  gate.depth = gate.outputs = 2;
  gate.precise = true;
  gate.terms = {{{}, all}};
  Contract block;
  block.depth = block.outputs = 2;
  block.terms = {{{}, all}};
  block.routed = {.route = 1, .item = 0, .item_block = 0, .scaled = true};
  Contract other = block;
  other.routed.item = 1;
  plan.steps = {gate, Route{.logits = 2, .rule = Rule::kShare, .keep = 1}, block, other};
  ASSERT_EQ(Check(plan), "");
  const auto a = device->Pack(plan), b = device->Pack(plan);
  const Matrix x = device->Allocate(4, 2), y = device->Allocate(4, 2), z = device->Allocate(4, 2);
  device->Write(x, {{1, 1, 0, 0, 1, 2, 0, 0}});
  const auto failed = [&] {
    std::vector<std::pair<int32_t, const Layer*>> rows;
    for (const FailedRow& row : device->End().failed) rows.emplace_back(row.row, row.layer);
    return rows;
  };
  for (int step = 0; step < 2; ++step) {
    device->Begin({});
    EXPECT_THAT(failed(), ElementsAre());
    device->Apply(x, {{a.get(), y}, {b.get(), z}}, {});
    device->Apply(y, {{b.get(), z}}, {.activation = Activation::kRelu, .residual = {}});
    // Of a row only the first layer: what it gave is no number for those behind it.
    EXPECT_THAT(failed(), ElementsAre(std::pair(1, a.get()), std::pair(3, a.get())));
  }
  device->Begin({});
  device->Apply(x, {{b.get(), y}}, {});
  EXPECT_THAT(failed(), ElementsAre(std::pair(1, b.get()), std::pair(3, b.get())));
}

TEST(CpuDeviceTest, WholeNumbersAreSummedUpTo65536OfThem) {
  const CpuDevice device(std::make_shared<ThreadPool>(1), {.arithmetic = Arithmetic::kInteger16});
  const CpuDevice exact(std::make_shared<ThreadPool>(1), {});
  for (const int64_t depth : {65536, 65537}) {
    Plan plan = DensePlan(depth, 4, {});
    EXPECT_EQ(device.Misses(plan), "") << "weights of float32";
    plan.type = Element::kInt8;
    EXPECT_EQ(device.Misses(plan),
              depth == 65536 ? "" : "integer sums over more than 65536 features");
    EXPECT_EQ(exact.Misses(plan), "");
  }
}

TEST(CpuDeviceTest, KeysAndValuesOfInt8HaveAtMost512FeaturesAHead) {
  const auto device = Make();
  AttentionShape shape = {.heads = 1, .head_size = 512, .scale = 1};
  EXPECT_EQ(device->MissesKv(shape, KvType::kInt8), "");
  shape.head_size = 513;
  EXPECT_EQ(device->MissesKv(shape, KvType::kInt8),
            "int8 keys and values of more than 512 features a head");
  EXPECT_EQ(device->MissesKv(shape, KvType::kFloat32), "");
}

TEST(CpuDeviceTest, ReadsAndWritesPartsOfRows) {
  const auto device = Make();
  const Matrix whole = device->Allocate(2, 3);
  device->Write(whole, std::vector<float>{1, 2, 3, 4, 5, 6});
  device->Write(whole.FromColumn(2), std::vector<float>{30, 60});
  EXPECT_THAT(device->Read(whole.FromColumn(1)), ElementsAre(2, 30, 5, 60));
}

TEST(CpuDeviceTest, TellsThatThereIsNoMemoryForKeysAndValues) {
  EXPECT_THAT(Make()->MapKv({.shape = {.heads = 1024, .head_size = 1024, .scale = 1},
                             .layers = 3,
                             .pages = 1 << 22,
                             .cos = {},
                             .sin = {}}),
              HasSubstr("failed"));
}

TEST(CpuDeviceTest, PopulatesItsKvCacheIfAsked) {
  const AttentionShape shape = {.heads = 12, .head_size = 64, .scale = 1};
  const auto device = Make(KvPopulation::kInBackground);
  const int64_t before = dyad::testing::ProcessResidentBytes(getpid());
  ASSERT_EQ(device->MapKv({.shape = shape, .layers = 4, .pages = 100, .cos = {}, .sin = {}}), "");
  const int64_t bytes = 4 * 100 * device->KvPageBytes(shape, KvType::kFloat32);
  ASSERT_GT(bytes, 30 << 20);
  EXPECT_TRUE(dyad::testing::Eventually(
      [&] { return dyad::testing::ProcessResidentBytes(getpid()) - before >= bytes * 9 / 10; }));
}

}  // namespace
}  // namespace dyad::kernels
