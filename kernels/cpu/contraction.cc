// Contraction over panels and row blocks, with the epilogue on each tile while it is in the first
// cache.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/contraction.cc"
#include "kernels/cpu/targets.h"
// Targets first, then the file that compiles this one for each of them.
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include <algorithm>

#include "kernels/cpu/contraction-inl.h"
#include "kernels/cpu/contraction.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {
namespace {

// Register blocks: the whole width of a panel, so that weights are read in the order in which they
// lie in memory, and as many rows as registers allow. AVX-512 12 · 2 vectors of 32 registers, AVX2
// 3 · 4 of 16, NEON 3 · 8 of 32.
constexpr int kTileRows = kLanes == 16 ? 12 : kLanes == 1 ? 1 : 3;
constexpr int kTileVectors = kLanes == 1 ? 8 : static_cast<int>(kPanelOutputs / kLanes);
// Where a panel takes several passes, they take turns every so many k: the first one brings 16 KiB
// into the first cache, which the others find there.
constexpr int64_t kDepthStep = 128;

// Two panels of int8 at once for as many rows as registers allow: a chain is a fused multiply-add
// after the other, 4 cycles each, and with two vectors of int8 those are what takes the time.
constexpr int64_t kPairOutputs = 2 * kPanelOutputs;
constexpr int kPairRows = kLanes == 16 ? 6 : kLanes == 1 ? 0 : 1;

template <typename Weight>
struct Panel {
  const Weight* weights;
  int64_t step;        // from k to k + 1
  const char* packed;  // where it lies among the packed weights; the next one follows
  int64_t packed_bytes;
};

// tile [rows, kOutputs] += the products of one row block and one panel or a pair of them.
// `part` of `parts` row blocks that this panel is multiplied with, one after the other.
template <int64_t kOutputs, typename Weight>
void ContractBlock(const float* a, int64_t rows, Panel<Weight> panel, int64_t depth, int64_t part,
                   int64_t parts, float* tile) {
  constexpr bool kPair = kOutputs == kPairOutputs;
  constexpr int kRows = kPair ? kPairRows : kTileRows;
  constexpr int kVectors = kPair ? static_cast<int>(kPairOutputs / kLanes) : kTileVectors;
  const int64_t step = rows <= kRows ? depth : kDepthStep;
  // One row block: the weights a little further on. Several: each brings its part of the next panel
  // to the caches, so that memory is never idle while the first one waits for it.
  constexpr int64_t kDistance = kLanes == 16 ? 16384 : 8192;
  const int64_t ahead_step = panel.packed_bytes / depth / parts;
  const char* ahead =
      panel.packed + (parts == 1 ? kDistance : panel.packed_bytes + part * depth * ahead_step);
  for (int64_t k = 0; k < depth; k += step) {
    for (int64_t n = 0; n < kOutputs; n += kVectors * kLanes) {
      ContractRows<kRows, kVectors, 1, Ahead::kPrefetch>(
          TileOperands<Weight>{.a = a + k * rows,
                               .a_step = rows,
                               .b = panel.weights + k * panel.step + n,
                               .b_step = panel.step,
                               .depth = std::min(step, depth - k),
                               .tile = tile + n,
                               .tile_stride = kOutputs,
                               .ahead = ahead + k * ahead_step,
                               .ahead_step = ahead_step},
          rows);
    }
  }
}

template <Activation kActivation>
HWY_INLINE Vec Activate(Vec x) {
  if constexpr (kActivation == Activation::kRelu) return Relu(x);
  if constexpr (kActivation == Activation::kGelu) return Gelu(x);
  if constexpr (kActivation == Activation::kGeluTanh) return GeluTanh(x);
  return x;
}

// y[n] = activation(sum[n] + bias[n]) + residual[n], n a whole number of vectors; null bias or
// residual: none.
template <Activation kActivation>
HWY_INLINE void FinishVectors(const float* sum, const float* bias, const float* residual,
                              int64_t count, float* y) {
  for (int64_t n = 0; n < count; n += kLanes) {
    Vec value = Load(sum + n);
    if (bias != nullptr) value = hn::Add(value, Load(bias + n));
    value = Activate<kActivation>(value);
    if (residual != nullptr) value = hn::Add(value, Load(residual + n));
    Store(value, y + n);
  }
}

void Finish(Activation activation, const float* sum, const float* bias, const float* residual,
            int64_t count, float* y) {
  switch (activation) {
    case Activation::kNone:
      return FinishVectors<Activation::kNone>(sum, bias, residual, count, y);
    case Activation::kRelu:
      return FinishVectors<Activation::kRelu>(sum, bias, residual, count, y);
    case Activation::kGelu:
      return FinishVectors<Activation::kGelu>(sum, bias, residual, count, y);
    case Activation::kGeluTanh:
      return FinishVectors<Activation::kGeluTanh>(sum, bias, residual, count, y);
  }
}

// Where the outputs of one panel lie in a row of y.
struct PanelColumns {
  int64_t first = 0;
  int64_t stride = 1;
  int64_t count = 0;
};

// What a panel, or a pair of them, is multiplied with and where its outputs go.
struct PanelPlace {
  int64_t block = 0;
  PanelColumns columns;
  const float* bias = nullptr;    // one for each output; null: none
  const float* scales = nullptr;  // one for each output; null: the weights are no int8
};

// What the sums are added to: y when accumulating, else 0.
template <int64_t kOutputs>
void LoadTile(const ContractionCall& call, PanelColumns columns, RowBlock rows, float* tile) {
  std::fill_n(tile, rows.count * kOutputs, 0.0f);
  if (call.contraction->combine == Combine::kAssign) return;
  for (int64_t r = 0; r < rows.count; ++r) {
    const float* y = call.y.data + (rows.first + r) * call.y.stride + columns.first;
    for (int64_t n = 0; n < columns.count; ++n) tile[r * kOutputs + n] = y[n * columns.stride];
  }
}

template <int64_t kOutputs>
void StoreTile(const ContractionCall& call, PanelColumns columns, RowBlock rows, const float* bias,
               const float* tile) {
  const ConstRows& residual = call.epilogue.residual;
  const bool direct = columns.count == kOutputs && columns.stride == 1;
  for (int64_t r = 0; r < rows.count; ++r, tile += kOutputs) {
    float* y = call.y.data + (rows.first + r) * call.y.stride + columns.first;
    const float* added = residual.data == nullptr
                             ? nullptr
                             : residual.data + (rows.first + r) * residual.stride + columns.first;
    if (direct) {
      Finish(call.epilogue.activation, tile, bias, added, kOutputs, y);
      continue;
    }
    float result[kOutputs], gathered[kOutputs] = {};
    if (added != nullptr) {
      for (int64_t n = 0; n < columns.count; ++n) gathered[n] = added[n * columns.stride];
    }
    Finish(call.epilogue.activation, tile, bias, added == nullptr ? nullptr : gathered, kOutputs,
           result);
    for (int64_t n = 0; n < columns.count; ++n) y[n * columns.stride] = result[n];
  }
}

// tile = tile · scale + what the sums are added to.
template <int64_t kOutputs>
void ScaleTile(const ContractionCall& call, const PanelPlace& place, RowBlock rows, float* tile) {
  alignas(64) float start[kBlockRows * kOutputs];
  LoadTile<kOutputs>(call, place.columns, rows, start);
  for (int64_t i = 0; i < rows.count * kOutputs; i += kLanes) {
    Store(Fma(Load(tile + i), Load(place.scales + i % kOutputs), Load(start + i)), tile + i);
  }
}

template <int64_t kOutputs, typename Weight>
void ContractPanel(const ContractionCall& call, Panel<Weight> panel, const PanelPlace& place) {
  const PackedContraction& contraction = *call.contraction;
  const int64_t depth = contraction.depth();
  const int64_t row_blocks = RowBlockCount(call.tokens);
  alignas(64) float tile[kBlockRows * kOutputs];
  for (int64_t i = 0; i < row_blocks; ++i) {
    const RowBlock rows = RowBlockAt(call.tokens, i);
    const float* a = call.rows.data + depth * (rows.first * call.rows.blocks.count +
                                               rows.count * (place.block - call.rows.blocks.first));
    if (place.scales == nullptr) {
      LoadTile<kOutputs>(call, place.columns, rows, tile);
    } else {
      std::fill_n(tile, rows.count * kOutputs, 0.0f);
    }
    ContractBlock<kOutputs>(a, rows.count, panel, depth, i, row_blocks, tile);
    if (place.scales != nullptr) ScaleTile<kOutputs>(call, place, rows, tile);
    StoreTile<kOutputs>(call, place.columns, rows, place.bias, tile);
  }
}

// Narrow weights widen in registers, once for each row block; from so many row blocks on it is
// faster to widen the panel once to memory.
constexpr int64_t kWidenOnceBlocks = 3;

template <typename Weight>
void ContractNarrowPanel(const ContractionCall& call, Panel<Weight> panel, const PanelPlace& place,
                         Scratch& scratch) {
  if (RowBlockCount(call.tokens) < kWidenOnceBlocks) {
    return ContractPanel<kPanelOutputs>(call, panel, place);
  }
  const int64_t depth = call.contraction->depth();
  auto* wide = scratch.Get<float>(ScratchUse::kPanel, depth * kPanelOutputs);
  for (int64_t k = 0; k < depth; ++k) {
    for (int64_t n = 0; n < kPanelOutputs; n += kLanes) {
      Store(Widen(panel.weights + k * panel.step + n), wide + k * kPanelOutputs + n);
    }
  }
  ContractPanel<kPanelOutputs>(
      call, Panel<float>{wide, kPanelOutputs, panel.packed, panel.packed_bytes}, place);
}

// Of panel `index` and, where `outputs` are a pair's, the one after it.
PanelPlace PlaceOf(const ContractionCall& call, int64_t index, int64_t outputs) {
  const PackedContraction& contraction = *call.contraction;
  const int64_t block = index / contraction.panels();
  const int64_t first_output = index % contraction.panels() * kPanelOutputs;
  const FeatureView& view = contraction.destination;
  const float* scales = contraction.scales.empty() ? nullptr : contraction.scales.data();
  return {.block = block,
          .columns = {.first = view.offset + block * view.block_stride +
                               first_output * view.stride - call.first_feature,
                      .stride = view.stride,
                      .count = std::min(outputs, call.outputs - first_output)},
          .bias = call.bias == nullptr ? nullptr : call.bias + index * kPanelOutputs,
          .scales = scales == nullptr ? nullptr : scales + index * kPanelOutputs};
}

template <typename Weight>
Panel<Weight> PanelOf(const PackedContraction& contraction, int64_t index) {
  const PanelLayout layout = contraction.LayoutOf(index);
  const auto* weights = contraction.weights.as<const Weight>() + layout.offset;
  return {weights, layout.step, reinterpret_cast<const char*>(weights),
          contraction.depth() * layout.step * static_cast<int64_t>(sizeof(Weight))};
}

// Panel `index`, with the next one where they are a pair before `last` and rows are few. The next
// index.
int64_t ContractInt8(const ContractionCall& call, int64_t index, int64_t last, Scratch& scratch) {
  const PackedContraction& contraction = *call.contraction;
  const PanelLayout layout = contraction.LayoutOf(index);
  const auto panel = PanelOf<int8_t>(contraction, index);
  if constexpr (kPairRows > 0) {
    const PanelRange group = contraction.GroupOf(index);
    const bool pair = layout.step == kPairOutputs && group.first == index && group.last <= last;
    if (pair && call.tokens <= kPairRows) {
      ContractPanel<kPairOutputs>(call, panel, PlaceOf(call, index, kPairOutputs));
      return index + 2;
    }
  }
  ContractNarrowPanel(call, panel, PlaceOf(call, index, kPanelOutputs), scratch);
  return index + 1;
}

}  // namespace

void ContractPanelsOnTarget(const ContractionCall& call, PanelRange panels, Scratch& scratch) {
  const PackedContraction& contraction = *call.contraction;
  if (contraction.type == WeightType::kInt8) {
    for (int64_t i = panels.first; i < panels.last;)
      i = ContractInt8(call, i, panels.last, scratch);
    return;
  }
  for (int64_t index = panels.first; index < panels.last; ++index) {
    const PanelPlace place = PlaceOf(call, index, kPanelOutputs);
    switch (contraction.type) {
      case WeightType::kFloat32:
        ContractPanel<kPanelOutputs>(call, PanelOf<float>(contraction, index), place);
        break;
      case WeightType::kBfloat16:
        ContractNarrowPanel(call, PanelOf<hwy::bfloat16_t>(contraction, index), place, scratch);
        break;
      case WeightType::kFloat16:
        ContractNarrowPanel(call, PanelOf<hwy::float16_t>(contraction, index), place, scratch);
        break;
      case WeightType::kInt8:
        break;
    }
  }
}

void FinishRowsOnTarget(const FinishCall& call, RowBlock rows) {
  const int64_t whole = call.features / kLanes * kLanes;
  const int64_t rest = call.features - whole;
  const ConstRows& residual = call.epilogue.residual;
  const Activation activation = call.epilogue.activation;
  for (int64_t t = rows.first; t < rows.first + rows.count; ++t) {
    const float* sum = call.sum.data + t * call.sum.stride;
    const float* added = residual.data == nullptr ? nullptr : residual.data + t * residual.stride;
    float* y = call.y.data + t * call.y.stride;
    Finish(activation, sum, call.bias, added, whole, y);
    if (rest == 0) continue;
    // The last, partial vector goes through padded copies.
    float parts[3][kLanes] = {};
    std::copy_n(sum + whole, rest, parts[0]);
    if (call.bias != nullptr) std::copy_n(call.bias + whole, rest, parts[1]);
    if (added != nullptr) std::copy_n(added + whole, rest, parts[2]);
    float result[kLanes];
    Finish(activation, parts[0], call.bias == nullptr ? nullptr : parts[1],
           added == nullptr ? nullptr : parts[2], kLanes, result);
    std::copy_n(result, rest, y + whole);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dyad::kernels {

HWY_EXPORT(ContractPanelsOnTarget);
HWY_EXPORT(FinishRowsOnTarget);

void ContractPanels(const ContractionCall& call, PanelRange panels, Scratch& scratch) {
  HWY_DYNAMIC_DISPATCH(ContractPanelsOnTarget)(call, panels, scratch);
}

void FinishRows(const FinishCall& call, RowBlock rows) {
  HWY_DYNAMIC_DISPATCH(FinishRowsOnTarget)(call, rows);
}

}  // namespace dyad::kernels
#endif  // HWY_ONCE
