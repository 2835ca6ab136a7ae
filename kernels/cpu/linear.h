// Linear layers: a plan (kernels/plan.h) packed for the processor, and run over rows.
//
// Bits are the plan's, followed by the activation and + residual. They are the same for every
// number of rows, every thread count and every instruction set.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/cpu/batch.h"
#include "kernels/cpu/block_list.h"
#include "kernels/cpu/contraction.h"
#include "kernels/cpu/even_parts.h"
#include "kernels/cpu/mix.h"
#include "kernels/cpu/routed.h"
#include "kernels/cpu/stages.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/epilogue.h"
#include "kernels/isa.h"
#include "kernels/plan.h"

namespace dyad::kernels {

// Weights packed for the micro-kernels; owns its memory, keeps nothing of the plan. Immutable.
class PackedLinear {
 public:
  // Packs on `pool`, or on the calling thread. Cost: one pass over the weights.
  // REQUIRES: Check(plan) finds no fault; weights have data.
  // Of the arithmetics, exact and the integer ones.
  explicit PackedLinear(const Plan& plan, ThreadPool* pool = nullptr,
                        Arithmetic arithmetic = Arithmetic::kExact);

  // y[t, :] = activation(x[t, :] Wᵀ + bias) + residual[t, :]
  // Shapes: x [tokens, in_features], y [tokens, out_features]; they do not overlap (the residual
  // may be y). Allocates nothing in steady state.
  void Apply(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
             Workspace& workspace) const;

  int64_t in_features() const { return in_features_; }
  int64_t out_features() const { return out_features_; }
  int64_t weight_bytes() const { return weight_bytes_; }    // packed, padding and scales included
  int64_t multiply_adds() const { return multiply_adds_; }  // per token

  // Whether the plan is one step that writes all of y at once. Of such a layer: its contraction,
  // its bias in panel order (null: none), and its job for rows that are packed later.
  bool one_step() const { return steps_.size() == 1 && fused_; }
  const PackedContraction& contraction() const {
    return std::get<PackedContraction>(steps_.front().work);
  }
  const float* panel_bias() const { return panel_bias_.empty() ? nullptr : panel_bias_.data(); }
  ContractionJob OneStepJob(int64_t tokens, Rows y, const Epilogue& epilogue) const;

 private:
  struct PackedRoute {
    Route route;
    int64_t items = 0;
  };
  struct PackedStep {
    std::variant<PackedContraction, PackedRouted, PackedMix, PackedBlockList, PackedRoute> work;
    size_t source = 0;  // buffers of the plan
    size_t destination = 0;
    bool mixed_by_next = false;  // a mix that the next step does while it packs its rows
  };
  // What a run works with besides x and y.
  struct Run {
    int64_t tokens = 0;
    ConstRows x;
    Rows* rows = nullptr;       // of the buffers in scratch
    ItemRows* items = nullptr;  // by step
    std::byte* item_memory = nullptr;
    RowSource mixed = {};      // the last mix
    ContractionJob last = {};  // the last step's, if fused
  };
  // A buffer that the device keeps in scratch: all but x, and y where the last step is not fused.
  struct Buffer {
    int64_t width = 0;    // 0: not in scratch
    bool zeroed = false;  // before the first step, because not every feature is assigned
  };

  void PackStep(const Step& step, const Plan& plan, Arithmetic arithmetic, ThreadPool* pool);
  void PlanBuffers(const Plan& plan);
  void FuseMixes();
  int64_t ChunkTokens(int64_t groups) const;  // groups: the most of a step
  // Into how many tiles of tokens a run is cut, and whether threads take a tile each.
  struct Tiles {
    int64_t count = 0;
    bool shared = false;
  };
  Tiles TilesOf(int64_t tokens, int threads) const;
  // `x`, `y` and the residual are those of the whole run.
  void RunTile(Part tokens, ConstRows x, Rows y, const Epilogue& epilogue,
               Workspace& workspace) const;
  void RunStep(size_t index, Run& run, Workspace& workspace) const;
  void RunRoutedSteps(const Stage& stage, const Run& run, Workspace& workspace) const;
  void RunSteps(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
                Workspace& workspace) const;

  int64_t in_features_ = 0;
  int64_t out_features_ = 0;
  int64_t weight_bytes_ = 0;
  int64_t multiply_adds_ = 0;
  std::vector<Stage> stages_;
  std::vector<PackedStep> steps_;
  std::vector<Buffer> buffers_;
  int64_t scratch_floats_ = 0;       // for a token
  int64_t item_bytes_ = 0;           // at most, for a token: who chose which items
  int64_t chunk_tokens_ = 0;         // that run at once, at most
  int64_t shared_tokens_ = 0;        // the least for each thread, if threads take tiles
  bool blocks_share_lines_ = false;  // of y, because its outputs are strided
  // The last step alone writes y, and all of it: the epilogue follows while a tile is in the cache.
  bool fused_ = false;
  std::vector<float> panel_bias_;  // the last step's with the plan's, if fused
  std::vector<float> bias_;        // the plan's, if not, by feature
};

// One of several layers that read the same rows.
struct LinearOutput {
  const PackedLinear* layer = nullptr;
  Rows y;
};

// y_i[t, :] = x[t, :] W_iᵀ + bias_i for 1 to kMostTogether layers of equal in_features. Same bits
// as one layer after the other; rows are packed once and threads woken once, where every plan is
// one step that writes all of y, and their steps read x alike.
void ApplyTogether(int64_t tokens, ConstRows x, std::span<const LinearOutput> outputs,
                   Workspace& workspace);

}  // namespace dyad::kernels
