// One linear layer over numbers of tokens: tests/bench/linear_bench.h.
#include "tests/bench/linear_bench.h"

#include <algorithm>
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

std::vector<float> RandomFloats(int64_t count, uint32_t seed = 1) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-0.1f, 0.1f);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = uniform(generator);
  return values;
}

// Weights of any type, float32 for int8; those of 16 bits are ±1/8 … ±1/4 in both formats' bits.
std::vector<std::byte> RandomWeights(int64_t count, kernels::Element type, uint32_t seed) {
  if (type == kernels::Element::kInt8) type = kernels::Element::kFloat32;
  std::vector<std::byte> bytes(static_cast<size_t>(count * kernels::ElementBytes(type)));
  if (type == kernels::Element::kFloat32) {
    const std::vector<float> values = RandomFloats(count, seed);
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }
  std::mt19937 generator(seed);
  for (size_t i = 0; i < bytes.size(); i += 2) {
    const auto bits = static_cast<uint16_t>(0x3000 | (generator() & 0x83ff));
    std::memcpy(&bytes[i], &bits, 2);
  }
  return bytes;
}

// Makes float32 numbers in [0, most].
void MakeFractions(std::vector<std::byte>& bytes, float most) {
  for (size_t i = 0; i < bytes.size(); i += sizeof(float)) {
    float value;
    std::memcpy(&value, &bytes[i], sizeof(value));
    value = std::min(std::abs(value) * 10 * most, most);  // of ±0.1
    std::memcpy(&bytes[i], &value, sizeof(value));
  }
}

struct LayerTensor {
  std::string leaf;
  std::vector<int64_t> shape;
  kernels::LeafUse use;
};
// Those of the family's example, or the chosen ones.
std::vector<LayerTensor> TensorsOf(const LayerChoice& choice) {
  std::vector<LayerTensor> tensors;
  for (const auto& [leaf, shape, use] :
       choice.structure->Example({choice.in, choice.out}, choice.detail)) {
    tensors.push_back({std::string(leaf), shape, use});
  }
  if (choice.tensors.empty()) return tensors;
  std::vector<LayerTensor> chosen;
  for (const auto& [leaf, shape] : choice.tensors) {
    const auto like = std::find_if(tensors.begin(), tensors.end(),
                                   [&](const LayerTensor& tensor) { return tensor.leaf == leaf; });
    chosen.push_back({leaf, shape, like == tensors.end() ? kernels::LeafUse::kWeights : like->use});
  }
  return chosen;
}

// A plan of the chosen layer and the random weights that it points into; without data on request.
enum class Data { kNone, kRandom };
class ExampleLayer {
 public:
  ExampleLayer(const LayerChoice& choice, Data data) {
    kernels::Leaves leaves("", "");
    const kernels::LayerSize size = {choice.in, choice.out};
    for (const auto& [leaf, shape, use] : TensorsOf(choice)) {
      kernels::Leaf tensor = {.name = leaf, .shape = shape};
      const bool weights = use == kernels::LeafUse::kWeights;
      if (weights && choice.type != kernels::Element::kInt8) tensor.element = choice.type;
      if (data == Data::kRandom) {
        weights_.push_back(RandomWeights(tensor.elements(), tensor.element,
                                         static_cast<uint32_t>(weights_.size()) + 1));
        tensor.data = weights_.back().data();
        // Windows are a quarter wide in the mean, and anywhere.
        if (use == kernels::LeafUse::kSizes) {
          MakeFractions(weights_.back(), leaf == "widths" ? 0.5f : 1.0f);
        }
      }
      leaves.Add(leaf, std::move(tensor));
    }
    kernels::Options options("the layer");
    for (const auto& [name, value] : choice.options) options.Add(name, value);
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

// Rows of which each has `likeness` of the one before.
std::vector<float> RandomRows(int64_t rows, int64_t features, double likeness) {
  std::vector<float> x = RandomFloats(rows * features, 7);
  const auto kept = static_cast<float>(likeness);
  const float fresh = std::sqrt(1 - kept * kept);
  for (size_t i = static_cast<size_t>(features); i < x.size(); ++i) {
    x[i] = kept * x[i - static_cast<size_t>(features)] + fresh * x[i];
  }
  return x;
}

// One layer after another on rows of its own.
class OurLayers {
 public:
  explicit OurLayers(const LayerChoice& choice) : choice_(choice), layers_(PackLayers(choice)) {}

  void SetTokens(int64_t tokens) {
    tokens_ = tokens;
    x_ = RandomRows(tokens, choice_.in, choice_.likeness);
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

// Weights of lists that are there only to fill places of 32 outputs: no work of the layer.
int64_t ZerosOfLists(const kernels::Plan& plan) {
  int64_t zeros = 0;
  for (const kernels::Step& step : plan.steps) {
    const auto* const list = std::get_if<kernels::BlockList>(&step);
    if (list == nullptr) continue;
    for (const kernels::Place& place : list->places) {
      const int64_t depth = kernels::DepthOf(*list, place);
      for (int64_t n = 0; n < place.outputs; ++n) {
        for (int64_t k = 0; k < depth; ++k) {
          const int64_t at = place.weight + list->weights.At(0, n, k);
          zeros += kernels::ValueAt(list->weights, at) == 0 ? 1 : 0;
        }
      }
    }
  }
  return zeros;
}

// Bytes of the weights that rows need which choose independently of each other.
double ExpectedBytes(const kernels::Plan& plan, kernels::Element type, int64_t rows) {
  double kept = 1;  // of all items, by a row
  double routed = 0;
  for (const kernels::Step& step : plan.steps) {
    if (const auto* const route = std::get_if<kernels::Route>(&step)) {
      const auto items = static_cast<double>(plan.widths[static_cast<size_t>(route->logits)]);
      kept = static_cast<double>(route->keep) / items;
    } else if (const auto* const contract = std::get_if<kernels::Contract>(&step)) {
      if (contract->routed.route < 0) continue;
      routed += static_cast<double>(contract->blocks * contract->outputs * contract->depth *
                                    std::ssize(contract->terms));
    }
  }
  const auto all = static_cast<double>(kernels::Cost(plan).parameters - ZerosOfLists(plan));
  const double unread = routed * std::pow(1 - kept, static_cast<double>(rows));
  return (all - unread) * static_cast<double>(kernels::ElementBytes(type));
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
  const ExampleLayer example(choice, Data::kRandom);
  const kernels::Plan& plan = example.plan();
  const auto multiply_adds =
      static_cast<double>(kernels::Cost(plan).multiply_adds - ZerosOfLists(plan));
  OurLayers ours(choice);
  StreamingRead read(kStreamBytes, pool);
  kernels::Workspace workspace(pool);
  for (const int64_t rows : tokens) {
    ours.SetTokens(rows);
    const double flops = 2 * multiply_adds * static_cast<double>(rows);
    const double bytes = ExpectedBytes(plan, choice.type, rows);
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
  if (choice.structure->kind != "dense") {
    LayerChoice dense = choice;
    dense.structure = kernels::FindStructure("dense");
    dense.tensors.clear();
    dense.options.clear();
    OurLayers same_size(dense);
    for (LinearResult& result : results) {
      result.over_dense = SpeedUp(ours, same_size, result.tokens, workspace);
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
