// The end of a panel: what its sums are added to, where they go, and the epilogue. Compiled once
// per target.
#include "kernels/cpu/math-inl.h"

#if defined(DYAD_KERNELS_CPU_PANEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DYAD_KERNELS_CPU_PANEL_INL_H_
#undef DYAD_KERNELS_CPU_PANEL_INL_H_
#else
#define DYAD_KERNELS_CPU_PANEL_INL_H_
#endif

#include <algorithm>

#include "kernels/cpu/operands.h"
#include "kernels/cpu/square.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {

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

inline void Finish(Activation activation, const float* sum, const float* bias,
                   const float* residual, int64_t count, float* y) {
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

// Where the outputs of one panel lie in a row of y: `count` of them are kept.
struct PanelColumns {
  int64_t first = 0;
  int64_t stride = 1;
  int64_t count = 0;
};

// What a panel, or a pair of them, is multiplied with and where its outputs go.
struct PanelPlace {
  int64_t block = 0;
  int64_t first_output = 0;
  int64_t outputs = 0;            // what the block has of the panel's
  PanelColumns columns;           // of the first row group
  const float* bias = nullptr;    // one for each output; null: none
  const float* scales = nullptr;  // one for each output; null: the weights are no int8
};

inline PanelColumns ColumnsOf(const ContractionJob& job, const PanelPlace& place, int64_t group) {
  const View& view = job.contraction->destination;
  const int64_t first = view.At(place.block, group, place.first_output);
  const int64_t left = job.contraction->destination_width - first;
  int64_t count = left > 0 ? place.outputs : 0;
  if (view.stride > 0)
    count = std::clamp<int64_t>((left + view.stride - 1) / view.stride, 0, count);
  return {first - job.first_feature, view.stride, count};
}

// What the sums are added to: y when accumulating, else 0.
template <int64_t kOutputs>
void LoadTile(const ContractionJob& job, const PanelPlace& place, RowTile rows, float* tile) {
  std::fill_n(tile, rows.count * kOutputs, 0.0f);
  if (job.contraction->combine == Combine::kAssign || job.weights != nullptr) return;
  const int64_t groups = job.contraction->groups;
  PanelColumns columns = place.columns;
  for (int64_t r = 0; r < rows.count; ++r) {
    int64_t token = rows.first + r;
    if (groups > 1) {
      columns = ColumnsOf(job, place, token % groups);
      token /= groups;
    }
    const float* y = job.y.data + job.RowOf(token) * job.y.stride + columns.first;
    for (int64_t n = 0; n < columns.count; ++n) tile[r * kOutputs + n] = y[n * columns.stride];
  }
}

// result = weight · (sum + bias) + y, a whole number of vectors. result may be y.
template <int64_t kOutputs>
void AddScaledVectors(const float* sum, const float* bias, float weight, const float* y,
                      float* result) {
  for (int64_t n = 0; n < kOutputs; n += kLanes) {
    Vec value = Load(sum + n);
    if (bias != nullptr) value = hn::Add(value, Load(bias + n));
    Store(Fma(Set(weight), value, Load(y + n)), result + n);
  }
}

// y = weight · (sum + bias) + y.
template <int64_t kOutputs>
void AddScaled(const float* sum, const float* bias, float weight, const PanelColumns& columns,
               float* y) {
  if (columns.count == kOutputs && columns.stride == 1) {
    return AddScaledVectors<kOutputs>(sum, bias, weight, y, y);
  }
  alignas(64) float result[kOutputs] = {};
  for (int64_t n = 0; n < columns.count; ++n) result[n] = y[n * columns.stride];
  AddScaledVectors<kOutputs>(sum, bias, weight, result, result);
  for (int64_t n = 0; n < columns.count; ++n) y[n * columns.stride] = result[n];
}

// Sums, + bias, of row groups that lie side by side at the destination: four outputs of four rows
// at once. REQUIRES: no epilogue, no weights.
template <int64_t kOutputs>
void StoreGroups(const ContractionJob& job, const PanelPlace& place, RowTile rows,
                 const float* tile) {
  const int64_t groups = job.contraction->groups, stride = job.contraction->destination.stride;
  for (int64_t r = 0; r < rows.count;) {
    const int64_t token = (rows.first + r) / groups, group = (rows.first + r) % groups;
    const int64_t run = std::min(groups - group, rows.count - r);
    // Of the last row of the run, which has the fewest.
    const int64_t whole = ColumnsOf(job, place, group + run - 1).count / kSquare * kSquare;
    float* y = job.y.data + job.RowOf(token) * job.y.stride + ColumnsOf(job, place, group).first;
    const EvenRows sums = {tile + r * kOutputs, kOutputs};
    const int64_t squares = run >= kSquare ? whole : 0;
    for (int64_t n = 0; n < squares; n += kSquare) {
      for (int64_t i = 0; i < run; i += kSquare) {
        const int64_t row = std::min(i, run - kSquare);  // the last ones overlap
        const Square square = TransposeSquare(sums, row, n);
        for (int64_t j = 0; j < kSquare; ++j) {
          const Four value = square.columns[j];
          StoreFour(place.bias == nullptr ? value : value + place.bias[n + j],
                    y + (n + j) * stride + row);
        }
      }
    }
    for (int64_t row = 0; row < run; ++row) {
      const int64_t count = ColumnsOf(job, place, group + row).count;
      for (int64_t n = squares; n < count; ++n) {
        const float sum = sums[row][n];
        y[n * stride + row] = place.bias == nullptr ? sum : sum + place.bias[n];
      }
    }
    r += run;
  }
}

template <int64_t kOutputs>
void StoreTile(const ContractionJob& job, const PanelPlace& place, RowTile rows,
               const float* tile) {
  const ConstRows& residual = job.epilogue.residual;
  const int64_t groups = job.contraction->groups;
  if (groups > 1 && job.contraction->destination.group == 1 && job.weights == nullptr &&
      residual.data == nullptr && job.epilogue.activation == Activation::kNone) {
    return StoreGroups<kOutputs>(job, place, rows, tile);
  }
  PanelColumns columns = place.columns;
  bool direct = columns.count == kOutputs && columns.stride == 1;
  for (int64_t r = 0; r < rows.count; ++r, tile += kOutputs) {
    int64_t token = rows.first + r;
    if (groups > 1) {
      columns = ColumnsOf(job, place, token % groups);
      direct = columns.count == kOutputs && columns.stride == 1;
      token /= groups;
    }
    float* y = job.y.data + job.RowOf(token) * job.y.stride + columns.first;
    if (job.weights != nullptr) {
      AddScaled<kOutputs>(tile, place.bias, job.weights[token], columns, y);
      continue;
    }
    const float* added = residual.data == nullptr
                             ? nullptr
                             : residual.data + token * residual.stride + columns.first;
    if (direct) {
      Finish(job.epilogue.activation, tile, place.bias, added, kOutputs, y);
      continue;
    }
    float result[kOutputs], gathered[kOutputs] = {};
    if (added != nullptr) {
      for (int64_t n = 0; n < columns.count; ++n) gathered[n] = added[n * columns.stride];
    }
    Finish(job.epilogue.activation, tile, place.bias, added == nullptr ? nullptr : gathered,
           kOutputs, result);
    for (int64_t n = 0; n < columns.count; ++n) y[n * columns.stride] = result[n];
  }
}

// tile = tile · scale + what the sums are added to.
template <int64_t kOutputs>
void ScaleTile(const ContractionJob& job, const PanelPlace& place, RowTile rows, float* tile) {
  alignas(64) float start[kRowTile * kOutputs];
  LoadTile<kOutputs>(job, place, rows, start);
  for (int64_t i = 0; i < rows.count * kOutputs; i += kLanes) {
    Store(Fma(Load(tile + i), Load(place.scales + i % kOutputs), Load(start + i)), tile + i);
  }
}

// Of panel `index` and, where `outputs` are a pair's, the one after it.
inline PanelPlace PlaceOf(const ContractionJob& job, int64_t index, int64_t outputs) {
  const PackedContraction& contraction = *job.contraction;
  const int64_t first_output = index % contraction.panels() * kPanelOutputs;
  const float* scales = contraction.scales.empty() ? nullptr : contraction.scales.data();
  PanelPlace place = {.block = index / contraction.panels(),
                      .first_output = first_output,
                      .outputs = std::min(outputs, contraction.outputs - first_output),
                      .columns = {},
                      .bias = job.bias == nullptr ? nullptr : job.bias + index * kPanelOutputs,
                      .scales = scales == nullptr ? nullptr : scales + index * kPanelOutputs};
  place.columns = ColumnsOf(job, place, 0);
  return place;
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DYAD_KERNELS_CPU_PANEL_INL_H_
