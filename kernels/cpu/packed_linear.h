// A packed layer as the kernels of this folder see it; others use kernels/linear.h.
#pragma once

#include <vector>

#include "kernels/cpu/contraction.h"
#include "kernels/linear.h"

namespace dyad::kernels {

class PackedLinear::Impl {
 public:
  Impl(const LinearSpec& spec, ThreadPool* pool);

  void Apply(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
             Workspace& workspace) const;

  // The contraction of a fused layer: it has just one, which covers every output. And its bias in
  // panel order, and the call for rows that are packed later.
  const PackedContraction& contraction() const { return contractions_.front(); }
  bool fused() const { return fused_; }
  const float* panel_bias() const { return panel_bias_.empty() ? nullptr : panel_bias_.data(); }
  ContractionCall FusedCall(int64_t tokens, Rows y, const Epilogue& epilogue) const;

  int64_t in_features = 0;
  int64_t out_features = 0;
  int64_t weight_bytes = 0;
  int64_t multiply_adds = 0;

 private:
  void ApplyInSteps(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
                    Workspace& workspace) const;

  std::vector<PackedContraction> contractions_;
  bool fused_ = false;             // one contraction writes every output, epilogue included
  std::vector<float> panel_bias_;  // of a fused layer
  std::vector<float> bias_;        // of another, by feature
};

}  // namespace dyad::kernels
