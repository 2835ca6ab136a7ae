// Layers on tensor cores have the bits that kernels/reference/tensor.h says, for few rows
// (tensor_stream.cu) and many (tensor_tile.cu), and the tensor core is what its model is.
#include "kernels/cuda/tensor.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <random>

#include "kernels/float16.h"
#include "kernels/reference/plan.h"
#include "tests/kernels/cuda/twin_devices.h"
#include "tests/kernels/random_plan.h"
#include "tests/support/sanitized.h"

namespace dyad::kernels::cuda {
namespace {

// The second is the same code with one piece in place of two.
std::vector<Arithmetic> OnTensorCores() {
  if (testing::kSanitized) return {Arithmetic::kAccurate};
  return {Arithmetic::kAccurate, Arithmetic::kFast};
}
constexpr Element kTypes[] = {Element::kBfloat16, Element::kFloat16, Element::kInt8};

// The definition for the device that is here.
reference::TensorArithmetic Definition(Arithmetic arithmetic) {
  const int generation = Runtime::Open(0).runtime->properties().major;
  return {generation < 9 ? reference::kTensorCore80 : reference::kTensorCore90, arithmetic};
}

std::vector<float> Found(Device& device, const Plan& plan, const std::vector<float>& x) {
  const auto layer = device.Pack(plan);
  const int64_t rows = std::ssize(x) / plan.in_features();
  const Matrix from = device.Allocate(rows, plan.in_features());
  const Matrix y = device.Allocate(rows, plan.out_features());
  device.Write(from, x);
  device.Apply(from, {{layer.get(), y}}, {});
  return device.Read(y);
}

std::vector<float> Expected(Arithmetic arithmetic, const Plan& plan, const std::vector<float>& x) {
  const int64_t rows = std::ssize(x) / plan.in_features();
  return reference::TensorChain(Definition(arithmetic), plan, rows, {x.data(), plan.in_features()});
}

// A dense layer with a bias; it owns its weights.
struct DenseLayer {
  DenseLayer(int64_t in, int64_t out, Element type)
      : weights(RandomWeights(in * out, type, 3)),
        plan(DensePlan(in, out, {weights.data(), type == Element::kInt8 ? Element::kFloat32 : type},
                       RandomFloats(out, 4))) {
    plan.type = type;
  }
  std::vector<std::byte> weights;
  Plan plan;
};

std::vector<float> RowsOf(const std::vector<float>& values, int64_t columns, int64_t first,
                          int64_t count) {
  return {values.begin() + first * columns, values.begin() + (first + count) * columns};
}

class CudaTensorTest : public ::testing::TestWithParam<Arithmetic> {};
INSTANTIATE_TEST_SUITE_P(Both, CudaTensorTest, ::testing::ValuesIn(OnTensorCores()),
                         [](const auto& info) { return std::string(NameOf(info.param)); });

TEST_P(CudaTensorTest, RandomPlansHaveTheBitsOfTheDefinition) {
  const uint32_t plans = testing::kSanitized ? 15 : 80;
  const int64_t counts[] = {1, 2, 7, 8, 9, 16, 17, 33, 65};
  const auto device = MakeCuda(2, GetParam());
  EXPECT_EQ(device->info().arithmetic, NameOf(GetParam()));
  for (uint32_t seed = 1; seed <= plans; ++seed) {
    RandomPlan random(seed, PlanSize::kSmall, PlanSteps::kContractions);
    const int64_t rows = counts[seed % std::size(counts)];
    const std::vector<float> x = random.Floats(rows * random.plan().in_features());
    ASSERT_EQ(
        FirstDifferent(Found(*device, random.plan(), x), Expected(GetParam(), random.plan(), x)),
        -1)
        << "seed " << seed;
  }
}

// Depths around 16 and 32 k and around a segment; outputs around a panel and around 128; more
// segments than there are warps for them.
TEST_P(CudaTensorTest, AwkwardSizesHaveTheBitsOfTheDefinition) {
  const auto device = MakeCuda(1, GetParam());
  for (const Element type : kTypes) {
    for (const auto& [in, out, rows] : std::vector<std::array<int64_t, 3>>{{1, 1, 1},
                                                                           {17, 31, 3},
                                                                           {127, 129, 2},
                                                                           {385, 33, 9},
                                                                           {512, 15, 1},
                                                                           {513, 17, 30},
                                                                           {4700, 3, 5},
                                                                           {1040, 16, 64},
                                                                           {515, 140, 66},
                                                                           {16, 127, 130}}) {
      const DenseLayer layer(in, out, type);
      const std::vector<float> x = RandomFloats(rows * in, 5);
      EXPECT_EQ(FirstDifferent(Found(*device, layer.plan, x), Expected(GetParam(), layer.plan, x)),
                -1)
          << in << " to " << out << ", " << rows << " rows, type " << static_cast<int>(type);
    }
  }
}

// DYAD's views: two terms or two steps, plain and strided.
TEST_P(CudaTensorTest, ViewsHaveTheBitsOfTheDefinition) {
  const auto device = MakeCuda(1, GetParam());
  for (const Kind kind : {Kind::kTwoTerms, Kind::kTwoSteps, Kind::kTwoViews}) {
    for (const Element type : kTypes) {
      for (const int64_t rows : {3, 70}) {
        const SampleLayer sample({kind, 3, 52, 36}, type);
        const std::vector<float> x = RandomFloats(rows * sample.in, 6);
        EXPECT_EQ(FirstDifferent(Found(*device, sample.plan(), x),
                                 Expected(GetParam(), sample.plan(), x)),
                  -1)
            << NameOf(sample.shape) << ", " << rows << " rows, type " << static_cast<int>(type);
      }
    }
  }
}

TEST_P(CudaTensorTest, ARowAloneHasTheBitsThatItHasAmongMany) {
  const auto device = MakeCuda(1, GetParam());
  const SampleLayer sample({Kind::kTwoTerms, 2, 600, 40}, Element::kFloat16);
  const Plan plan = sample.plan();
  const std::vector<float> x = RandomFloats(80 * sample.in, 9);
  const std::vector<float> all = Found(*device, plan, x);
  for (const auto& [first, count] :
       std::vector<std::array<int64_t, 2>>{{0, 1}, {79, 1}, {3, 8}, {30, 9}, {1, 20}, {10, 60}}) {
    EXPECT_EQ(FirstDifferent(Found(*device, plan, RowsOf(x, sample.in, first, count)),
                             RowsOf(all, sample.out, first, count)),
              -1)
        << count << " rows from " << first << " on";
  }
}

// Layers that read the same rows share their pieces; a layer of other terms does not.
TEST_P(CudaTensorTest, LayersTogetherHaveTheBitsTheyHaveAlone) {
  const auto device = MakeCuda(1, GetParam());
  const DenseLayer a(144, 40, Element::kBfloat16), b(144, 24, Element::kBfloat16);
  const SampleLayer c({Kind::kTwoTerms, 3, 48, 20}, Element::kBfloat16);
  const std::vector<float> x = RandomFloats(5 * 144, 8);
  const Matrix from = device->Allocate(5, 144);
  device->Write(from, x);
  std::vector<std::unique_ptr<Layer>> layers;
  std::vector<Matrix> y;
  for (const Plan& plan : {a.plan, b.plan, c.plan()}) {
    layers.push_back(device->Pack(plan));
    y.push_back(device->Allocate(5, plan.out_features()));
  }
  device->Apply(from, {{layers[0].get(), y[0]}, {layers[1].get(), y[1]}, {layers[2].get(), y[2]}},
                {});
  EXPECT_EQ(FirstDifferent(device->Read(y[0]), Found(*device, a.plan, x)), -1);
  EXPECT_EQ(FirstDifferent(device->Read(y[1]), Found(*device, b.plan, x)), -1);
  EXPECT_EQ(FirstDifferent(device->Read(y[2]), Found(*device, c.plan(), x)), -1);
}

// A row that is not finite, or as large or small as numbers get, keeps that to itself.
TEST_P(CudaTensorTest, ExtremeRowsAreTheirOwnAffair) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kFew[] = {0.0f,
                            1e30f,
                            1e-30f,
                            -1e-42f,
                            kInfinity,
                            -kInfinity,
                            std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::max()};
  const auto device = MakeCuda(1, GetParam());
  for (const Element type : kTypes) {
    for (const int64_t rows : {9, 70}) {
      const DenseLayer layer(530, 20, type);
      const std::vector<float> plain = RandomFloats(rows * 530, 7);
      std::vector<float> x = plain;
      // Row 2 i is `few` throughout, or holds it once.
      for (int64_t i = 0; i < std::ssize(kFew) && 2 * i < rows; ++i) {
        const bool whole = std::abs(kFew[i]) <= 1e30f;
        for (int64_t k = 0; k < 530; ++k) {
          float& value = x[static_cast<size_t>(2 * i * 530 + k)];
          if (whole) value *= kFew[i];
          if (!whole && k == 520) value = kFew[i];
        }
      }
      const std::vector<float> found = Found(*device, layer.plan, x);
      EXPECT_EQ(FirstDifferent(found, Expected(GetParam(), layer.plan, x)), -1)
          << "type " << static_cast<int>(type);
      const std::vector<float> as_plain = Found(*device, layer.plan, plain);
      for (int64_t row = 1; row < rows; row += 2) {
        EXPECT_EQ(FirstDifferent(RowsOf(found, 20, row, 1), RowsOf(as_plain, 20, row, 1)), -1)
            << "row " << row << ", type " << static_cast<int>(type);
      }
    }
  }
}

TEST_P(CudaTensorTest, Float32WeightsStayExact) {
  const TwinDevices twins = {.cuda = MakeCuda(1, GetParam())};
  const SampleLayer sample({Kind::kTwoTerms, 2, 40, 30}, Element::kFloat32);
  twins.ExpectSame(
      [&](Device& device) { return Found(device, sample.plan(), RandomFloats(5 * 80, 1)); });
}

// --- The instruction itself ---

// Normal numbers; numbers of very different size; pairs that cancel; numbers near the smallest.
// Zeros among all.
uint16_t RandomOperand(std::mt19937& random, Element type, uint32_t kind) {
  const int bits = type == Element::kBfloat16 ? 7 : 10;
  const uint32_t middle = type == Element::kBfloat16 ? 127 : 15;
  const uint32_t draw = random();
  uint32_t exponent = middle - 2 + draw % 4;
  if (kind == 1) exponent = middle - 10 + draw % 21;
  if (kind == 3) exponent = draw % 4 + (type == Element::kBfloat16 && draw % 2 == 0 ? 60 : 0);
  if (draw >> 20 == 0 || draw >> 28 == 1) return static_cast<uint16_t>(draw & 0x8000);
  const uint32_t fraction = kind == 2 ? draw >> 16 & 1 : draw >> 16;
  return static_cast<uint16_t>((draw & 0x8000) | exponent << bits |
                               (fraction & ((1u << bits) - 1)));
}

float ValueOf(Element type, uint16_t bits) {
  return type == Element::kBfloat16 ? FromBfloat16(bits) : FromFloat16(bits);
}

// Where k of an output's weights and of a row lie among those of a product.
size_t WeightIndex(int output, int k) {
  const int lane = output % 8 * 4 + k % 8 / 2, i = k % 2 + output / 8 * 2 + k % 16 / 8 * 4;
  return static_cast<size_t>(k / 16 * 256 + lane * 8 + i);
}
size_t RowIndex(int row, int k) {
  const int lane = row * 4 + k % 8 / 2, i = k % 2 + k / 8 * 2;
  return static_cast<size_t>(lane * 8 + i);
}

TEST(CudaTensorCoreTest, IsWhatItsModelIs) {
  const auto runtime = Runtime::Open(0).runtime;
  const bool on_gpu = runtime->properties().name != "CUDA on the CPU";
  const int blocks = on_gpu ? 2000 : 4, turns = on_gpu ? 4 : 1;
  const reference::TensorCore core = Definition(Arithmetic::kFast).core;
  std::mt19937 random(17);
  for (const Element type : {Element::kBfloat16, Element::kFloat16}) {
    const int least =
        type == Element::kBfloat16 ? reference::kBfloat16Least : reference::kFloat16Least;
    int64_t compared = 0;
    for (uint32_t kind = 0; kind < 4; ++kind) {
      for (int turn = 0; turn < turns; ++turn) {
        std::vector<uint16_t> w(static_cast<size_t>(blocks) * 512),
            x(static_cast<size_t>(blocks) * 256);
        for (uint16_t& bits : w) bits = RandomOperand(random, type, kind);
        for (uint16_t& bits : x) bits = RandomOperand(random, type, kind);
        const std::vector<float> ones(static_cast<size_t>(blocks) * 8, 1.0f);
        const Piece<uint16_t> weights = UploadedPiece<uint16_t>(*runtime, w);
        const Piece<uint16_t> planes = UploadedPiece<uint16_t>(*runtime, x);
        const Piece<float> unscale = UploadedPiece<float>(*runtime, ones);
        const Piece<float> y(*runtime, int64_t{8} * blocks * 16);
        LaunchTensorStream(*runtime, type,
                           {.step = {.weights = weights.data(),
                                     .terms = 1,
                                     .depth = 32,
                                     .vectors = 1,
                                     .panels = 1,
                                     .outputs = 16,
                                     .blocks = blocks,
                                     .rows = 8,
                                     .y = {y.data(), blocks * 16},
                                     .y_width = blocks * 16,
                                     .destination = {.block = 16}},
                            .planes = planes.data(),
                            .unscale = unscale.data(),
                            .pieces = 1});
        const PinnedPiece<float> found(*runtime, y.count());
        runtime->CopyToHost(found.data(), y.data(), y.bytes());
        runtime->Wait();
        ASSERT_EQ(runtime->error(), "");
        for (int block = 0; block < blocks; ++block) {
          for (int o = 0; o < 16; ++o) {
            for (int row = 0; row < 8; ++row, ++compared) {
              float a[32], b[32];
              for (int k = 0; k < 32; ++k) {
                a[k] = ValueOf(type, w[static_cast<size_t>(block) * 512 + WeightIndex(o, k)]);
                b[k] = ValueOf(type, x[static_cast<size_t>(block) * 256 + RowIndex(row, k)]);
              }
              const float first = reference::MultiplyTensor(core, a, b, 0, least);
              const float expected = reference::MultiplyTensor(core, a + 16, b + 16, first, least);
              const float got = found.data()[(row * blocks + block) * 16 + o];
              ASSERT_EQ(std::bit_cast<uint32_t>(got), std::bit_cast<uint32_t>(expected))
                  << got << ", the model has " << expected << "; kind " << kind << ", type "
                  << static_cast<int>(type);
            }
          }
        }
      }
    }
    EXPECT_GE(compared, on_gpu ? 1000000 : 2000);
  }
}

}  // namespace
}  // namespace dyad::kernels::cuda
