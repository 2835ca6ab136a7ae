// Random operands for kernel tests, and the bound that kernels/plan.h promises.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/linear.h"
#include "kernels/reference/plan.h"

namespace dyad::kernels {

inline std::vector<float> RandomFloats(int64_t count, uint32_t seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = uniform(generator);
  return values;
}

// Pools of 1, 2 and 3 threads that live as long as the tests.
inline ThreadPool& PoolOf(int threads) {
  static auto& pools = *new std::array<ThreadPool, 3>{ThreadPool(1), ThreadPool(2), ThreadPool(3)};
  return pools[static_cast<size_t>(threads - 1)];
}

// Weights in [-2, 2] of any type, denormals and zeros among those of 16 bits; float32 for int8.
inline std::vector<std::byte> RandomWeights(int64_t count, Element type, uint32_t seed) {
  if (type == Element::kInt8) type = Element::kFloat32;
  std::vector<std::byte> bytes(static_cast<size_t>(count * ElementBytes(type)));
  if (type == Element::kFloat32) {
    const std::vector<float> values = RandomFloats(count, seed);
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }
  std::mt19937 generator(seed);
  const uint32_t largest = type == Element::kBfloat16 ? 0x3fff : 0x4000;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    const uint32_t draw = generator();
    const auto bits = static_cast<uint16_t>((draw >> 16) % (largest + 1) | (draw & 0x8000));
    std::memcpy(&bytes[i], &bits, 2);
  }
  return bytes;
}

// Layers that between them take every path of one or two steps: kTwoTerms reads x plain and strided
// in one step; kTwoSteps adds to strided outputs in a second one, which kTwoViews reads strided
// too.
enum class Kind { kDense, kTwoTerms, kTwoSteps, kTwoViews };

struct LayerShape {
  Kind kind = Kind::kDense;
  int64_t blocks = 1;
  int64_t block_in = 0;
  int64_t block_out = 0;
};

inline std::string NameOf(const LayerShape& shape) {
  static const char* const kNames[] = {"dense", "two_terms", "two_steps", "two_views"};
  return std::string(kNames[static_cast<size_t>(shape.kind)]) + "_" + std::to_string(shape.blocks) +
         "x" + std::to_string(shape.block_out) + "x" + std::to_string(shape.block_in);
}

// A layer with random weights and bias: [block][output][depth], `far` those of the strided view.
struct SampleLayer {
  SampleLayer(const LayerShape& shape, Element type)
      : shape(shape),
        type(type),
        in(shape.blocks * shape.block_in),
        out(shape.blocks * shape.block_out),
        near(RandomWeights(in * shape.block_out, type, 1)),
        far(RandomWeights(in * shape.block_out, type, 2)),
        bias(RandomFloats(out, 3)) {}

  // Points into this layer.
  Plan plan() const {
    Contract step;
    step.blocks = shape.blocks;
    step.depth = shape.block_in;
    step.outputs = shape.block_out;
    step.view = {.block = shape.block_out};
    const View plain = {.block = shape.block_in};
    const View strided = {.block = 1, .stride = shape.blocks};
    const Term near_term = {plain, WeightsOf(near)};
    const Term far_term = {shape.kind == Kind::kTwoSteps ? plain : strided, WeightsOf(far)};
    Plan plan;
    plan.widths = {in, out};
    plan.bias = bias;
    plan.type = type;
    step.terms = {near_term};
    if (shape.kind == Kind::kTwoTerms) step.terms.push_back(far_term);
    plan.steps.emplace_back(step);
    if (shape.kind == Kind::kDense || shape.kind == Kind::kTwoTerms) return plan;
    step.terms = {far_term};
    step.view = strided;
    plan.steps.emplace_back(step);
    return plan;
  }
  Contract step(size_t index = 0) const { return std::get<Contract>(plan().steps.at(index)); }

  LayerShape shape;
  Element type;
  int64_t in, out;
  std::vector<std::byte> near, far;
  std::vector<float> bias;

 private:
  Weights WeightsOf(const std::vector<std::byte>& bytes) const {
    return {.data = bytes.data(),
            .elements = in * shape.block_out,
            .element = type == Element::kInt8 ? Element::kFloat32 : type,
            .block = shape.block_out * shape.block_in,
            .output = shape.block_in};
  }
};

// Rows whose start and stride are no multiple of a vector, with guards that must survive.
struct SampleRows {
  static constexpr int64_t kShift = 3;
  SampleRows(int64_t rows, int64_t columns, uint32_t seed)
      : stride(columns + 5), values(RandomFloats(kShift + rows * stride, seed)) {}
  ConstRows view() const { return {values.data() + kShift, stride}; }
  Rows rows() { return {values.data() + kShift, stride}; }
  float at(int64_t row, int64_t column) const {
    return values[static_cast<size_t>(kShift + row * stride + column)];
  }

  int64_t stride;
  std::vector<float> values;
};

// The error that is allowed in output `at` of feature `feature`, to first order: the sum's, which
// the definition counts; the activation multiplies that by
// at most 1.13 and adds its own (math-inl.h); the residual rounds once more.
inline double ErrorBound(const reference::PlanResult& expected, Activation activation, size_t at,
                         size_t feature) {
  constexpr double kUnit = 0x1p-24;
  const double sum =
      static_cast<double>(expected.roundings[feature]) * kUnit * expected.magnitude[at];
  if (activation == Activation::kNone) return sum + kUnit * std::abs(expected.y[at]);
  const double x = expected.sum[at];
  const double exponent = activation == Activation::kRelu ? 0 : 2 * std::abs(x) * (1 + x * x / 20);
  const double own = (8 + 6 * exponent) * kUnit * std::abs(reference::Activate(activation, x));
  return 1.13 * sum + own + kUnit * std::abs(expected.y[at]) + 1e-37;
}

// The index [row, feature] of the first output outside the bound, or -1. NaN is outside.
inline int64_t FirstWrong(const reference::PlanResult& expected, Activation activation,
                          int64_t tokens, int64_t out, ConstRows y) {
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t n = 0; n < out; ++n) {
      const auto at = static_cast<size_t>(t * out + n);
      const double error = std::abs(y.data[t * y.stride + n] - expected.y[at]);
      if (!(error <= ErrorBound(expected, activation, at, static_cast<size_t>(n)))) {
        return static_cast<int64_t>(at);
      }
    }
  }
  return -1;
}

// Runs the rest of a scope on one instruction set and then goes back to the one before.
class WithIsa {
 public:
  explicit WithIsa(std::string_view name) : before_(CurrentIsa()), known_(ForceIsa(name)) {}
  ~WithIsa() { ForceIsa(before_); }
  WithIsa(const WithIsa&) = delete;
  WithIsa& operator=(const WithIsa&) = delete;
  bool known() const { return known_; }

 private:
  std::string_view before_;
  bool known_;
};

}  // namespace dyad::kernels
