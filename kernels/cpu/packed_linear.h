// A packed layer as the kernels of this folder see it; others use kernels/linear.h.
#pragma once

#include <vector>

#include "kernels/cpu/contraction.h"
#include "kernels/linear.h"

namespace dyad::kernels {

class PackedLinear::Impl {
 public:
  Impl(const Plan& plan, ThreadPool* pool);

  void Apply(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
             Workspace& workspace) const;

  // Whether the plan is one step that writes all of y at once. Of such a layer: its contraction,
  // its bias in panel order (null: none), and its job for rows that are packed later.
  bool one_step() const { return steps_.size() == 1 && fused_; }
  const PackedContraction& contraction() const { return steps_.front().contraction; }
  const float* panel_bias() const { return panel_bias_.empty() ? nullptr : panel_bias_.data(); }
  ContractionJob OneStepJob(int64_t tokens, Rows y, const Epilogue& epilogue) const;

  int64_t in_features = 0;
  int64_t out_features = 0;
  int64_t weight_bytes = 0;
  int64_t multiply_adds = 0;

 private:
  struct PackedStep {
    PackedContraction contraction;
    size_t source = 0;  // buffers of the plan
    size_t destination = 0;
  };
  // A buffer that the device keeps in scratch: all but x, and y where the last step is not fused.
  struct Buffer {
    int64_t width = 0;    // 0: not in scratch
    bool zeroed = false;  // before the first step, because not every feature is assigned
  };

  void PlanBuffers(const Plan& plan);
  void RunSteps(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
                Workspace& workspace) const;

  std::vector<PackedStep> steps_;
  std::vector<Buffer> buffers_;
  int64_t scratch_floats_ = 0;  // for a token
  int64_t chunk_tokens_ = 0;    // that run at once
  // The last step alone writes y, and all of it: the epilogue follows while a tile is in the cache.
  bool fused_ = false;
  std::vector<float> panel_bias_;  // the last step's with the plan's, if fused
  std::vector<float> bias_;        // the plan's, if not, by feature
};

}  // namespace dyad::kernels
