// One linear layer over numbers of tokens: tests/bench/linear_bench.h.
#include "tests/bench/linear_bench.h"

#include <chrono>
#include <cstring>
#include <random>
#include <thread>

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
std::vector<std::byte> RandomWeights(int64_t count, kernels::WeightType type) {
  if (type == kernels::WeightType::kInt8) type = kernels::WeightType::kFloat32;
  std::vector<std::byte> bytes(static_cast<size_t>(count * kernels::WeightBytes(type)));
  if (type == kernels::WeightType::kFloat32) {
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

int64_t WeightCount(const LayerChoice& choice) {
  return (choice.variant.has_value() ? 2 : 1) * choice.in * choice.out / choice.blocks;
}

// As many packed layers as fill kStreamBytes.
std::vector<PackedLinear> PackLayers(const LayerChoice& choice) {
  const int64_t count = WeightCount(choice);
  const std::vector<std::byte> weights = RandomWeights(count, choice.type);
  const std::vector<float> bias = RandomFloats(choice.out);
  const kernels::DyadWeights halves = {choice.blocks, weights.data(),
                                       weights.data() + weights.size() / 2};
  const kernels::LinearSpec spec =
      choice.variant.has_value()
          ? kernels::DyadSpec(choice.in, choice.out, choice.type, *choice.variant, halves, bias)
          : kernels::DenseSpec(choice.in, choice.out, choice.type, weights.data(), bias);
  std::vector<PackedLinear> layers;
  for (int64_t bytes = 0; bytes < kStreamBytes; bytes += layers.back().weight_bytes()) {
    layers.emplace_back(spec);
  }
  return layers;
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

std::vector<LinearResult> BenchLinear(const LayerChoice& choice, const std::vector<int64_t>& tokens,
                                      Compare compare, const Roof& roof,
                                      kernels::ThreadPool& pool) {
  std::vector<LinearResult> results;
  const auto count = static_cast<double>(WeightCount(choice));
  const double bytes = count * static_cast<double>(kernels::WeightBytes(choice.type));
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
  if (compare == Compare::kNo) return results;
  const TorchShape shape = {choice.in, choice.out, choice.blocks};
  const auto dense = TorchDense(shape, pool.threads());
  const auto reference = choice.variant.has_value() ? TorchDyad(shape, pool.threads()) : nullptr;
  for (LinearResult& result : results) {
    result.over_torch_dense = SpeedUp(ours, *dense, result.tokens, workspace);
    if (reference == nullptr) continue;
    result.over_torch_reference = SpeedUp(ours, *reference, result.tokens, workspace);
  }
  return results;
}

}  // namespace dyad::bench
