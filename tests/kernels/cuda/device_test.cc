// The device operator by operator, bit for bit against the CPU's, and by the self-check that a
// server makes at its start.
#include "kernels/cuda/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "kernels/reference/device_check.h"
#include "kernels/step_arrays.h"
#include "tests/kernels/cuda/twin_devices.h"

namespace dyad::kernels::cuda {
namespace {

using ::testing::ElementsAre;

TEST(CudaDeviceTest, PassesTheSelfCheck) {
  for (const Arithmetic arithmetic :
       {Arithmetic::kExact, Arithmetic::kAccurate, Arithmetic::kFast}) {
    for (const KvType type : {KvType::kFloat32, KvType::kBfloat16}) {
      EXPECT_EQ(reference::CheckDevice(*MakeCuda(1, arithmetic), type), "") << NameOf(arithmetic);
    }
  }
}

TEST(CudaDeviceTest, HasNoKeysAndValuesOfInt8) {
  const AttentionShape shape = {.heads = 2, .head_size = 64, .scale = 1};
  EXPECT_EQ(MakeCuda()->MissesKv(shape, KvType::kInt8), "int8 keys and values");
  EXPECT_EQ(MakeCuda()->MissesKv(shape, KvType::kBfloat16), "");
}

TEST(CudaDeviceTest, ReadsAndWritesPartsOfRows) {
  const auto device = MakeCuda();
  const Matrix whole = device->Allocate(2, 3);
  device->Write(whole, std::vector<float>{1, 2, 3, 4, 5, 6});
  device->Write(whole.FromColumn(2), std::vector<float>{30, 60});
  EXPECT_THAT(device->Read(whole.FromColumn(1)), ElementsAre(2, 30, 5, 60));
}

TEST(CudaDeviceTest, RunsTasksOnTheHost) {
  std::vector<int> done(100, 0);
  MakeCuda(2)->RunOnHost(100, [&](int64_t task) { ++done[static_cast<size_t>(task)]; });
  EXPECT_THAT(done, ::testing::Each(1));
}

TEST(CudaDeviceTest, LooksUpAsTheCpuDoes) {
  constexpr int64_t kRows = 9, kColumns = 131;
  const std::vector<int32_t> ids = {3, 0, 8, 3, 5}, positions = {1, 2, 0, 6, 4};
  const TwinDevices twins;
  for (const Element type :
       {Element::kFloat32, Element::kBfloat16, Element::kFloat16, Element::kInt8}) {
    const std::vector<std::byte> data = RandomWeights(kRows * kColumns, type, 6);
    twins.ExpectSame([&](Device& device) {
      TableSource source;
      source.rows = kRows, source.columns = kColumns, source.type = type;
      source.stored = type == Element::kInt8 ? Element::kFloat32 : type, source.data = data.data();
      const auto table = device.MakeTable(std::move(source));
      const Matrix y = device.Allocate(std::ssize(ids), kColumns);
      device.Begin({.ids = ids, .positions = positions});
      device.Embed(*table, IndexedBy::kId, 0, Lookup::kCopy, y);
      device.Embed(*table, IndexedBy::kPosition, 2, Lookup::kAdd, y);
      device.End();
      return device.Read(y);
    });
  }
}

TEST(CudaDeviceTest, NormalizesAsTheCpuDoes) {
  const TwinDevices twins;
  for (const int64_t features : {1, 15, 16, 17, 100, 768}) {
    for (const bool affine : {false, true}) {
      twins.ExpectSame([&](Device& device) {
        NormSource source;
        source.features = features;
        if (affine)
          source.weight = RandomFloats(features, 1), source.bias = RandomFloats(features, 2);
        const auto norm = device.MakeNorm(source);
        const Matrix x = Filled(device, 11, features, 3);
        device.Normalize(*norm, x, x);
        return device.Read(x);
      });
    }
  }
}

// --- Attention ---

struct Heads {
  AttentionShape shape;
  KvType type = KvType::kFloat32;
};

KvSpec SpecOf(const Heads& heads, int32_t pages) {
  constexpr int64_t kPositions = 400;
  KvSpec spec = {
      .shape = heads.shape, .layers = 2, .type = heads.type, .pages = pages, .cos = {}, .sin = {}};
  const int64_t half = heads.shape.rotary_size / 2;
  for (int64_t i = 0; i < kPositions * half; ++i) {
    const double angle = static_cast<double>(i / half) / static_cast<double>(1 + i % half);
    spec.cos.push_back(static_cast<float>(std::cos(angle)));
    spec.sin.push_back(static_cast<float>(std::sin(angle)));
  }
  return spec;
}

// One sequence of 200 tokens in chunks, over pages in a random order, and a second one that shares
// its beginning. In some steps each has one row.
std::vector<StepArrays> Steps() {
  constexpr int32_t kPages = 13, kShared = 21;
  std::vector<int32_t> pages(2 * kPages);
  std::iota(pages.begin(), pages.end(), 0);
  std::shuffle(pages.begin(), pages.end(), std::mt19937(7));
  const std::span<const int32_t> first(pages.data(), kPages), second(pages.data() + kPages, kPages);
  std::vector<StepArrays> steps;
  int32_t position = 0, second_position = kShared;
  for (const int32_t tokens : {30, 1, 33, 1, 64, 70, 1}) {
    StepArrays step;
    step.AddChunk({0, tokens, position, first});
    if (position == 0) step.AddStore({0, kShared, 0, second});
    if (position > 0) {
      const int32_t second_tokens = std::min(tokens, 2);
      step.AddChunk({tokens, second_tokens, second_position, second});
      second_position += second_tokens;
    }
    steps.push_back(std::move(step));
    position += tokens;
  }
  return steps;
}

TEST(CudaDeviceTest, AttendsAsTheCpuDoes) {
  for (const Heads& heads :
       {Heads{{.heads = 2, .head_size = 64, .scale = 0.125f}},
        Heads{{.heads = 3, .head_size = 20, .scale = 0.3f, .rotary_size = 10}, KvType::kBfloat16},
        Heads{{.heads = 1, .head_size = 144, .scale = 0.1f, .rotary_size = 144}}}) {
    const TwinDevices twins;
    ASSERT_EQ(twins.cuda->MapKv(SpecOf(heads, 26)), "");
    ASSERT_EQ(twins.cpu->MapKv(SpecOf(heads, 26)), "");
    uint32_t seed = 1;
    for (const StepArrays& step : Steps()) {
      ++seed;
      twins.ExpectSame([&](Device& device) {
        const int64_t size = heads.shape.head_size, width = heads.shape.heads * size;
        const auto rows = std::ssize(step.slots);
        const Matrix qkv = Filled(device, rows, 3 * width, seed),
                     out = device.Allocate(rows, width);
        device.Begin(step.view());
        device.Attend(1, {qkv, qkv.FromColumn(size), qkv.FromColumn(2 * size), 3 * size}, out);
        device.End();
        return device.Read(out);
      });
    }
  }
}

}  // namespace
}  // namespace dyad::kernels::cuda
