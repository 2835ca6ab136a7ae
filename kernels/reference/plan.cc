// kernels/reference/plan.h.
#include "kernels/reference/plan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <span>
#include <type_traits>

#include "kernels/reference/bfloat16.h"
#include "kernels/reference/integer.h"
#include "kernels/reference/sums.h"

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

// What weights of a step are packed to.
Element TypeOf(const Contract& step, Element plan) {
  return step.precise ? Element::kFloat32 : plan;
}
Element TypeOf(const Mix&, Element) { return Element::kFloat32; }
Element TypeOf(const BlockList&, Element plan) { return plan; }

// What the rows of a routed step chose, and whether their weights scale the sum.
struct RoutedRows {
  const std::vector<Choice>* choices = nullptr;  // by row; null: every row runs
  bool scaled = false;

  bool Runs(int64_t t, int64_t item) const {
    return choices == nullptr ||
           (*choices)[static_cast<size_t>(t)].chosen[static_cast<size_t>(item)];
  }
  float WeightOf(int64_t t, int64_t item) const {
    return (*choices)[static_cast<size_t>(t)].weight[static_cast<size_t>(item)];
  }
};
template <typename AnyStep>
RoutedRows RowsOf(const AnyStep&, const std::vector<std::vector<Choice>>&) {
  return {};
}
RoutedRows RowsOf(const Contract& step, const std::vector<std::vector<Choice>>& choices) {
  if (step.routed.route < 0) return {};
  return {&choices[static_cast<size_t>(step.routed.route)], step.routed.scaled};
}

// A buffer in double.
struct WideBuffer {
  int64_t width = 0;
  std::vector<double> value, magnitude;  // [tokens, width]
  std::vector<int64_t> roundings;        // [width]
};

template <typename AnyStep>
void RunWide(const AnyStep& step, Element type, int64_t tokens, const RoutedRows& rows,
             std::vector<WideBuffer>& buffers) {
  const WideBuffer& src = buffers[static_cast<size_t>(step.source)];
  WideBuffer& dst = buffers[static_cast<size_t>(step.destination)];
  ForEachSum(step, [&](Sum sum) {
    if (sum.feature >= dst.width) return;
    if (type == Element::kInt8) {
      sum.weights = ThroughInt8(std::move(sum.weights));
    } else {
      for (double& weight : sum.weights) weight = RoundedTo(type, weight);
    }
    int64_t& roundings = dst.roundings[static_cast<size_t>(sum.feature)];
    for (const int64_t from : sum.from) {
      if (from < src.width) {
        roundings = std::max(roundings, src.roundings[static_cast<size_t>(from)]);
      }
    }
    roundings += std::ssize(sum.weights) + (type == Element::kInt8 ? 1 : 0) +
                 (sum.bias.has_value() ? 1 : 0) + (rows.scaled ? 1 : 0);
    for (int64_t t = 0; t < tokens; ++t) {
      if (!rows.Runs(t, sum.item)) continue;
      double value = sum.bias.value_or(0.0f), magnitude = std::abs(value);
      for (size_t i = 0; i < sum.from.size(); ++i) {
        if (sum.from[i] >= src.width) continue;
        const auto read = static_cast<size_t>(t * src.width + sum.from[i]);
        value += sum.weights[i] * src.value[read];
        magnitude += std::abs(sum.weights[i]) * src.magnitude[read];
      }
      const double scale = rows.scaled ? rows.WeightOf(t, sum.item) : 1.0;
      dst.value[static_cast<size_t>(t * dst.width + sum.feature)] += scale * value;
      dst.magnitude[static_cast<size_t>(t * dst.width + sum.feature)] +=
          std::abs(scale) * magnitude;
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
template <typename AnyStep, typename AddTerm>
void RunChain(const AnyStep& step, Element type, int64_t tokens, const RoutedRows& rows,
              AddTerm add_term, std::vector<ChainBuffer>& buffers) {
  const ChainBuffer& src = buffers[static_cast<size_t>(step.source)];
  ChainBuffer& dst = buffers[static_cast<size_t>(step.destination)];
  ForEachSum(step, [&](Sum sum) {
    if (sum.feature >= dst.width) return;
    const bool whole = type == Element::kInt8;
    Quantized row = {std::move(sum.weights), 1.0f};
    if (whole) {
      row = Quantize(row.whole);
    } else {
      for (double& weight : row.whole) weight = RoundedTo(type, weight);
    }
    const std::vector<float> weights(row.whole.begin(), row.whole.end());
    const size_t depth = weights.size() / sum.terms;
    std::vector<float> x(weights.size());
    for (int64_t t = 0; t < tokens; ++t) {
      if (!rows.Runs(t, sum.item)) continue;
      float& to = dst.value[static_cast<size_t>(t * dst.width + sum.feature)];
      const float start = rows.scaled ? 0.0f : to;
      float chain = whole ? 0.0f : start;
      for (size_t i = 0; i < x.size(); ++i) {
        const int64_t from = sum.from[i];
        x[i] = from < src.width ? src.value[static_cast<size_t>(t * src.width + from)] : 0.0f;
      }
      for (size_t term = 0; term < sum.terms; ++term) {
        chain = add_term(std::span(weights).subspan(term * depth, depth),
                         std::span<const float>(x).subspan(term * depth, depth), chain);
      }
      if (whole) chain = std::fma(chain, row.scale, start);
      if (sum.bias.has_value()) chain += *sum.bias;
      to = rows.scaled ? std::fma(rows.WeightOf(t, sum.item), chain, to) : chain;
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

// Rows in which a choice failed; by step, then row.
template <typename Number>
void FillFailed(const std::vector<std::vector<Choice>>& choices, const Plan& plan,
                std::vector<Number>& y) {
  const int64_t out = plan.out_features();
  for (const std::vector<Choice>& of_step : choices) {
    for (size_t t = 0; t < of_step.size(); ++t) {
      if (!of_step[t].failed) continue;
      std::fill_n(y.begin() + static_cast<int64_t>(t) * out, out,
                  std::numeric_limits<Number>::quiet_NaN());
    }
  }
}

struct ChainRun {
  std::vector<float> y;                      // before the plan's bias
  std::vector<std::vector<Choice>> choices;  // by step, then row; of steps that are a Route
};
// `arithmetic`: of whole numbers or bfloat16, or any other for chains of `add_term`.
template <typename AddTerm>
ChainRun RunAsChain(const Plan& plan, int64_t tokens, ConstRows x, AddTerm add_term,
                    Arithmetic arithmetic = Arithmetic::kExact) {
  auto buffers = BuffersOf<ChainBuffer>(plan, tokens, x);
  ChainRun run;
  run.choices.resize(plan.steps.size());
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    std::visit(
        [&]<typename AnyStep>(const AnyStep& step) {
          if constexpr (std::is_same_v<AnyStep, Route>) {
            const auto& [width, logits] = buffers[static_cast<size_t>(step.logits)];
            for (int64_t t = 0; t < tokens; ++t) {
              run.choices[i].push_back(
                  Choose(step, std::span(logits).subspan(static_cast<size_t>(t * width),
                                                         static_cast<size_t>(width))));
            }
          } else {
            const Element type = TypeOf(step, plan.type);
            const RoutedRows rows = RowsOf(step, run.choices);
            if constexpr (std::is_same_v<AnyStep, Contract>) {
              const Arithmetic of_step = ArithmeticOf(step, type, arithmetic);
              if (of_step == Arithmetic::kBfloat16) {
                return RunChain(step, type, tokens, rows, AddBfloat16Term, buffers);
              }
              if (IsInteger(of_step)) {
                ChainBuffer& src = buffers[static_cast<size_t>(step.source)];
                ChainBuffer& dst = buffers[static_cast<size_t>(step.destination)];
                return AddWholeSums(arithmetic, step, {src.value, src.width},
                                    {dst.value, dst.width});
              }
            }
            if (type == plan.type) {
              RunChain(step, type, tokens, rows, add_term, buffers);
            } else {  // float32 has one arithmetic
              RunChain(step, type, tokens, rows, AddChainTerm, buffers);
            }
          }
        },
        plan.steps[i]);
  }
  run.y = std::move(buffers[1].value);
  FillFailed(run.choices, plan, run.y);
  return run;
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

std::vector<std::vector<Choice>> Choices(const Plan& plan, int64_t tokens, ConstRows x) {
  return RunAsChain(plan, tokens, x, AddChainTerm).choices;
}

PlanResult Apply(const Plan& plan, int64_t tokens, ConstRows x, const Epilogue& epilogue) {
  auto buffers = BuffersOf<WideBuffer>(plan, tokens, x);
  for (WideBuffer& buffer : buffers) {
    for (const double value : buffer.value) buffer.magnitude.push_back(std::abs(value));
    buffer.roundings.resize(static_cast<size_t>(buffer.width));
  }
  const auto choices =
      IsRouted(plan) ? Choices(plan, tokens, x) : std::vector<std::vector<Choice>>();
  for (const Step& any : plan.steps) {
    std::visit(
        [&]<typename AnyStep>(const AnyStep& step) {
          if constexpr (!std::is_same_v<AnyStep, Route>) {
            RunWide(step, TypeOf(step, plan.type), tokens, RowsOf(step, choices), buffers);
          }
        },
        any);
  }
  WideBuffer& sums = buffers[1];
  PlanResult result = {
      {}, std::move(sums.value), std::move(sums.magnitude), std::move(sums.roundings)};
  const auto out = static_cast<size_t>(plan.out_features());
  FillFailed(choices, plan, result.sum);
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
std::vector<float> ChainWith(const Plan& plan, int64_t tokens, ConstRows x, AddTerm add_term,
                             Arithmetic arithmetic = Arithmetic::kExact) {
  std::vector<float> y = RunAsChain(plan, tokens, x, add_term, arithmetic).y;
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

std::vector<float> ChainIn(Arithmetic arithmetic, const Plan& plan, int64_t tokens, ConstRows x) {
  return ChainWith(plan, tokens, x, AddChainTerm, arithmetic);
}

}  // namespace dyad::kernels::reference
