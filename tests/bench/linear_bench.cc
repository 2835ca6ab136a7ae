// One linear layer over numbers of tokens: tests/bench/linear_bench.h.
#include "tests/bench/linear_bench.h"

#include <cstring>
#include <random>

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

}  // namespace

std::vector<LinearResult> BenchLinear(const LayerChoice& choice, const std::vector<int64_t>& tokens,
                                      Compare compare, const Roof& roof,
                                      kernels::ThreadPool& pool) {
  std::vector<LinearResult> results;
  const auto count = static_cast<double>(WeightCount(choice));
  const double bytes = count * static_cast<double>(kernels::WeightBytes(choice.type));
  {
    const std::vector<PackedLinear> layers = PackLayers(choice);
    for (const int64_t rows : tokens) {
      const std::vector<float> x = RandomFloats(rows * choice.in);
      std::vector<float> y(static_cast<size_t>(rows * choice.out));
      const double seconds = BestSeconds([&](int64_t call) {
        layers[static_cast<size_t>(call) % layers.size()].Apply(rows, {x.data(), choice.in},
                                                                {y.data(), choice.out}, {}, pool);
      });
      const double flops = 2 * count * static_cast<double>(rows);
      results.push_back({.tokens = rows,
                         .seconds = seconds,
                         .flops_per_second = flops / seconds,
                         .bytes_per_second = bytes / seconds,
                         .fraction_of_roof = roof.Seconds(bytes, flops) / seconds});
    }
  }
  if (compare == Compare::kNo) return results;
  // After all of ours: LibTorch's threads stay awake for a while and would take the cores.
  for (LinearResult& result : results) {
    const TorchShape shape = {choice.in, choice.out, choice.blocks};
    const auto dense = TorchDense(shape, result.tokens, pool.threads());
    result.torch_dense_seconds = BestSeconds([&](int64_t call) { dense->Forward(call); });
    if (!choice.variant.has_value()) continue;
    const auto reference = TorchDyad(shape, result.tokens, pool.threads());
    result.torch_reference_seconds = BestSeconds([&](int64_t call) { reference->Forward(call); });
  }
  return results;
}

}  // namespace dyad::bench
