// Contraction over panels and row tiles, with the epilogue on each tile while it is in the first
// cache.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/contraction.cc"
#include "kernels/cpu/targets.h"
// Targets first, then the file that compiles this one for each of them.
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include <algorithm>

#include "kernels/cpu/bfloat16-inl.h"
#include "kernels/cpu/contraction-inl.h"
#include "kernels/cpu/contraction.h"
#include "kernels/cpu/integer-inl.h"
#include "kernels/cpu/panel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {
namespace {

// Register tiles: the whole width of a panel, so that weights are read in the order in which they
// lie in memory, and as many rows as registers allow. AVX-512 12 · 2 vectors of 32 registers, AVX2
// 3 · 4 of 16, NEON 3 · 8 of 32.
constexpr int kRegisterRows = kLanes == 16 ? 12 : kLanes == 1 ? 1 : 3;
constexpr int kRegisterVectors = kLanes == 1 ? 8 : static_cast<int>(kPanelOutputs / kLanes);
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

// tile [rows, kOutputs] += the products of one row tile and one panel or a pair of them.
// `part` of `parts` row tiles that this panel is multiplied with, one after the other.
template <int64_t kOutputs, typename Weight>
void ContractTileOfRows(const float* a, int64_t rows, Panel<Weight> panel, int64_t depth,
                        int64_t part, int64_t parts, float* tile) {
  constexpr bool kPair = kOutputs == kPairOutputs;
  constexpr int kRows = kPair ? kPairRows : kRegisterRows;
  constexpr int kVectors = kPair ? static_cast<int>(kPairOutputs / kLanes) : kRegisterVectors;
  const int64_t step = rows <= kRows ? depth : kDepthStep;
  // One row tile: the weights a little further on. Several: each brings its part of the next panel
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

template <int64_t kOutputs, typename Weight>
void ContractPanel(const ContractionJob& job, Panel<Weight> panel, const PanelPlace& place) {
  const PackedContraction& contraction = *job.contraction;
  const int64_t depth = contraction.depth();
  const int64_t row_tiles = RowTileCount(job.row_count());
  alignas(64) float tile[kRowTile * kOutputs];
  for (int64_t i = 0; i < row_tiles; ++i) {
    const RowTile rows = RowTileAt(job.row_count(), i);
    const float* a = job.rows.data + depth * (rows.first * job.rows.blocks.count +
                                              rows.count * (place.block - job.rows.blocks.first));
    if (place.scales == nullptr) {
      LoadTile<kOutputs>(job, place, rows, tile);
    } else {
      std::fill_n(tile, rows.count * kOutputs, 0.0f);
    }
    ContractTileOfRows<kOutputs>(a, rows.count, panel, depth, i, row_tiles, tile);
    if (place.scales != nullptr) ScaleTile<kOutputs>(job, place, rows, tile);
    StoreTile<kOutputs>(job, place, rows, tile);
  }
}

// Narrow weights widen in registers, once for each row tile; from so many row tiles on it is
// faster to widen the panel once to memory.
constexpr int64_t kWidenOnceTiles = 3;

template <typename Weight>
void ContractNarrowPanel(const ContractionJob& job, Panel<Weight> panel, const PanelPlace& place,
                         Scratch& scratch) {
  if (RowTileCount(job.row_count()) < kWidenOnceTiles) {
    return ContractPanel<kPanelOutputs>(job, panel, place);
  }
  const int64_t depth = job.contraction->depth();
  auto* wide = scratch.Get<float>(ScratchUse::kPanel, depth * kPanelOutputs);
  for (int64_t k = 0; k < depth; ++k) {
    for (int64_t n = 0; n < kPanelOutputs; n += kLanes) {
      Store(Widen(panel.weights + k * panel.step + n), wide + k * kPanelOutputs + n);
    }
  }
  ContractPanel<kPanelOutputs>(
      job, Panel<float>{wide, kPanelOutputs, panel.packed, panel.packed_bytes}, place);
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
int64_t ContractInt8(const ContractionJob& job, int64_t index, int64_t last, Scratch& scratch) {
  const PackedContraction& contraction = *job.contraction;
  const PanelLayout layout = contraction.LayoutOf(index);
  const auto panel = PanelOf<int8_t>(contraction, index);
  if constexpr (kPairRows > 0) {
    const PanelRange bundle = contraction.BundleOf(index);
    const bool pair = layout.step == kPairOutputs && bundle.first == index && bundle.last <= last;
    if (pair && job.row_count() <= kPairRows) {
      ContractPanel<kPairOutputs>(job, panel, PlaceOf(job, index, kPairOutputs));
      return index + 2;
    }
  }
  ContractNarrowPanel(job, panel, PlaceOf(job, index, kPanelOutputs), scratch);
  return index + 1;
}

// A quad or a pair of every output of a panel.
constexpr int64_t kNarrowStep = 4 * kPanelOutputs;

// What a part of the rows brings ahead while it is multiplied with a panel of so many steps: few
// rows the weights a little further on, several parts each its share of the next panel.
struct AheadOfPart {
  int64_t first = 0;  // bytes from the panel's begin
  int64_t step = 0;
};
AheadOfPart AheadOf(int64_t part, int64_t parts, int64_t steps) {
  if (parts == 1) return {16384, kNarrowStep};
  return {steps * kNarrowStep + part * steps * (kNarrowStep / parts), kNarrowStep / parts};
}

// Whole numbers times int8 (kernels/cpu/integer.h), in even parts of the rows.
void ContractIntegerPanel(const ContractionJob& job, int64_t index) {
  const PackedContraction& contraction = *job.contraction;
  const PanelPlace place = PlaceOf(job, index, kPanelOutputs);
  const int64_t rows = job.row_count();
  const int64_t most = IntegerRowsAtOnce(job.narrow);
  const int64_t parts = RowTileCount(rows, most);
  const auto* weights =
      contraction.weights.as<const int8_t>() + index * contraction.quads() * kNarrowStep;
  alignas(64) float sums[kRowTile * kPanelOutputs];
  for (int64_t part = 0; part < parts; ++part) {
    const RowTile of_part = RowTileAt(rows, part, most);
    const NarrowRows from = job.narrow.From(of_part.first);
    const AheadOfPart ahead = AheadOf(part, parts, contraction.quads());
    const IntegerTile tile = {.x = from.data + place.block * from.block_stride,
                              .x_stride = from.stride,
                              .units = from.units,
                              .weights = weights,
                              .weight_sums = contraction.weight_sums.data() + index * kPanelOutputs,
                              .quads = contraction.quads(),
                              .ahead = reinterpret_cast<const char*>(weights) + ahead.first,
                              .ahead_step = ahead.step,
                              .many = parts > 1};
    if (from.form == RowForm::kBytes) {
      SumBytes(tile, from.arithmetic, of_part.count, sums);
    } else {
      SumWords(tile, from.arithmetic, of_part.count, sums);
    }
    ScaleTile<kPanelOutputs>(job, place, of_part, sums);
    StoreTile<kPanelOutputs>(job, place, of_part, sums);
  }
}

// From five rows on two parts at least: while the second one runs, from the caches, the next panel
// that both have asked for arrives.
int64_t PairParts(RowForm form, int64_t rows) {
  return std::max<int64_t>(RowTileCount(rows), form == RowForm::kPairs && rows >= 5 ? 2 : 1);
}

// Pairs of bfloat16 (kernels/cpu/bfloat16.h), likewise.
void ContractBfloat16Panel(const ContractionJob& job, int64_t index) {
  const PackedContraction& contraction = *job.contraction;
  const PanelPlace place = PlaceOf(job, index, kPanelOutputs);
  const int64_t rows = job.row_count();
  const bool pairs = job.narrow.form == RowForm::kPairs;
  const int64_t parts = PairParts(job.narrow.form, rows);
  const auto* weights =
      contraction.weights.as<const uint16_t>() + index * contraction.pairs() * 2 * kPanelOutputs;
  alignas(64) float sums[kRowTile * kPanelOutputs];
  for (int64_t part = 0; part < parts; ++part) {
    const RowTile of_part = PartAt(rows, parts, part);
    const NarrowRows from = job.narrow.From(of_part.first);
    const AheadOfPart ahead = AheadOf(part, parts, contraction.pairs());
    const PairTile tile = {
        .x = from.data + place.block * from.block_stride,
        .x_stride = from.stride,
        .weights = weights,
        .pairs = contraction.pairs(),
        .start = contraction.combine == Combine::kAssign ? Start::kZeros : Start::kSums,
        .ahead = reinterpret_cast<const char*>(weights) + ahead.first,
        .ahead_step = ahead.step,
        .many = parts > 1};
    if (!pairs || contraction.combine == Combine::kAccumulate) {
      LoadTile<kPanelOutputs>(job, place, of_part, sums);
    }
    if (pairs) {
      AddPairs(tile, of_part.count, sums);
    } else {
      AddFloatPairs(tile, of_part.count, sums);
    }
    StoreTile<kPanelOutputs>(job, place, of_part, sums);
  }
}

}  // namespace

void ContractPanelsOnTarget(const ContractionJob& job, PanelRange panels, Scratch& scratch) {
  const PackedContraction& contraction = *job.contraction;
  if (!contraction.is_exact()) {
    for (int64_t i = panels.first; i < panels.last; ++i) {
      contraction.is_integer() ? ContractIntegerPanel(job, i) : ContractBfloat16Panel(job, i);
    }
    return;
  }
  if (contraction.type == Element::kInt8) {
    for (int64_t i = panels.first; i < panels.last;) i = ContractInt8(job, i, panels.last, scratch);
    return;
  }
  for (int64_t index = panels.first; index < panels.last; ++index) {
    const PanelPlace place = PlaceOf(job, index, kPanelOutputs);
    switch (contraction.type) {
      case Element::kFloat32:
        ContractPanel<kPanelOutputs>(job, PanelOf<float>(contraction, index), place);
        break;
      case Element::kBfloat16:
        ContractNarrowPanel(job, PanelOf<hwy::bfloat16_t>(contraction, index), place, scratch);
        break;
      case Element::kFloat16:
        ContractNarrowPanel(job, PanelOf<hwy::float16_t>(contraction, index), place, scratch);
        break;
      case Element::kInt8:
        break;
    }
  }
}

void FinishRowsOnTarget(const FinishJob& job, RowTile rows) {
  const int64_t whole = job.features / kLanes * kLanes;
  const int64_t rest = job.features - whole;
  const ConstRows& residual = job.epilogue.residual;
  const Activation activation = job.epilogue.activation;
  for (int64_t t = rows.first; t < rows.first + rows.count; ++t) {
    const float* sum = job.sum.data + t * job.sum.stride;
    const float* added = residual.data == nullptr ? nullptr : residual.data + t * residual.stride;
    float* y = job.y.data + t * job.y.stride;
    Finish(activation, sum, job.bias, added, whole, y);
    if (rest == 0) continue;
    // The last, partial vector goes through padded copies.
    float parts[3][kLanes] = {};
    std::copy_n(sum + whole, rest, parts[0]);
    if (job.bias != nullptr) std::copy_n(job.bias + whole, rest, parts[1]);
    if (added != nullptr) std::copy_n(added + whole, rest, parts[2]);
    float result[kLanes];
    Finish(activation, parts[0], job.bias == nullptr ? nullptr : parts[1],
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

void ContractPanels(const ContractionJob& job, PanelRange panels, Scratch& scratch) {
  HWY_DYNAMIC_DISPATCH(ContractPanelsOnTarget)(job, panels, scratch);
}

void FinishRows(const FinishJob& job, RowTile rows) {
  HWY_DYNAMIC_DISPATCH(FinishRowsOnTarget)(job, rows);
}

}  // namespace dyad::kernels
#endif  // HWY_ONCE
