// The same calls to both devices, then a look at what each holds: kernels/reference/device_check.h.
#include "kernels/reference/device_check.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/arithmetic.h"
#include "kernels/reference/device.h"
#include "kernels/step_arrays.h"
#include "kernels/structures/structures.h"

namespace dyad::kernels::reference {
namespace {

// Rounding to float32 at each of at most 200 terms, twice over for the activation's own error.
constexpr double kRelative = 400.0 / (1 << 24);
// Of x in bfloat16, which keeps 8 bits.
constexpr double kRelativeOfBfloat16 = 1.0 / (1 << 8);
// Of x in whole numbers of 16 or 8 bits, beside the largest of a row.
constexpr double kRelativeOfInteger16 = 1.0 / (1 << 12);
constexpr double kRelativeOfInteger8 = 1.0 / (1 << 4);
double RelativeOf(std::string_view arithmetic) {
  if (arithmetic == NameOf(Arithmetic::kFast)) return kRelativeOfBfloat16;
  if (arithmetic == NameOf(Arithmetic::kBfloat16)) return kRelativeOfBfloat16;
  if (arithmetic == NameOf(Arithmetic::kInteger16)) return kRelativeOfInteger16;
  if (arithmetic == NameOf(Arithmetic::kInteger8)) return kRelativeOfInteger8;
  return kRelative;
}
constexpr Element kElements[] = {Element::kFloat32, Element::kBfloat16, Element::kFloat16,
                                 Element::kInt8};

// Values in [-1, 1) that look random and are the same everywhere.
std::vector<float> Values(int64_t count, uint32_t state = 12345) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    values.push_back(static_cast<float>(static_cast<int32_t>(state >> 8) - (1 << 23)) / (1 << 23));
  }
  return values;
}

// ±1/4 … ±2, which every floating-point type holds exactly, as the bytes of `element`.
std::vector<std::byte> Weights(Element element, int64_t count) {
  std::vector<std::byte> bytes;
  uint32_t state = 777;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    const uint32_t sign = state >> 31;
    const uint32_t exponent = (state >> 20) % 4;  // of a quarter
    uint32_t bits = sign << 31 | (125 + exponent) << 23;
    if (element == Element::kBfloat16) bits >>= 16;
    if (element == Element::kFloat16) bits = sign << 15 | (13 + exponent) << 10;
    for (int64_t b = 0; b < ElementBytes(element); ++b) {
      bytes.push_back(static_cast<std::byte>(bits >> (8 * b)));
    }
  }
  return bytes;
}

// Makes float32 of Weights numbers in [1/8, 1].
void MakeFractions(std::vector<std::byte>& bytes) {
  for (size_t at = 0; at < bytes.size(); at += sizeof(float)) {
    float value;
    std::memcpy(&value, &bytes[at], sizeof(value));
    value = std::abs(value) / 2;
    std::memcpy(&bytes[at], &value, sizeof(value));
  }
}

// What int8 is made from, else the type itself.
Element StoredAs(Element element) {
  return element == Element::kInt8 ? Element::kFloat32 : element;
}

constexpr AttentionShape kHeads = {.heads = 2, .head_size = 20, .scale = 0.25f, .rotary_size = 8};

KvSpec Kv(KvType type) {
  KvSpec spec = {.shape = kHeads, .layers = 2, .type = type, .pages = 4, .cos = {}, .sin = {}};
  for (int position = 0; position < 40; ++position) {
    for (int i = 0; i < kHeads.rotary_size / 2; ++i) {
      const double angle = position * std::pow(10000.0, -i / 4.0);
      spec.cos.push_back(static_cast<float>(std::cos(angle)));
      spec.sin.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  return spec;
}

// A matrix of the device and its twin of the reference, and what is done to both.
struct Twins {
  Matrix tested, expected;
};

class Check {
 public:
  explicit Check(Device& tested)
      : tested_(tested), relative_(RelativeOf(tested.info().arithmetic)) {}

  Fault Run(KvType type);

 private:
  Twins Allocate(int64_t rows, int64_t columns) {
    return {tested_.Allocate(rows, columns), expected_.Allocate(rows, columns)};
  }
  Twins Filled(int64_t rows, int64_t columns, uint32_t seed = 12345) {
    const Twins twins = Allocate(rows, columns);
    const std::vector<float> values = Values(rows * columns, seed);
    tested_.Write(twins.tested, values);
    expected_.Write(twins.expected, values);
    return twins;
  }
  void Begin(const StepInput& input) { tested_.Begin(input), expected_.Begin(input); }
  Fault Compare(const std::string& name, double found, double expected, double magnitude) const;
  Fault CompareMatrices(const std::string& name, Twins y);

  Fault CheckLayer(const std::string& name, const Plan& plan, Activation activation, int64_t rows);
  Fault CheckLayers();
  Fault CheckTogether();
  Fault CheckTables();
  Fault CheckNorms();
  Fault CheckAttention();
  Fault CheckFinish();
  Fault CompareResults(const StepArrays& step);

  Device& tested_;
  const double relative_;
  ReferenceDevice expected_;
};

Fault Check::Compare(const std::string& name, double found, double expected,
                     double magnitude) const {
  if (std::abs(found - expected) <= relative_ * (1 + magnitude)) return {};
  return name + ": found " + std::to_string(found) + ", expected " + std::to_string(expected);
}

Fault Check::CompareMatrices(const std::string& name, Twins y) {
  const std::vector<float> found = tested_.Read(y.tested);
  const std::vector<float> expected = expected_.Read(y.expected);
  const std::vector<double> magnitudes = expected_.Magnitudes(y.expected);
  for (size_t i = 0; i < expected.size(); ++i) {
    Fault fault = Compare(name, found[i], expected[i], magnitudes[i]);
    if (!fault.empty()) return fault;
  }
  return {};
}

Fault Check::CheckLayer(const std::string& name, const Plan& plan, Activation activation,
                        int64_t rows) {
  const Twins x = Filled(rows, plan.in_features());
  const Twins y = Filled(rows, plan.out_features(), 99);
  const auto tested = tested_.Pack(plan), expected = expected_.Pack(plan);
  tested_.Apply(x.tested, {{tested.get(), y.tested}}, {activation, y.tested});
  expected_.Apply(x.expected, {{expected.get(), y.expected}}, {activation, y.expected});
  return CompareMatrices("layer " + name, y);
}

// 40 inputs and 72 outputs, 4 blocks or rank 4: no size is a multiple of a vector.
Fault Check::CheckLayers() {
  constexpr LayerSize kSize = {.in = 40, .out = 72, .bias = Bias::kPresent};
  const std::vector<float> bias = Values(kSize.out);
  for (const Structure* structure : Structures()) {
    for (const Element element : kElements) {
      Leaves leaves("", "");
      std::vector<std::vector<std::byte>> data;
      for (const ExampleLeaf& example : structure->Example(kSize, 4)) {
        const bool weights = example.use == LeafUse::kWeights;
        Leaf leaf = {.name = std::string(example.leaf),
                     .element = weights ? StoredAs(element) : Element::kFloat32,
                     .shape = example.shape};
        data.push_back(Weights(leaf.element, leaf.elements()));
        if (example.use == LeafUse::kSizes) MakeFractions(data.back());
        leaf.data = data.back().data();
        leaves.Add(leaf.name, leaf);
      }
      leaves.Add(std::string(structure->bias),
                 {.name = "bias", .shape = {kSize.out}, .data = bias.data()});
      Options options("");
      Plan plan;
      Fault fault = CompileLayer(*structure, leaves, options, kSize, plan);
      if (!fault.empty()) return fault;
      if (!tested_.Misses(plan).empty()) continue;
      plan.type = element;
      for (const Activation activation :
           {Activation::kNone, Activation::kRelu, Activation::kGelu, Activation::kGeluTanh}) {
        for (const int64_t rows : {1, 5}) {
          fault = CheckLayer(plan.structure, plan, activation, rows);
          if (!fault.empty()) return fault;
        }
      }
    }
  }
  return {};
}

// Three layers that read the same rows.
Fault Check::CheckTogether() {
  constexpr int64_t kRows = 5, kIn = 24, kOut[] = {33, 24, 1};
  const Twins x = Filled(kRows, kIn);
  std::vector<std::vector<float>> weights;
  std::vector<std::unique_ptr<Layer>> tested, expected;
  std::vector<Twins> y;
  for (const int64_t out : kOut) {
    weights.push_back(Values(kIn * out, static_cast<uint32_t>(out)));
    const Plan plan = DensePlan(kIn, out, {weights.back().data(), Element::kFloat32});
    tested.push_back(tested_.Pack(plan));
    expected.push_back(expected_.Pack(plan));
    y.push_back(Allocate(kRows, out));
  }
  tested_.Apply(x.tested,
                {{tested[0].get(), y[0].tested},
                 {tested[1].get(), y[1].tested},
                 {tested[2].get(), y[2].tested}},
                {});
  expected_.Apply(x.expected,
                  {{expected[0].get(), y[0].expected},
                   {expected[1].get(), y[1].expected},
                   {expected[2].get(), y[2].expected}},
                  {});
  for (const Twins& one : y) {
    Fault fault = CompareMatrices("layers together", one);
    if (!fault.empty()) return fault;
  }
  return {};
}

Fault Check::CheckTables() {
  constexpr int64_t kRows = 7, kColumns = 19;
  const std::vector<int32_t> ids = {3, 0, 4}, positions = {1, 2, 0};
  Begin({.ids = ids, .positions = positions});
  for (const Element element : kElements) {
    const std::vector<std::byte> data = Weights(StoredAs(element), kRows * kColumns);
    const auto source = [&] {
      TableSource made;
      made.rows = kRows, made.columns = kColumns, made.type = element;
      made.stored = StoredAs(element), made.data = data.data();
      return made;
    };
    const auto tested = tested_.MakeTable(source()), expected = expected_.MakeTable(source());
    const Twins y = Allocate(static_cast<int64_t>(ids.size()), kColumns);
    tested_.Embed(*tested, IndexedBy::kId, 0, Lookup::kCopy, y.tested);
    expected_.Embed(*expected, IndexedBy::kId, 0, Lookup::kCopy, y.expected);
    tested_.Embed(*tested, IndexedBy::kPosition, 2, Lookup::kAdd, y.tested);
    expected_.Embed(*expected, IndexedBy::kPosition, 2, Lookup::kAdd, y.expected);
    Fault fault = CompareMatrices("embedding", y);
    if (!fault.empty()) return fault;
  }
  return {};
}

Fault Check::CheckNorms() {
  for (const int64_t features : {1, 17, 68}) {
    NormSource plain;
    plain.features = features;
    NormSource affine = plain;
    affine.weight = Values(features, 5), affine.bias = Values(features, 6);
    for (const NormSource& source : {plain, affine}) {
      const Twins x = Filled(3, features), y = Allocate(3, features);
      const auto tested = tested_.MakeNorm(source), expected = expected_.MakeNorm(source);
      tested_.Normalize(*tested, x.tested, y.tested);
      expected_.Normalize(*expected, x.expected, y.expected);
      Fault fault = CompareMatrices("LayerNorm", y);
      if (!fault.empty()) return fault;
    }
  }
  return {};
}

// 21 tokens over two pages in falling order, then three more, and a second sequence that shares the
// first 18 of them; half of each head rotates.
Fault Check::CheckAttention() {
  constexpr int32_t kFirst = 21, kMore = 3, kShared = 18;
  const int64_t head_size = kHeads.head_size, width = kHeads.heads * head_size;
  const std::vector<int32_t> pages = {1, 0}, other_pages = {3, 2};
  StepArrays first, second;
  first.AddChunk({0, kFirst, 0, pages});
  first.AddStore({0, kShared, 0, other_pages});
  second.AddChunk({0, kMore, kFirst, pages});
  second.AddChunk({kMore, 1, kShared, other_pages});
  for (const StepArrays* step : {&first, &second}) {
    Begin(step->view());
    const auto rows = static_cast<int64_t>(step->slots.size());
    const Twins qkv = Filled(rows, 3 * width, static_cast<uint32_t>(rows));
    const Twins out = Allocate(rows, width);
    const auto heads = [&](Matrix packed) {
      return Qkv{packed, packed.FromColumn(head_size), packed.FromColumn(2 * head_size),
                 3 * head_size};
    };
    tested_.Attend(1, heads(qkv.tested), out.tested);
    expected_.Attend(1, heads(qkv.expected), out.expected);
    Fault fault = CompareMatrices("attention", out);
    if (!fault.empty()) return fault;
  }
  return {};
}

// A vocabulary of three tiles of 256 ids, the last one short.
Fault Check::CheckFinish() {
  constexpr int64_t kHidden = 24, kVocabulary = 2 * 256 + 5;
  const std::vector<float> weights = Values(kHidden * kVocabulary);
  const Plan plan = DensePlan(kHidden, kVocabulary, {weights.data(), Element::kFloat32});
  const auto tested_head = tested_.Pack(plan), expected_head = expected_.Pack(plan);
  StepArrays step;
  // One set has no id in the second tile; the other has none at all.
  std::vector<uint8_t> id_sets(kVocabulary);
  for (size_t id = 0; id < id_sets.size(); ++id) id_sets[id] = id % 3 == 0 && id / 256 != 1 ? 1 : 4;
  step.id_sets = id_sets;
  step.scores = {{0, 3, 2}, {0, 300, 20, 1}, {1, kVocabulary - 1, 0, 5}, {2, 0, 0, 2}};
  step.draws = {{.row = 1, .top_n = 3},
                {.row = 2, .adjustments = 1},
                {.row = 2, .temperature = 0.7f, .top_k = 5, .uniform = uint64_t{1} << 63}};
  step.adjustments = {{.id = 400, .add = 100}};
  const Twins hidden = Filled(3, kHidden, 7);
  Begin(step.view());
  const Twins logits = Allocate(1, kVocabulary);
  tested_.Finish(*tested_head, hidden.tested, logits.tested);
  expected_.Finish(*expected_head, hidden.expected, logits.expected);
  return CompareResults(step);
}

Fault Check::CompareResults(const StepArrays& step) {
  const StepOutput found = tested_.End(), expected = expected_.End();
  const auto compare_top = [&](int32_t count, int32_t a, int32_t b, double magnitude) {
    for (int32_t n = 0; n < count; ++n) {
      const TopEntry& x = found.top[static_cast<size_t>(a + n)];
      const TopEntry& y = expected.top[static_cast<size_t>(b + n)];
      Fault fault = x.id == y.id ? Compare("top list", x.logprob, y.logprob, magnitude)
                                 : Compare("id in top list", x.id, y.id, 0);
      if (!fault.empty()) return fault;
    }
    return Fault();
  };
  for (size_t i = 0; i < step.scores.size(); ++i) {
    const ScoreResult &a = found.scores[i], &b = expected.scores[i];
    const double magnitude = expected_.score_magnitudes()[i] + std::abs(b.logprob);
    Fault fault = Compare("scoring", a.logprob, b.logprob, magnitude);
    if (fault.empty()) fault = Compare("rank", a.rank, b.rank, 0);
    if (fault.empty() && a.set_logprob != b.set_logprob) {
      fault = Compare("likelihood of a set", a.set_logprob, b.set_logprob, magnitude);
    }
    if (fault.empty())
      fault = compare_top(step.scores[i].top_n, a.first_top, b.first_top, magnitude);
    if (!fault.empty()) return fault;
  }
  for (size_t i = 0; i < step.draws.size(); ++i) {
    const DrawResult &a = found.draws[i], &b = expected.draws[i];
    const double magnitude = std::abs(b.logprob);
    Fault fault = Compare("drawn id", a.id, b.id, 0);
    if (fault.empty()) fault = Compare("drawing", a.logprob, b.logprob, magnitude);
    if (fault.empty())
      fault = compare_top(step.draws[i].top_n, a.first_top, b.first_top, magnitude);
    if (!fault.empty()) return fault;
  }
  return {};
}

Fault Check::Run(KvType type) {
  Fault fault = tested_.MapKv(Kv(type));
  if (fault.empty()) fault = expected_.MapKv(Kv(type));
  if (fault.empty()) fault = CheckLayers();
  if (fault.empty()) fault = CheckTogether();
  if (fault.empty()) fault = CheckTables();
  if (fault.empty()) fault = CheckNorms();
  if (fault.empty()) fault = CheckAttention();
  if (fault.empty()) fault = CheckFinish();
  return fault;
}

}  // namespace

Fault CheckDevice(Device& device, KvType type) { return Check(device).Run(type); }

}  // namespace dyad::kernels::reference
