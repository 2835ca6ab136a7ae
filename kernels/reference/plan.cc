// kernels/reference/plan.h.
#include "kernels/reference/plan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <span>

namespace dyad::kernels::reference {
namespace {

double FromFloat16(uint16_t bits) {
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  const int exponent = (bits >> 10) & 31;
  const double fraction = bits & 1023;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

double FromBfloat16(uint16_t bits) {
  const uint32_t wide = uint32_t{bits} << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

// The nearest number of `bits` bits whose last one is worth at least 2^least; ties to even.
double Rounded(double value, int bits, int least) {
  if (value == 0) return value;
  int exponent = 0;
  std::frexp(value, &exponent);
  const int last = std::max(exponent - bits, least);
  return std::ldexp(std::nearbyint(std::ldexp(value, -last)), last);
}

double RoundedTo(Element type, double value) {
  switch (type) {
    case Element::kBfloat16:
      return Rounded(value, 8, -133);
    case Element::kFloat16:
      return Rounded(value, 11, -24);
    case Element::kFloat32:
    case Element::kInt8:
      break;
  }
  return value;
}

// w ≈ whole · scale.
struct Quantized {
  std::vector<double> whole;
  float scale = 0;
};

// In the float32 arithmetic that kernels/int8.h defines.
Quantized Quantize(const std::vector<double>& row) {
  float largest = 0;
  for (const double weight : row) largest = std::max(largest, static_cast<float>(std::abs(weight)));
  Quantized result = {std::vector<double>(row.size(), 0.0), largest / 127.0f};
  if (result.scale < 0x1p-126f) return {std::move(result.whole), 0.0f};
  for (size_t k = 0; k < row.size(); ++k) {
    const float ratio = static_cast<float>(row[k]) / result.scale;
    result.whole[k] = std::nearbyint(ratio);
  }
  return result;
}

// The weights of output n of block b as they are stored, term after term: [terms · depth].
std::vector<double> StoredWeights(const Contract& step, int64_t b, int64_t n) {
  std::vector<double> weights;
  for (const auto& [source, w] : step.terms) {
    for (int64_t k = 0; k < step.depth; ++k) {
      weights.push_back(WeightAt(w.data, w.element, b * w.block + n * w.output + k * w.depth));
    }
  }
  return weights;
}

// As they are packed; int8 as scale · q.
std::vector<double> PackedWeights(const Contract& step, Element type, int64_t b, int64_t n) {
  std::vector<double> weights = StoredWeights(step, b, n);
  if (type == Element::kInt8) return ThroughInt8(std::move(weights));
  for (double& weight : weights) weight = RoundedTo(type, weight);
  return weights;
}

// visit(b, n) for every output of a block.
template <typename Visit>
void ForEachOutput(const Contract& step, Visit visit) {
  for (int64_t b = 0; b < step.blocks; ++b) {
    for (int64_t n = 0; n < step.outputs; ++n) visit(b, n);
  }
}

// A buffer in double.
struct WideBuffer {
  int64_t width = 0;
  std::vector<double> value, magnitude;  // [tokens, width]
  std::vector<int64_t> roundings;        // [width]
};

void RunWide(const Contract& step, Element type, int64_t tokens, std::vector<WideBuffer>& buffers) {
  const WideBuffer& src = buffers[static_cast<size_t>(step.source)];
  WideBuffer& dst = buffers[static_cast<size_t>(step.destination)];
  ForEachOutput(step, [&](int64_t b, int64_t n) {
    const std::vector<double> weights = PackedWeights(step, type, b, n);
    const double bias =
        step.bias.empty() ? 0.0 : step.bias[static_cast<size_t>(b * step.outputs + n)];
    for (int64_t u = 0; u < step.groups; ++u) {
      const int64_t feature = step.view.At(b, u, n);
      if (feature >= dst.width) continue;
      int64_t& roundings = dst.roundings[static_cast<size_t>(feature)];
      auto weight = weights.begin();
      for (const Term& term : step.terms) {
        for (int64_t k = 0; k < step.depth; ++k, ++weight) {
          const int64_t from = term.source.At(b, u, k);
          if (from >= src.width) continue;
          roundings = std::max(roundings, src.roundings[static_cast<size_t>(from)]);
          for (int64_t t = 0; t < tokens; ++t) {
            const auto at = static_cast<size_t>(t * dst.width + feature);
            const auto read = static_cast<size_t>(t * src.width + from);
            dst.value[at] += *weight * src.value[read];
            dst.magnitude[at] += std::abs(*weight) * src.magnitude[read];
          }
        }
      }
      roundings +=
          std::ssize(weights) + (type == Element::kInt8 ? 1 : 0) + (step.bias.empty() ? 0 : 1);
      for (int64_t t = 0; t < tokens; ++t) {
        dst.value[static_cast<size_t>(t * dst.width + feature)] += bias;
        dst.magnitude[static_cast<size_t>(t * dst.width + feature)] += std::abs(bias);
      }
    }
  });
}

struct ChainBuffer {
  int64_t width = 0;
  std::vector<float> value;  // [tokens, width]
};

float AddChainTerm(std::span<const float> w, std::span<const float> x, float sum) {
  for (size_t k = 0; k < w.size(); ++k) sum = std::fma(x[k], w[k], sum);
  return sum;
}

// `add_term`: the sum after one term, of its weights, its x and the sum before.
template <typename AddTerm>
void RunChain(const Contract& step, Element type, int64_t tokens, AddTerm add_term,
              std::vector<ChainBuffer>& buffers) {
  const auto depth = static_cast<size_t>(step.depth);
  std::vector<float> x(depth);
  const ChainBuffer& src = buffers[static_cast<size_t>(step.source)];
  ChainBuffer& dst = buffers[static_cast<size_t>(step.destination)];
  ForEachOutput(step, [&](int64_t b, int64_t n) {
    const bool whole = type == Element::kInt8;
    const Quantized row = whole ? Quantize(StoredWeights(step, b, n))
                                : Quantized{PackedWeights(step, type, b, n), 1.0f};
    const std::vector<float> weights(row.whole.begin(), row.whole.end());
    for (int64_t u = 0; u < step.groups; ++u) {
      const int64_t feature = step.view.At(b, u, n);
      if (feature >= dst.width) continue;
      for (int64_t t = 0; t < tokens; ++t) {
        float& to = dst.value[static_cast<size_t>(t * dst.width + feature)];
        float sum = whole ? 0.0f : to;
        for (size_t term = 0; term < step.terms.size(); ++term) {
          for (size_t k = 0; k < depth; ++k) {
            const int64_t from = step.terms[term].source.At(b, u, static_cast<int64_t>(k));
            x[k] = from < src.width ? src.value[static_cast<size_t>(t * src.width + from)] : 0.0f;
          }
          sum = add_term(std::span(weights).subspan(term * depth, depth), std::span(x), sum);
        }
        if (whole) sum = std::fma(sum, row.scale, to);
        if (!step.bias.empty()) sum += step.bias[static_cast<size_t>(b * step.outputs + n)];
        to = sum;
      }
    }
  });
}

// Buffer 0 is x, the others are born as zeros.
template <typename Buffer>
std::vector<Buffer> BuffersOf(const Plan& plan, int64_t tokens, ConstRows x) {
  std::vector<Buffer> buffers(plan.widths.size());
  for (size_t i = 0; i < buffers.size(); ++i) {
    buffers[i].width = plan.widths[i];
    buffers[i].value.resize(static_cast<size_t>(tokens * plan.widths[i]));
  }
  for (int64_t t = 0; t < tokens; ++t) {
    std::copy_n(x.data + t * x.stride, plan.in_features(),
                buffers[0].value.begin() + t * plan.in_features());
  }
  return buffers;
}

}  // namespace

double WeightAt(const void* data, Element element, int64_t index) {
  switch (element) {
    case Element::kFloat32:
      return static_cast<const float*>(data)[index];
    case Element::kBfloat16:
      return FromBfloat16(static_cast<const uint16_t*>(data)[index]);
    case Element::kFloat16:
      return FromFloat16(static_cast<const uint16_t*>(data)[index]);
    case Element::kInt8:
      break;  // a number of 8 bits has no value without its row's scale
  }
  return 0;
}

std::vector<double> ThroughInt8(std::vector<double> row) {
  const Quantized quantized = Quantize(row);
  for (size_t k = 0; k < row.size(); ++k) {
    row[k] = quantized.whole[k] * static_cast<double>(quantized.scale);
  }
  return row;
}

double Activate(Activation activation, double x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return x < 0 ? 0 : x;
    case Activation::kGelu:
      return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
    case Activation::kGeluTanh: {
      const double u = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
      return x / (1 + std::exp(-2 * u));  // x (1 + tanh u) / 2
    }
  }
  return x;
}

PlanResult Apply(const Plan& plan, int64_t tokens, ConstRows x, const Epilogue& epilogue) {
  auto buffers = BuffersOf<WideBuffer>(plan, tokens, x);
  for (WideBuffer& buffer : buffers) {
    for (const double value : buffer.value) buffer.magnitude.push_back(std::abs(value));
    buffer.roundings.resize(static_cast<size_t>(buffer.width));
  }
  for (const Step& step : plan.steps) {
    RunWide(std::get<Contract>(step), plan.type, tokens, buffers);
  }
  WideBuffer& sums = buffers[1];
  PlanResult result = {
      {}, std::move(sums.value), std::move(sums.magnitude), std::move(sums.roundings)};
  const auto out = static_cast<size_t>(plan.out_features());
  for (int64_t& roundings : result.roundings) roundings += plan.bias.empty() ? 0 : 1;
  for (size_t at = 0; at < result.sum.size(); ++at) {
    const size_t feature = at % out;
    const double bias = plan.bias.empty() ? 0.0 : plan.bias[feature];
    result.sum[at] += bias;
    result.magnitude[at] += std::abs(bias);
    result.y.push_back(Activate(epilogue.activation, result.sum[at]));
    if (epilogue.residual.data == nullptr) continue;
    const auto row = static_cast<int64_t>(at / out);
    result.y[at] +=
        epilogue.residual.data[row * epilogue.residual.stride + static_cast<int64_t>(feature)];
  }
  return result;
}

namespace {

template <typename AddTerm>
std::vector<float> ChainWith(const Plan& plan, int64_t tokens, ConstRows x, AddTerm add_term) {
  auto buffers = BuffersOf<ChainBuffer>(plan, tokens, x);
  for (const Step& step : plan.steps) {
    RunChain(std::get<Contract>(step), plan.type, tokens, add_term, buffers);
  }
  std::vector<float> y = std::move(buffers[1].value);
  const auto out = static_cast<size_t>(plan.out_features());
  for (size_t at = 0; at < y.size() && !plan.bias.empty(); ++at) y[at] += plan.bias[at % out];
  return y;
}

}  // namespace

std::vector<float> Chain(const Plan& plan, int64_t tokens, ConstRows x) {
  return ChainWith(plan, tokens, x, AddChainTerm);
}

std::vector<float> TensorChain(const TensorArithmetic& arithmetic, const Plan& plan, int64_t tokens,
                               ConstRows x) {
  if (plan.type == Element::kFloat32) return Chain(plan, tokens, x);
  return ChainWith(plan, tokens, x,
                   [&](std::span<const float> w, std::span<const float> of_x, float total) {
                     return AddTensorTerm(arithmetic, plan.type, w, of_x, total);
                   });
}

}  // namespace dyad::kernels::reference
