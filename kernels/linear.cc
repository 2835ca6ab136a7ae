// PackedLinear: packs a plan and runs it over rows: in chunks, on a pool, each output on one
// thread.
#include "kernels/linear.h"

#include <algorithm>

#include "kernels/cpu/packed_linear.h"

namespace dyad::kernels {
namespace {

// Rows packed at once; bounds the scratch and keeps packed rows within the last cache.
constexpr int64_t kChunkRows = 512;
// Below this many multiply-adds the calling thread is done before another has woken up.
constexpr int64_t kWorthSharing = 1 << 17;
constexpr int64_t kWorthSharingRows = 1 << 14;  // floats to pack

float* FloatScratch(ScratchUse use, int64_t floats) {
  return reinterpret_cast<float*>(ThreadScratch(use, floats * static_cast<int64_t>(sizeof(float))));
}

ConstRows RowsFrom(ConstRows rows, int64_t first) {
  if (rows.data != nullptr) rows.data += first * rows.stride;
  return rows;
}
Rows RowsFrom(Rows rows, int64_t first) { return {rows.data + first * rows.stride, rows.stride}; }

void RunContraction(const ContractionCall& call, ThreadPool& pool) {
  const PackedContraction& contraction = *call.contraction;
  const int64_t panels = contraction.blocks * contraction.panels();
  const int64_t work = call.tokens * panels * kPanelOutputs * contraction.depth();
  if (work < kWorthSharing || pool.threads() == 1) return ContractPanels(call, {0, panels});
  pool.Run(contraction.groups(),
           [&](int64_t group) { ContractPanels(call, contraction.GroupAt(group)); });
}

}  // namespace

const float* PackRows(const PackedContraction& contraction, int64_t tokens, ConstRows x,
                      ThreadPool* pool) {
  const int64_t floats = tokens * contraction.packed_row_floats();
  float* packed = FloatScratch(ScratchUse::kRows, floats);
  const int64_t blocks = RowBlockCount(tokens);
  if (pool == nullptr || floats < kWorthSharingRows) {
    for (int64_t i = 0; i < blocks; ++i)
      PackRowBlock(contraction, x, RowBlockAt(tokens, i), packed);
  } else {
    const int64_t pieces = RowPieces(contraction);
    pool->Run(blocks * pieces, [&](int64_t task) {
      PackRowPiece(contraction, x, RowBlockAt(tokens, task / pieces), task % pieces, packed);
    });
  }
  return packed;
}

PackedLinear::Impl::Impl(const LinearSpec& spec, ThreadPool* pool)
    : in_features(spec.in_features), out_features(spec.out_features) {
  for (const Contraction& contraction : spec.contractions) {
    contractions_.push_back(PackWeights(contraction, spec.type, spec.source_type(), pool));
    weight_bytes += contractions_.back().weight_bytes();
    multiply_adds += contraction.blocks * contraction.outputs * contraction.depth *
                     static_cast<int64_t>(contraction.terms.size());
  }
  const PackedContraction& front = contraction();
  fused_ = contractions_.size() == 1 && front.blocks * front.outputs == out_features;
  if (spec.bias.empty()) return;
  if (fused_) {
    panel_bias_ = PackBias(front, spec.bias);
  } else {
    bias_.assign(spec.bias.begin(), spec.bias.end());
  }
}

void PackedLinear::Impl::Apply(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
                               ThreadPool& pool) const {
  for (int64_t first = 0; first < tokens; first += kChunkRows) {
    const int64_t count = std::min(kChunkRows, tokens - first);
    const Epilogue rest = {epilogue.activation, RowsFrom(epilogue.residual, first)};
    if (fused_) {
      ApplyFused(count, RowsFrom(x, first), RowsFrom(y, first), rest, pool);
    } else {
      ApplyInSteps(count, RowsFrom(x, first), RowsFrom(y, first), rest, pool);
    }
  }
}

void PackedLinear::Impl::ApplyFused(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
                                    ThreadPool& pool) const {
  RunContraction({.contraction = &contraction(),
                  .packed_rows = PackRows(contraction(), tokens, x, &pool),
                  .tokens = tokens,
                  .y = y,
                  .outputs = contraction().outputs,
                  .bias = panel_bias(),
                  .epilogue = epilogue},
                 pool);
}

// Sums gather in scratch, because y may hold the residual until the end.
void PackedLinear::Impl::ApplyInSteps(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
                                      ThreadPool& pool) const {
  const Rows sums = {FloatScratch(ScratchUse::kSums, tokens * out_features), out_features};
  for (const PackedContraction& contraction : contractions_) {
    RunContraction({.contraction = &contraction,
                    .packed_rows = PackRows(contraction, tokens, x, &pool),
                    .tokens = tokens,
                    .y = sums,
                    .outputs = contraction.outputs,
                    .bias = nullptr,
                    .epilogue = {}},
                   pool);
  }
  const FinishCall call = {.sum = {sums.data, sums.stride},
                           .y = y,
                           .features = out_features,
                           .bias = bias_.empty() ? nullptr : bias_.data(),
                           .epilogue = epilogue};
  pool.Run(RowBlockCount(tokens), [&](int64_t i) { FinishRows(call, RowBlockAt(tokens, i)); });
}

void PackedLinear::Impl::ApplyRange(int64_t tokens, ConstRows x, int64_t first, int64_t count,
                                    Rows y) const {
  const PanelRange panels = {first / kPanelOutputs,
                             (first + count + kPanelOutputs - 1) / kPanelOutputs};
  for (int64_t row = 0; row < tokens; row += kChunkRows) {
    const int64_t rows = std::min(kChunkRows, tokens - row);
    ContractPanels({.contraction = &contraction(),
                    .packed_rows = PackRows(contraction(), rows, RowsFrom(x, row), nullptr),
                    .tokens = rows,
                    .y = RowsFrom(y, row),
                    .first_feature = first,
                    .outputs = first + count,
                    .bias = panel_bias(),
                    .epilogue = {}},
                   panels);
  }
}

PackedLinear::PackedLinear(const LinearSpec& spec, ThreadPool* pool)
    : impl_(std::make_unique<Impl>(spec, pool)) {}
PackedLinear::~PackedLinear() = default;
PackedLinear::PackedLinear(PackedLinear&&) noexcept = default;
PackedLinear& PackedLinear::operator=(PackedLinear&&) noexcept = default;

void PackedLinear::Apply(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
                         ThreadPool& pool) const {
  impl_->Apply(tokens, x, y, epilogue, pool);
}

void PackedLinear::ApplyRange(int64_t tokens, ConstRows x, int64_t first, int64_t count,
                              Rows y) const {
  impl_->ApplyRange(tokens, x, first, count, y);
}

int64_t PackedLinear::in_features() const { return impl_->in_features; }
int64_t PackedLinear::out_features() const { return impl_->out_features; }
int64_t PackedLinear::weight_bytes() const { return impl_->weight_bytes; }
int64_t PackedLinear::multiply_adds() const { return impl_->multiply_adds; }

}  // namespace dyad::kernels
