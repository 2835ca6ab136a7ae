// tests/bench/timing_device.h.
#include "tests/bench/timing_device.h"

namespace dyad::bench {

void TimingDevice::Mark(StepPart part) {
  const auto now = std::chrono::steady_clock::now();
  times_[static_cast<size_t>(part)] += std::chrono::duration<double>(now - last_).count();
  last_ = now;
}

void TimingDevice::Begin(const kernels::StepInput& input) {
  times_ = {};
  layers_ = 3;  // projections come first
  last_ = std::chrono::steady_clock::now();
  device().Begin(input);
}

void TimingDevice::Embed(const kernels::Table& table, kernels::IndexedBy index, int64_t offset,
                         kernels::Lookup lookup, kernels::Matrix y) {
  device().Embed(table, index, offset, lookup, y);
  Mark(StepPart::kEmbedding);
}

void TimingDevice::Normalize(const kernels::Norm& norm, kernels::Matrix x, kernels::Matrix y) {
  device().Normalize(norm, x, y);
  Mark(StepPart::kNorm);
}

void TimingDevice::Apply(kernels::Matrix x, std::initializer_list<kernels::LayerOutput> outputs,
                         const kernels::Finishing& finishing) {
  device().Apply(x, outputs, finishing);
  const int order = layers_++;
  Mark(order == 1 || order == 2 ? StepPart::kFeedForward : StepPart::kProjections);
}

void TimingDevice::Attend(int64_t layer, const kernels::Qkv& qkv, kernels::Matrix out) {
  device().Attend(layer, qkv, out);
  layers_ = 0;
  Mark(StepPart::kAttention);
}

void TimingDevice::Finish(const kernels::Layer& head, kernels::Matrix hidden,
                          kernels::Matrix logits) {
  device().Finish(head, hidden, logits);
  Mark(StepPart::kHead);
}

kernels::StepOutput TimingDevice::End() {
  const kernels::StepOutput output = device().End();
  Mark(StepPart::kHead);
  return output;
}

}  // namespace dyad::bench
