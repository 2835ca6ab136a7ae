// PackedLinear: packs a plan and runs it over rows: in chunks, on a pool, each output on one
// thread.
#include "kernels/linear.h"

#include <algorithm>
#include <array>
#include <span>

#include "kernels/cpu/packed_linear.h"

namespace dyad::kernels {
namespace {

// Rows packed at once; bounds the scratch and keeps packed rows within the last cache.
constexpr int64_t kChunkRows = 256;
// Below this many multiply-adds the calling thread is done before another has woken up.
constexpr int64_t kWorthSharing = 1 << 17;
constexpr int64_t kWorthSharingRows = 1 << 14;  // floats to pack

ConstRows RowsFrom(ConstRows rows, int64_t first) {
  if (rows.data != nullptr) rows.data += first * rows.stride;
  return rows;
}
Rows RowsFrom(Rows rows, int64_t first) { return {rows.data + first * rows.stride, rows.stride}; }

// Packs all rows of x for `blocks`, on one thread.
PackedRows PackRows(const PackedContraction& contraction, BlockRange blocks, int64_t tokens,
                    ConstRows x, Scratch& scratch) {
  auto* packed = scratch.Get<float>(ScratchUse::kRows, tokens * blocks.count * contraction.depth());
  for (int64_t i = 0; i < RowBlockCount(tokens); ++i)
    PackRowBlock(contraction, blocks, x, RowBlockAt(tokens, i), packed);
  return {packed, blocks};
}

// The same for all blocks, on the pool if it pays.
PackedRows PackAllRows(const PackedContraction& contraction, int64_t tokens, ConstRows x,
                       Workspace& workspace) {
  const BlockRange blocks = contraction.all_blocks();
  const int64_t floats = tokens * blocks.count * contraction.depth();
  if (floats < kWorthSharingRows)
    return PackRows(contraction, blocks, tokens, x, workspace.scratch);
  auto* packed = workspace.scratch.Get<float>(ScratchUse::kRows, floats);
  const int64_t pieces = RowPieces(contraction, blocks);
  workspace.pool.Run(RowBlockCount(tokens) * pieces, [&](int64_t task) {
    PackRowPiece(contraction, blocks, x, RowBlockAt(tokens, task / pieces), task % pieces, packed);
  });
  return {packed, blocks};
}

// The blocks that are packed together with this one.
BlockRange BlocksAround(const PackedContraction& contraction, int64_t block) {
  const int64_t together = contraction.blocks_together();
  return {block / together * together, together};
}

int64_t PanelCount(std::span<const ContractionCall> calls) {
  int64_t panels = 0;
  for (const ContractionCall& call : calls) panels += call.contraction->all_panels().last;
  return panels;
}

int64_t GroupCount(std::span<const ContractionCall> calls) {
  int64_t groups = 0;
  for (const ContractionCall& call : calls) groups += call.contraction->groups();
  return groups;
}

// Whether each thread packs the rows that it needs: then nothing that was packed goes from one
// core's cache to another's, which may take longer than packing. If the threads are so many that
// each would pack almost as much as it multiplies, they share the work.
bool PacksByThread(std::span<const ContractionCall> calls, int threads) {
  constexpr int64_t kLeastProducts = 64;  // for each float that is packed
  const PackedContraction& front = *calls.front().contraction;
  const int64_t together = front.blocks_together();
  const int64_t groups = front.blocks / together;
  const int64_t packed = (groups + threads - 1) / threads * together * front.depth();
  const int64_t products = PanelCount(calls) * kPanelOutputs * front.depth() / threads;
  return products >= kLeastProducts * packed;
}

void ContractWith(ContractionCall call, PackedRows rows, PanelRange panels, Scratch& scratch) {
  call.rows = rows;
  ContractPanels(call, panels, scratch);
}

// Calls as yet without rows: those of x serve all of them. REQUIRES: they are packed alike.
void RunContractions(std::span<const ContractionCall> calls, ConstRows x, Workspace& workspace) {
  ThreadPool& pool = workspace.pool;
  const PackedContraction& front = *calls.front().contraction;
  const int64_t tokens = calls.front().tokens;
  const int64_t work = tokens * PanelCount(calls) * kPanelOutputs * front.depth();
  if (work < kWorthSharing || pool.threads() == 1) {
    const PackedRows rows = PackRows(front, front.all_blocks(), tokens, x, workspace.scratch);
    for (const ContractionCall& call : calls)
      ContractWith(call, rows, call.contraction->all_panels(), workspace.scratch);
    return;
  }
  // Threads take groups of panels, counted through all calls.
  const auto run_groups = [&](const auto& rows_for) {
    pool.Run(GroupCount(calls), [&](int64_t group, Worker& worker) {
      auto call = calls.begin();
      for (; group >= call->contraction->groups(); ++call) group -= call->contraction->groups();
      const PanelRange panels = call->contraction->GroupAt(group);
      ContractWith(*call, rows_for(panels.first / call->contraction->panels(), worker), panels,
                   worker.scratch);
    });
  };
  if (!PacksByThread(calls, pool.threads())) {
    const PackedRows rows = PackAllRows(front, tokens, x, workspace);
    return run_groups([&](int64_t, Worker&) { return rows; });
  }
  // What each worker has packed last: the rows for the blocks around some block.
  auto* packed = workspace.scratch.Get<PackedRows>(ScratchUse::kTasks, pool.threads());
  std::fill_n(packed, pool.threads(), PackedRows());
  run_groups([&](int64_t block, Worker& worker) {
    const BlockRange blocks = BlocksAround(front, block);
    PackedRows& rows = packed[worker.index];
    if (rows.data == nullptr || rows.blocks.first != blocks.first) {
      rows = PackRows(front, blocks, tokens, x, worker.scratch);
    }
    return rows;
  });
}

// Whether one packing of x serves all these layers.
bool ShareRows(std::span<const LinearOutput> outputs) {
  const PackedContraction& front = outputs.front().layer->impl().contraction();
  return std::all_of(outputs.begin(), outputs.end(), [&](const LinearOutput& output) {
    const PackedContraction& other = output.layer->impl().contraction();
    return output.layer->impl().fused() && other.blocks == front.blocks &&
           other.term_depth == front.term_depth && other.sources == front.sources;
  });
}

}  // namespace

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
                               Workspace& workspace) const {
  for (int64_t first = 0; first < tokens; first += kChunkRows) {
    const int64_t count = std::min(kChunkRows, tokens - first);
    const Epilogue rest = {epilogue.activation, RowsFrom(epilogue.residual, first)};
    if (fused_) {
      const ContractionCall call = FusedCall(count, RowsFrom(y, first), rest);
      RunContractions({&call, 1}, RowsFrom(x, first), workspace);
    } else {
      ApplyInSteps(count, RowsFrom(x, first), RowsFrom(y, first), rest, workspace);
    }
  }
}

ContractionCall PackedLinear::Impl::FusedCall(int64_t tokens, Rows y,
                                              const Epilogue& epilogue) const {
  return {.contraction = &contraction(),
          .rows = {},
          .tokens = tokens,
          .y = y,
          .outputs = contraction().outputs,
          .bias = panel_bias(),
          .epilogue = epilogue};
}

// Sums gather in scratch, because y may hold the residual until the end.
void PackedLinear::Impl::ApplyInSteps(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
                                      Workspace& workspace) const {
  const Rows sums = {workspace.scratch.Get<float>(ScratchUse::kSums, tokens * out_features),
                     out_features};
  for (const PackedContraction& contraction : contractions_) {
    const ContractionCall call = {.contraction = &contraction,
                                  .rows = {},
                                  .tokens = tokens,
                                  .y = sums,
                                  .outputs = contraction.outputs,
                                  .bias = nullptr,
                                  .epilogue = {}};
    RunContractions({&call, 1}, x, workspace);
  }
  const FinishCall call = {.sum = {sums.data, sums.stride},
                           .y = y,
                           .features = out_features,
                           .bias = bias_.empty() ? nullptr : bias_.data(),
                           .epilogue = epilogue};
  workspace.pool.Run(RowBlockCount(tokens),
                     [&](int64_t i) { FinishRows(call, RowBlockAt(tokens, i)); });
}

PackedLinear::PackedLinear(const LinearSpec& spec, ThreadPool* pool)
    : impl_(std::make_unique<Impl>(spec, pool)) {}
PackedLinear::~PackedLinear() = default;
PackedLinear::PackedLinear(PackedLinear&&) noexcept = default;
PackedLinear& PackedLinear::operator=(PackedLinear&&) noexcept = default;

void PackedLinear::Apply(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
                         Workspace& workspace) const {
  impl_->Apply(tokens, x, y, epilogue, workspace);
}

void ApplyTogether(int64_t tokens, ConstRows x, std::span<const LinearOutput> outputs,
                   Workspace& workspace) {
  if (!ShareRows(outputs)) {
    for (const auto& [layer, y] : outputs) layer->Apply(tokens, x, y, {}, workspace);
    return;
  }
  std::array<ContractionCall, kMostTogether> calls;
  for (int64_t first = 0; first < tokens; first += kChunkRows) {
    const int64_t count = std::min(kChunkRows, tokens - first);
    for (size_t i = 0; i < outputs.size(); ++i) {
      const auto& [layer, y] = outputs[i];
      calls[i] = layer->impl().FusedCall(count, RowsFrom(y, first), {});
    }
    RunContractions({calls.data(), outputs.size()}, RowsFrom(x, first), workspace);
  }
}

int64_t PackedLinear::in_features() const { return impl_->in_features; }
int64_t PackedLinear::out_features() const { return impl_->out_features; }
int64_t PackedLinear::weight_bytes() const { return impl_->weight_bytes; }
int64_t PackedLinear::multiply_adds() const { return impl_->multiply_adds; }

}  // namespace dyad::kernels
