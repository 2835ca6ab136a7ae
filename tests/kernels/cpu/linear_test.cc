// Linear layers on every instruction set of this machine, against the definition in double.
//
// Sizes: 1; around 16 and 32, the lanes of AVX-512 and the outputs of a panel; primes; fc1 of
// OPT-125m. Rows: 1, around 6 and 12, the rows of a register block, and 37. Pointers and strides
// are misaligned.
#include "kernels/cpu/linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "tests/kernels/sample_layers.h"
#include "tests/support/sanitized.h"

namespace dyad::kernels {
namespace {

const LayerShape kShapes[] = {
    {Kind::kDense, 1, 1, 1},      {Kind::kDense, 1, 7, 31},     {Kind::kDense, 1, 33, 65},
    {Kind::kTwoTerms, 1, 1, 1},   {Kind::kTwoTerms, 2, 15, 17}, {Kind::kTwoTerms, 3, 16, 32},
    {Kind::kTwoTerms, 4, 13, 33}, {Kind::kTwoSteps, 2, 17, 15}, {Kind::kTwoSteps, 4, 32, 16},
    {Kind::kTwoViews, 3, 5, 37},  {Kind::kTwoViews, 4, 31, 64}, {Kind::kTwoTerms, 8, 12, 48},
};
const LayerShape kFc1 = {Kind::kTwoTerms, 4, 192, 768};
const Element kTypes[] = {Element::kFloat32, Element::kBfloat16, Element::kFloat16, Element::kInt8};

std::vector<float> Outputs(const PackedLinear& layer, int64_t tokens, ConstRows x,
                           int threads = 1) {
  ThreadPool pool(threads);
  Workspace workspace(pool);
  std::vector<float> y(static_cast<size_t>(tokens * layer.out_features()));
  layer.Apply(tokens, x, {y.data(), layer.out_features()}, {}, workspace);
  return y;
}

void ExpectWithinBound(const LayerShape& shape, Element type, int64_t tokens,
                       Activation activation) {
  const SampleLayer sample(shape, type);
  const PackedLinear layer(sample.plan());
  const SampleRows x(tokens, sample.in, 4);
  const SampleRows residual(tokens, sample.out, 5);
  SampleRows y(tokens, sample.out, 6);
  const SampleRows untouched = y;
  const Epilogue epilogue = {activation, residual.view()};
  ThreadPool pool(2);
  Workspace workspace(pool);
  layer.Apply(tokens, x.view(), y.rows(), epilogue, workspace);

  const auto expected = reference::Apply(sample.plan(), tokens, x.view(), epilogue);
  EXPECT_EQ(FirstWrong(expected, activation, tokens, sample.out, y.view()), -1)
      << NameOf(shape) << " type " << static_cast<int>(type) << " tokens " << tokens
      << " activation " << static_cast<int>(activation);
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t n = sample.out; n < y.stride; ++n) ASSERT_EQ(y.at(t, n), untouched.at(t, n));
  }
}

class LinearTest : public ::testing::TestWithParam<std::string_view> {
 protected:
  WithIsa isa_{GetParam()};
};

TEST_P(LinearTest, StaysWithinTheBoundAtAwkwardSizes) {
  ASSERT_TRUE(isa_.known());
  for (const LayerShape& shape : kShapes) {
    for (const Element type : kTypes) {
      for (const int64_t tokens : {1, 2, 5, 7, 12, 13, 37}) {
        ExpectWithinBound(shape, type, tokens, Activation::kNone);
      }
    }
  }
}

TEST_P(LinearTest, StaysWithinTheBoundForEachActivation) {
  for (const Activation activation :
       {Activation::kRelu, Activation::kGelu, Activation::kGeluTanh}) {
    ExpectWithinBound({Kind::kTwoTerms, 4, 13, 33}, Element::kFloat32, 5, activation);
    ExpectWithinBound({Kind::kTwoSteps, 2, 17, 15}, Element::kFloat32, 5, activation);
    ExpectWithinBound({Kind::kDense, 1, 33, 64}, Element::kFloat32, 13, activation);
  }
}

TEST_P(LinearTest, StaysWithinTheBoundOnARealLayer) {
  for (const Element type : kTypes) ExpectWithinBound(kFc1, type, 3, Activation::kRelu);
}

TEST_P(LinearTest, ARowHasTheSameBitsAloneAndAmong37) {
  for (const LayerShape& shape : kShapes) {
    for (const Element type : kTypes) {
      const SampleLayer sample(shape, type);
      const PackedLinear layer(sample.plan());
      const SampleRows x(37, sample.in, 4);
      const std::vector<float> together = Outputs(layer, 37, x.view());
      for (int64_t t = 0; t < 37; ++t) {
        const std::vector<float> alone =
            Outputs(layer, 1, {x.view().data + t * x.stride, x.stride});
        ASSERT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + t * sample.out))
            << NameOf(shape) << " row " << t;
      }
    }
  }
}

TEST_P(LinearTest, ThreadsDoNotShow) {
  const LayerShape small = {Kind::kTwoTerms, 4, 48, 192};
  for (const LayerShape& shape :
       {testing::kSanitized ? small : kFc1, LayerShape{Kind::kTwoViews, 4, 192, 192},
        LayerShape{Kind::kTwoTerms, 8, 96, 96}}) {
    for (const Element type : {Element::kFloat32, Element::kInt8}) {
      const SampleLayer sample(shape, type);
      const PackedLinear layer(sample.plan());
      for (const int64_t tokens : {4, 14}) {
        const SampleRows x(tokens, sample.in, 4);
        const std::vector<float> one = Outputs(layer, tokens, x.view(), 1);
        EXPECT_EQ(Outputs(layer, tokens, x.view(), 2), one) << NameOf(shape);
        EXPECT_EQ(Outputs(layer, tokens, x.view(), 3), one) << NameOf(shape);
      }
    }
  }
}

TEST_P(LinearTest, HasTheBitsOfEveryOtherInstructionSet) {
  for (const LayerShape& shape : kShapes) {
    for (const Element type : kTypes) {
      const SampleLayer sample(shape, type);
      const PackedLinear layer(sample.plan());
      const SampleRows x(13, sample.in, 4);
      const std::vector<float> here = Outputs(layer, 13, x.view());
      const WithIsa scalar("scalar");
      EXPECT_EQ(Outputs(layer, 13, x.view()), here) << NameOf(shape);
    }
  }
}

std::vector<std::vector<float>> TogetherOutputs(const std::vector<const PackedLinear*>& layers,
                                                int64_t tokens, ConstRows x, int threads) {
  std::vector<std::vector<float>> values;
  std::vector<LinearOutput> outputs;
  for (const PackedLinear* layer : layers) {
    values.emplace_back(static_cast<size_t>(tokens * layer->out_features()));
    outputs.push_back({layer, {values.back().data(), layer->out_features()}});
  }
  ThreadPool pool(threads);
  Workspace workspace(pool);
  ApplyTogether(tokens, x, outputs, workspace);
  return values;
}

// Batches of more than 256 rows are the business of LongBatchesHaveTheBitsOfShortOnes, too.
constexpr int64_t kManyTokens = testing::kSanitized ? 30 : 300;

// Two that share packed rows, and others that do not share them with these.
TEST_P(LinearTest, LayersTogetherHaveTheBitsOfEachAlone) {
  for (const Element type : {Element::kFloat32, Element::kInt8}) {
    const SampleLayer dense({Kind::kDense, 1, 192, 200}, type);
    const SampleLayer square({Kind::kDense, 1, 192, 192}, Element::kBfloat16);
    const SampleLayer it({Kind::kTwoTerms, 4, 48, 70}, type),
        ot({Kind::kTwoSteps, 4, 48, 48}, type);
    const PackedLinear a(dense.plan()), b(square.plan()), c(it.plan()), d(ot.plan());
    for (const std::vector<const PackedLinear*>& layers :
         {std::vector<const PackedLinear*>{&a}, {&a, &b, &a}, {&c, &c, &c}, {&a, &c}, {&a, &d}}) {
      for (const int64_t tokens : {int64_t{1}, int64_t{13}, kManyTokens}) {
        const SampleRows x(tokens, 192, 4);
        for (const int threads : {1, 2, 3}) {
          if (testing::kSanitized && threads != 2) continue;
          const auto together = TogetherOutputs(layers, tokens, x.view(), threads);
          for (size_t i = 0; i < layers.size(); ++i)
            EXPECT_EQ(together[i], Outputs(*layers[i], tokens, x.view())) << i;
        }
      }
    }
  }
}

// So many rows that narrow panels are widened to memory first.
TEST_P(LinearTest, ARowHasTheSameBitsAloneAndAmong100) {
  for (const Element type : kTypes) {
    const SampleLayer sample({Kind::kTwoTerms, 3, 16, 65}, type);
    const PackedLinear layer(sample.plan());
    const SampleRows x(100, sample.in, 4);
    const std::vector<float> together = Outputs(layer, 100, x.view());
    for (const int64_t t : {0, 42, 99}) {
      const std::vector<float> alone = Outputs(layer, 1, {x.view().data + t * x.stride, x.stride});
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + t * sample.out)) << t;
    }
  }
}

TEST_P(LinearTest, TheResidualMayBeTheOutput) {
  for (const auto& [kind, type] : {std::pair{Kind::kTwoTerms, Element::kFloat32},
                                   {Kind::kTwoSteps, Element::kFloat32},
                                   {Kind::kTwoTerms, Element::kInt8},
                                   {Kind::kTwoSteps, Element::kInt8}}) {
    const SampleLayer sample({kind, 2, 17, 33}, type);
    const PackedLinear layer(sample.plan());
    const SampleRows x(13, sample.in, 4);
    SampleRows apart(13, sample.out, 5), in_place = apart;
    const SampleRows residual = apart;
    ThreadPool pool(2);
    Workspace workspace(pool);
    layer.Apply(13, x.view(), apart.rows(), {Activation::kRelu, residual.view()}, workspace);
    layer.Apply(13, x.view(), in_place.rows(), {Activation::kRelu, in_place.view()}, workspace);
    EXPECT_EQ(in_place.values, apart.values);
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, LinearTest, ::testing::ValuesIn(SupportedIsas()),
                         [](const auto& isa) { return std::string(isa.param); });

// More rows than are packed at once.
TEST(PackedLinearTest, LongBatchesHaveTheBitsOfShortOnes) {
  const SampleLayer sample({Kind::kTwoSteps, 2, 3, 5}, Element::kFloat32);
  const PackedLinear layer(sample.plan());
  const SampleRows x(1100, sample.in, 4);
  const std::vector<float> together = Outputs(layer, 1100, x.view(), 2);
  for (const int64_t t : {0, 511, 512, 1023, 1099}) {
    const std::vector<float> alone = Outputs(layer, 1, {x.view().data + t * x.stride, x.stride});
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + t * sample.out)) << t;
  }
}

TEST(PackedLinearTest, CountsBytesWithPaddingAndMultiplyAddsWithout) {
  const SampleLayer sample({Kind::kTwoTerms, 2, 3, 33}, Element::kBfloat16);
  const PackedLinear layer(sample.plan());
  EXPECT_EQ(layer.in_features(), 6);
  EXPECT_EQ(layer.out_features(), 66);
  EXPECT_EQ(layer.weight_bytes(), 2 * 64 * 6 * 2);
  EXPECT_EQ(layer.multiply_adds(), 2 * 33 * 6);
  const SampleLayer narrow({Kind::kTwoTerms, 2, 3, 33}, Element::kInt8);
  EXPECT_EQ(PackedLinear(narrow.plan()).weight_bytes(), 2 * 64 * 6 + 2 * 64 * 4);
}

// The comparison that the tests above rest on must be able to fail.
TEST(LinearBoundTest, NoticesOneWrongWeightAndNan) {
  SampleLayer sample({Kind::kTwoTerms, 4, 17, 8}, Element::kFloat32);
  const SampleRows x(2, sample.in, 4);
  const auto expected = reference::Apply(sample.plan(), 2, x.view(), {});
  float last;
  std::memcpy(&last, &sample.far[sample.far.size() - 4], 4);
  last += 1e-3f;
  std::memcpy(&sample.far[sample.far.size() - 4], &last, 4);
  std::vector<float> y = Outputs(PackedLinear(sample.plan()), 2, x.view());
  EXPECT_EQ(FirstWrong(expected, Activation::kNone, 2, sample.out, {y.data(), sample.out}),
            sample.out - 1);
  y[3] = NAN;
  EXPECT_EQ(FirstWrong(expected, Activation::kNone, 2, sample.out, {y.data(), sample.out}), 3);
}

}  // namespace
}  // namespace dyad::kernels
