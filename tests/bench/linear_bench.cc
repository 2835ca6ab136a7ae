// One linear layer over numbers of tokens: tests/bench/linear_bench.h.
#include "tests/bench/linear_bench.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <deque>
#include <random>
#include <thread>
#include <utility>

#include "tests/bench/timing.h"
#include "tests/bench/torch_layers.h"

namespace dyad::bench {
namespace {

using kernels::PackedLinear;

std::vector<float> RandomFloats(int64_t count) {
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-0.1f, 0.1f);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = uniform(generator);
  return values;
}

// Weights of any type, float32 for int8; those of 16 bits are ±1/8 … ±1/4 in both formats' bits.
std::vector<std::byte> RandomWeights(int64_t count, kernels::Element type) {
  if (type == kernels::Element::kInt8) type = kernels::Element::kFloat32;
  std::vector<std::byte> bytes(static_cast<size_t>(count * kernels::ElementBytes(type)));
  if (type == kernels::Element::kFloat32) {
    const std::vector<float> values = RandomFloats(count);
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }
  std::mt19937 generator(1);
  for (size_t i = 0; i < bytes.size(); i += 2) {
    const auto bits = static_cast<uint16_t>(0x3000 | (generator() & 0x83ff));
    std::memcpy(&bytes[i], &bits, 2);
  }
  return bytes;
}

// Makes float32 numbers in [0, 1], a quarter in the mean where they are widths.
void MakeFractions(std::vector<std::byte>& bytes) {
  for (size_t i = 0; i < bytes.size(); i += sizeof(float)) {
    float value;
    std::memcpy(&value, &bytes[i], sizeof(value));
    value = std::abs(value) * 5;  // of ±0.1
    std::memcpy(&bytes[i], &value, sizeof(value));
  }
}

// A plan of the chosen layer and the random weights that it points into; without data on request.
enum class Data { kNone, kRandom };
class ExampleLayer {
 public:
  ExampleLayer(const LayerChoice& choice, Data data) {
    kernels::Leaves leaves("", "");
    const kernels::LayerSize size = {choice.in, choice.out};
    for (const auto& [leaf, shape, use] : choice.structure->Example(size, choice.detail)) {
      kernels::Leaf tensor = {.name = std::string(leaf), .shape = shape};
      const bool weights = use == kernels::LeafUse::kWeights;
      if (weights && choice.type != kernels::Element::kInt8) tensor.element = choice.type;
      if (data == Data::kRandom) {
        weights_.push_back(RandomWeights(tensor.elements(), tensor.element));
        tensor.data = weights_.back().data();
        if (use == kernels::LeafUse::kSizes) MakeFractions(weights_.back());
      }
      leaves.Add(std::string(leaf), std::move(tensor));
    }
    kernels::Options options("the layer");
    if (!choice.variant.empty()) options.Add("variant", choice.variant);
    fault_ = kernels::CompileLayer(*choice.structure, leaves, options, size, plan_);
    plan_.type = choice.type;
    if (fault_.empty() && data == Data::kRandom) plan_.bias = RandomFloats(choice.out);
  }

  const kernels::Fault& fault() const { return fault_; }
  const kernels::Plan& plan() const { return plan_; }

 private:
  std::deque<std::vector<std::byte>> weights_;
  kernels::Plan plan_;
  kernels::Fault fault_;
};

// As many packed layers as fill kStreamBytes.
std::vector<PackedLinear> PackLayers(const LayerChoice& choice) {
  const ExampleLayer example(choice, Data::kRandom);
  std::vector<PackedLinear> layers;
  for (int64_t bytes = 0; bytes < kStreamBytes; bytes += layers.back().weight_bytes()) {
    layers.emplace_back(example.plan(), nullptr, choice.arithmetic);
  }
  return layers;
}

// The blocks of a layer that multiplies two views of the input in one step: LibTorch has such a
// layer's reference form. 0: it is no such layer.
int64_t BlocksOfTwoViews(const kernels::Plan& plan) {
  const auto* const step = std::get_if<kernels::Contract>(&plan.steps.front());
  return plan.steps.size() == 1 && step != nullptr && step->terms.size() == 2 ? step->blocks : 0;
}

// One layer after another on rows of its own.
class OurLayers {
 public:
  explicit OurLayers(const LayerChoice& choice) : choice_(choice), layers_(PackLayers(choice)) {}

  void SetTokens(int64_t tokens) {
    tokens_ = tokens;
    x_ = RandomFloats(tokens * choice_.in);
    y_.resize(static_cast<size_t>(tokens * choice_.out));
  }
  void Forward(int64_t call, kernels::Workspace& workspace) {
    layers_[static_cast<size_t>(call) % layers_.size()].Apply(
        tokens_, {x_.data(), choice_.in}, {y_.data(), choice_.out}, {}, workspace);
  }

 private:
  LayerChoice choice_;
  std::vector<PackedLinear> layers_;
  int64_t tokens_ = 0;
  std::vector<float> x_, y_;
};

// The threads of OpenBLAS 0.3.21 stay awake for 0.1 s after their work and would take ours the
// cores.
constexpr auto kTorchRest = std::chrono::milliseconds(150);

double SpeedUp(OurLayers& ours, OurLayers& others, int64_t tokens, kernels::Workspace& workspace) {
  ours.SetTokens(tokens);
  others.SetTokens(tokens);
  const auto forward = [&](int64_t call) { ours.Forward(call, workspace); };
  Batches our_batches(forward);
  const auto pairs = TimePairs([&](int64_t call) { others.Forward(call, workspace); },
                               [&] { return our_batches.Run(); });
  return Median(pairs, [](const Pair& pair) { return pair.seconds / pair.reference; });
}

double SpeedUp(OurLayers& ours, TorchLayers& torch, int64_t tokens, kernels::Workspace& workspace) {
  ours.SetTokens(tokens);
  torch.SetTokens(tokens);
  const auto forward = [&](int64_t call) { ours.Forward(call, workspace); };
  Batches our_batches(forward);
  const auto pairs = TimePairs([&](int64_t call) { torch.Forward(call); },
                               [&] {
                                 std::this_thread::sleep_for(kTorchRest);
                                 return our_batches.Run();
                               });
  return Median(pairs, [](const Pair& pair) { return pair.seconds / pair.reference; });
}

}  // namespace

absl::StatusOr<kernels::Plan> PlanOf(const LayerChoice& choice) {
  const ExampleLayer example(choice, Data::kNone);
  if (!example.fault().empty()) return absl::InvalidArgumentError(example.fault());
  return example.plan();
}

std::vector<LinearResult> BenchLinear(const LayerChoice& choice, const std::vector<int64_t>& tokens,
                                      Compare compare, const Roof& roof,
                                      kernels::ThreadPool& pool) {
  std::vector<LinearResult> results;
  const kernels::Plan plan = *PlanOf(choice);
  const auto count = static_cast<double>(kernels::Cost(plan).parameters);
  const double bytes = count * static_cast<double>(kernels::ElementBytes(choice.type));
  OurLayers ours(choice);
  StreamingRead read(kStreamBytes, pool);
  kernels::Workspace workspace(pool);
  for (const int64_t rows : tokens) {
    ours.SetTokens(rows);
    const double flops = 2 * count * static_cast<double>(rows);
    const auto pairs = TimePairs([&](int64_t call) { ours.Forward(call, workspace); },
                                 [&] { return read.BytesPerSecond(); });
    const double seconds = BestSeconds(pairs);
    results.push_back(
        {.tokens = rows,
         .seconds = seconds,
         .flops_per_second = flops / seconds,
         .bytes_per_second = bytes / seconds,
         .fraction_of_roof = Median(pairs,
                                    [&](const Pair& pair) {
                                      return Roof{pair.reference, roof.flops_per_second}.Seconds(
                                                 bytes, flops) /
                                             pair.seconds;
                                    }),
         .streamed_bytes =
             Median(pairs, [](const Pair& pair) { return pair.seconds * pair.reference; })});
  }
  if (choice.arithmetic != kernels::Arithmetic::kExact) {
    LayerChoice other = choice;
    other.arithmetic = kernels::Arithmetic::kExact;
    OurLayers exact(other);
    other.type = kernels::Element::kFloat32;
    OurLayers float32(other);
    for (LinearResult& result : results) {
      result.over_exact = SpeedUp(ours, exact, result.tokens, workspace);
      result.over_float32 = SpeedUp(ours, float32, result.tokens, workspace);
    }
  }
  if (compare == Compare::kNo) return results;
  const int64_t blocks = BlocksOfTwoViews(plan);
  const TorchShape shape = {choice.in, choice.out, blocks};
  const auto dense = TorchDense(shape, pool.threads());
  const auto reference = blocks > 0 ? TorchTwoViews(shape, pool.threads()) : nullptr;
  for (LinearResult& result : results) {
    result.over_torch_dense = SpeedUp(ours, *dense, result.tokens, workspace);
    if (reference == nullptr) continue;
    result.over_torch_reference = SpeedUp(ours, *reference, result.tokens, workspace);
  }
  return results;
}

}  // namespace dyad::bench
