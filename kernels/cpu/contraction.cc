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

// tile [rows, 32] += the products of one row block and one panel.
template <typename Weight>
void ContractBlock(const float* a, int64_t rows, const Weight* panel, int64_t depth, float* tile) {
  const int64_t step = rows <= kTileRows ? depth : kDepthStep;
  for (int64_t k = 0; k < depth; k += step) {
    for (int64_t n = 0; n < kPanelOutputs; n += kTileVectors * kLanes) {
      ContractRows<kTileRows, kTileVectors, 1>(
          TileOperands<Weight>{.a = a + k * rows,
                               .a_step = rows,
                               .b = panel + k * kPanelOutputs + n,
                               .b_step = kPanelOutputs,
                               .depth = std::min(step, depth - k),
                               .tile = tile + n,
                               .tile_stride = kPanelOutputs},
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

void LoadTile(const ContractionCall& call, PanelColumns columns, RowBlock rows, float* tile) {
  std::fill_n(tile, rows.count * kPanelOutputs, 0.0f);
  if (call.contraction->combine == Combine::kAssign) return;
  for (int64_t r = 0; r < rows.count; ++r) {
    const float* y = call.y.data + (rows.first + r) * call.y.stride + columns.first;
    for (int64_t n = 0; n < columns.count; ++n) tile[r * kPanelOutputs + n] = y[n * columns.stride];
  }
}

void StoreTile(const ContractionCall& call, PanelColumns columns, RowBlock rows, const float* bias,
               const float* tile) {
  const ConstRows& residual = call.epilogue.residual;
  const bool direct = columns.count == kPanelOutputs && columns.stride == 1;
  for (int64_t r = 0; r < rows.count; ++r, tile += kPanelOutputs) {
    float* y = call.y.data + (rows.first + r) * call.y.stride + columns.first;
    const float* added = residual.data == nullptr
                             ? nullptr
                             : residual.data + (rows.first + r) * residual.stride + columns.first;
    if (direct) {
      Finish(call.epilogue.activation, tile, bias, added, kPanelOutputs, y);
      continue;
    }
    float result[kPanelOutputs], gathered[kPanelOutputs] = {};
    if (added != nullptr) {
      for (int64_t n = 0; n < columns.count; ++n) gathered[n] = added[n * columns.stride];
    }
    Finish(call.epilogue.activation, tile, bias, added == nullptr ? nullptr : gathered,
           kPanelOutputs, result);
    for (int64_t n = 0; n < columns.count; ++n) y[n * columns.stride] = result[n];
  }
}

template <typename Weight>
void ContractPanel(const ContractionCall& call, const Weight* panel, int64_t block,
                   PanelColumns columns, const float* bias) {
  const PackedContraction& contraction = *call.contraction;
  const int64_t depth = contraction.depth();
  const int64_t row_blocks = RowBlockCount(call.tokens);
  alignas(64) float tile[kBlockRows * kPanelOutputs];
  for (int64_t i = 0; i < row_blocks; ++i) {
    const RowBlock rows = RowBlockAt(call.tokens, i);
    const float* a = call.packed_rows + rows.first * contraction.packed_row_floats() +
                     block * depth * rows.count;
    LoadTile(call, columns, rows, tile);
    ContractBlock(a, rows.count, panel, depth, tile);
    StoreTile(call, columns, rows, bias, tile);
  }
}

// 16-bit weights widen in registers, once for each row block; from so many row blocks on it is
// faster to widen the panel once to memory.
constexpr int64_t kWidenOnceBlocks = 8;

template <typename Weight>
void ContractTypedPanel(const ContractionCall& call, const Weight* panel, int64_t block,
                        PanelColumns columns, const float* bias) {
  if (RowBlockCount(call.tokens) < kWidenOnceBlocks)
    return ContractPanel(call, panel, block, columns, bias);
  const int64_t count = call.contraction->depth() * kPanelOutputs;
  float* wide = reinterpret_cast<float*>(
      ThreadScratch(ScratchUse::kPanel, count * static_cast<int64_t>(sizeof(float))));
  for (int64_t i = 0; i < count; i += kLanes) Store(Widen(panel + i), wide + i);
  ContractPanel(call, wide, block, columns, bias);
}

}  // namespace

void ContractPanelsOnTarget(const ContractionCall& call, PanelRange panels) {
  const PackedContraction& contraction = *call.contraction;
  const int64_t panel_weights = contraction.depth() * kPanelOutputs;
  for (int64_t index = panels.first; index < panels.last; ++index) {
    const int64_t block = index / contraction.panels();
    const int64_t first_output = index % contraction.panels() * kPanelOutputs;
    const FeatureView& view = contraction.destination;
    const PanelColumns columns = {.first = view.offset + block * view.block_stride +
                                           first_output * view.stride - call.first_feature,
                                  .stride = view.stride,
                                  .count = std::min(kPanelOutputs, call.outputs - first_output)};
    const float* bias = call.bias == nullptr ? nullptr : call.bias + index * kPanelOutputs;
    const int64_t offset = index * panel_weights;
    switch (contraction.type) {
      case WeightType::kFloat32:
        ContractPanel(call, contraction.weights.as<const float>() + offset, block, columns, bias);
        break;
      case WeightType::kBfloat16:
        ContractTypedPanel(call, contraction.weights.as<const hwy::bfloat16_t>() + offset, block,
                           columns, bias);
        break;
      case WeightType::kFloat16:
        ContractTypedPanel(call, contraction.weights.as<const hwy::float16_t>() + offset, block,
                           columns, bias);
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

void ContractPanels(const ContractionCall& call, PanelRange panels) {
  HWY_DYNAMIC_DISPATCH(ContractPanelsOnTarget)(call, panels);
}

void FinishRows(const FinishCall& call, RowBlock rows) {
  HWY_DYNAMIC_DISPATCH(FinishRowsOnTarget)(call, rows);
}

}  // namespace dyad::kernels
#endif  // HWY_ONCE
