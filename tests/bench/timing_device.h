// A device with a stopwatch: where the time of a step goes.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <iterator>

#include "tests/support/forwarding_device.h"

namespace dyad::bench {

enum class StepPart { kEmbedding, kNorm, kProjections, kAttention, kFeedForward, kHead };
inline constexpr const char* kPartNames[] = {"embedding", "norm",         "projections",
                                             "attention", "feed_forward", "head"};
inline constexpr size_t kStepParts = std::size(kPartNames);
using StepTimes = std::array<double, kStepParts>;  // seconds

// Cost: about 30 ns an operator. Layers are told by their order, which both networks share: after
// an attention come its output projection, the two of the feed-forward layer, and the projections
// of the next attention.
class TimingDevice final : public kernels::ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;

  void Begin(const kernels::StepInput& input) override;
  void Embed(const kernels::Table& table, kernels::IndexedBy index, int64_t offset,
             kernels::Lookup lookup, kernels::Matrix y) override;
  void Normalize(const kernels::Norm& norm, kernels::Matrix x, kernels::Matrix y) override;
  void Apply(kernels::Matrix x, std::initializer_list<kernels::LayerOutput> outputs,
             const kernels::Finishing& finishing) override;
  void Attend(int64_t layer, const kernels::Qkv& qkv, kernels::Matrix out) override;
  void Finish(const kernels::Layer& head, kernels::Matrix hidden, kernels::Matrix logits) override;
  kernels::StepOutput End() override;

  // Of the last step.
  const StepTimes& times() const { return times_; }

 private:
  void Mark(StepPart part);

  StepTimes times_ = {};
  std::chrono::steady_clock::time_point last_;
  int layers_ = 0;  // since the last attention
};

}  // namespace dyad::bench
