// Tiny problems with awkward sizes, solved by the chosen kernels and by kernels/reference.
#include "server/self_check.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/attention.h"
#include "kernels/linear.h"
#include "kernels/reference/attention.h"
#include "kernels/reference/linear.h"
#include "kernels/reference/vocabulary.h"
#include "kernels/step_arrays.h"
#include "kernels/vocabulary.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

using kernels::Activation;
using kernels::LinearSpec;
using kernels::WeightType;

// Rounding to float32 at each of at most 200 terms, twice over for the activation's own error.
constexpr double kRelative = 400.0 / (1 << 24);

// Values in [-1, 1) that look random and are the same everywhere.
std::vector<float> Values(int64_t count) {
  std::vector<float> values;
  uint32_t state = 12345;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    values.push_back(static_cast<float>(static_cast<int32_t>(state >> 8) - (1 << 23)) / (1 << 23));
  }
  return values;
}

// ±1/4 … ±2, which every type of floating point holds exactly, as the bytes of `type`.
std::vector<std::byte> Weights(WeightType type, int64_t count) {
  std::vector<std::byte> bytes;
  uint32_t state = 777;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    const uint32_t sign = state >> 31;
    const uint32_t exponent = (state >> 20) % 4;  // of a quarter
    uint32_t bits = sign << 31 | (125 + exponent) << 23;
    if (type == WeightType::kBfloat16) bits >>= 16;
    if (type == WeightType::kFloat16) bits = sign << 15 | (13 + exponent) << 10;
    for (int64_t b = 0; b < kernels::WeightBytes(type); ++b) {
      bytes.push_back(static_cast<std::byte>(bits >> (8 * b)));
    }
  }
  return bytes;
}

absl::Status Compare(const std::string& kernel, double found, double expected, double magnitude) {
  if (std::abs(found - expected) <= kRelative * (1 + magnitude)) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "self-check of ", kernel, " failed with instruction set ", std::string(kernels::CurrentIsa()),
      ": found ", found, ", expected ", expected, "; another --cpu_isa may work on this machine"));
}

absl::Status CheckLinear(const std::string& name, const LinearSpec& spec, int64_t tokens,
                         Activation activation, kernels::ThreadPool& pool) {
  const std::vector<float> x = Values(tokens * spec.in_features);
  std::vector<float> y(static_cast<size_t>(tokens * spec.out_features));
  kernels::Epilogue epilogue;
  epilogue.activation = activation;
  const kernels::ConstRows rows = {x.data(), spec.in_features};
  kernels::Workspace workspace(pool);
  kernels::PackedLinear(spec).Apply(tokens, rows, {y.data(), spec.out_features}, epilogue,
                                    workspace);
  const auto expected = kernels::reference::Linear(spec, tokens, rows, epilogue);
  for (size_t i = 0; i < y.size(); ++i) {
    RETURN_IF_ERROR(Compare(name, y[i], expected.y[i], expected.magnitude[i]));
  }
  return absl::OkStatus();
}

// 4 blocks of 10 inputs and 18 outputs: no size is a multiple of a vector.
absl::Status CheckLinears(kernels::ThreadPool& pool) {
  constexpr int64_t kIn = 40;
  constexpr int64_t kOut = 72;
  constexpr int64_t kBlocks = 4;
  const std::vector<float> bias = Values(kOut);
  for (const WeightType type :
       {WeightType::kFloat32, WeightType::kBfloat16, WeightType::kFloat16, WeightType::kInt8}) {
    const WeightType stored = type == WeightType::kInt8 ? WeightType::kFloat32 : type;
    const std::vector<std::byte> weights = Weights(stored, kIn * kOut);
    const LinearSpec dense = kernels::DenseSpec(kIn, kOut, type, weights.data(), bias);
    const int64_t half = kIn * kOut / kBlocks * kernels::WeightBytes(stored);
    const kernels::DyadWeights dyad = {kBlocks, weights.data(), weights.data() + half};
    for (const int64_t tokens : {1, 5}) {
      for (const Activation activation :
           {Activation::kNone, Activation::kRelu, Activation::kGelu, Activation::kGeluTanh}) {
        RETURN_IF_ERROR(CheckLinear("the dense layer", dense, tokens, activation, pool));
      }
      for (const kernels::DyadVariant variant :
           {kernels::DyadVariant::kIt, kernels::DyadVariant::kOt, kernels::DyadVariant::kDt}) {
        const LinearSpec spec = kernels::DyadSpec(kIn, kOut, type, variant, dyad, bias);
        RETURN_IF_ERROR(CheckLinear("the DYAD layer", spec, tokens, Activation::kNone, pool));
      }
    }
  }
  return absl::OkStatus();
}

// Memory of `bytes` bytes, aligned as the kernels want it.
struct AlignedBytes {
  explicit AlignedBytes(int64_t bytes) : values(static_cast<size_t>(bytes) + 64) {}
  std::byte* data() {
    return values.data() + (64 - std::bit_cast<uintptr_t>(values.data()) % 64) % 64;
  }
  std::vector<std::byte> values;
};

// A sequence of 19 tokens on two pages, one page out of order, half of each head rotating.
absl::Status CheckAttention(kernels::KvType type, kernels::ThreadPool& pool) {
  constexpr int32_t kTokens = 19;
  kernels::AttentionShape shape;
  shape.heads = 2;
  shape.head_size = 16;
  shape.scale = 0.25f;
  shape.rotary_size = 8;
  const int64_t width = shape.heads * shape.head_size;
  std::vector<float> cos;
  std::vector<float> sin;
  for (int64_t position = 0; position < kTokens; ++position) {
    for (int64_t i = 0; i < shape.rotary_size / 2; ++i) {
      const double angle = static_cast<double>(position) * std::pow(10000.0, -2.0 * i / 8);
      cos.push_back(static_cast<float>(std::cos(angle)));
      sin.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  const std::vector<float> values = Values(3 * kTokens * width);
  kernels::QkvRows qkv;
  qkv.q = {values.data(), 3 * width};
  qkv.k = {values.data() + width, 3 * width};
  qkv.v = {values.data() + 2 * width, 3 * width};
  qkv.head_stride = shape.head_size;
  AlignedBytes kv(2 * kernels::KvPageBytes(shape, type));
  std::vector<float> out(static_cast<size_t>(kTokens * width));
  const std::vector<int32_t> pages = {1, 0};
  kernels::StepArrays step;
  step.AddChunk({0, kTokens, 0, pages});
  kernels::Workspace workspace(pool);
  kernels::PagedAttention(shape, {cos, sin}, step.view(), qkv, {kv.data(), type},
                          {out.data(), width}, workspace);
  const auto expected = kernels::reference::Attention(shape, {cos, sin}, kTokens, qkv, type);
  for (size_t i = 0; i < out.size(); ++i) {
    RETURN_IF_ERROR(Compare("attention", out[i], expected.out[i], expected.magnitude[i]));
  }
  return absl::OkStatus();
}

// A vocabulary of three tiles, the last one short.
absl::Status CheckVocabulary(kernels::ThreadPool& pool) {
  constexpr int64_t kHidden = 24;
  constexpr int64_t kVocabulary = 2 * 256 + 5;
  const std::vector<float> weights = Values(kHidden * kVocabulary);
  const std::vector<float> hidden = Values(kHidden);
  const LinearSpec spec =
      kernels::DenseSpec(kHidden, kVocabulary, WeightType::kFloat32, weights.data(), {});
  const kernels::ConstRows rows = {hidden.data(), kHidden};
  const std::vector<kernels::TargetRow> targets = {{0, 3, 2}, {0, kVocabulary - 1, 0}};
  std::vector<kernels::TargetScore> scores(targets.size());
  kernels::Workspace workspace(pool);
  kernels::ScoreTargets(kernels::PackedLinear(spec), rows, targets, scores, workspace);
  const auto logits = kernels::reference::Linear(spec, 1, rows, {});
  const double log_sum_exp = kernels::reference::LogSumExp(logits.y);
  for (size_t i = 0; i < targets.size(); ++i) {
    const auto target = static_cast<size_t>(targets[i].target);
    RETURN_IF_ERROR(Compare("scoring", scores[i].logprob, logits.y[target] - log_sum_exp,
                            logits.magnitude[target] + std::abs(log_sum_exp)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckKernels(kernels::ThreadPool& pool) {
  RETURN_IF_ERROR(CheckLinears(pool));
  RETURN_IF_ERROR(CheckAttention(kernels::KvType::kFloat32, pool));
  RETURN_IF_ERROR(CheckAttention(kernels::KvType::kBfloat16, pool));
  return CheckVocabulary(pool);
}

absl::Status WarmUp(engine::Model& model) {
  const std::vector<int32_t> pages = {0};
  engine::Batch batch;
  batch.ids = {0};
  batch.chunks = {{0, 1, 0, pages}};
  batch.logit_rows = {0};
  ASSIGN_OR_RETURN(const engine::StepResult result, model.Step(batch));
  for (const float logit : result.logits) {
    if (!std::isfinite(logit)) {
      return absl::InternalError("the warm-up step gave logits that are not finite");
    }
  }
  return absl::OkStatus();
}

}  // namespace dyad
