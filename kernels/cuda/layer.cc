// kernels/cuda/layer.h.
#include "kernels/cuda/layer.h"

#include <algorithm>
#include <span>

#include "kernels/cuda/pack.h"

namespace dyad::kernels::cuda {
namespace {

// Whether a step writes every feature of its destination.
bool WritesAll(const Contract& step, int64_t width) {
  std::vector<bool> written(static_cast<size_t>(width), false);
  for (int64_t b = 0; b < step.blocks; ++b) {
    for (int64_t u = 0; u < step.groups; ++u) {
      for (int64_t n = 0; n < step.outputs; ++n) {
        const int64_t feature = step.view.At(b, u, n);
        if (feature < width) written[static_cast<size_t>(feature)] = true;
      }
    }
  }
  return std::find(written.begin(), written.end(), false) == written.end();
}

}  // namespace

CudaLayer::CudaLayer(const Plan& plan, Runtime& runtime, ThreadPool& pool)
    : widths_(plan.widths), zeroed_(plan.widths.size(), false) {
  multiply_adds_ = Cost(plan).multiply_adds;
  std::vector<bool> begun(widths_.size(), false);
  for (const Step& any : plan.steps) {
    const auto& step = std::get<Contract>(any);
    const PackedWeights packed = PackWeights(step, plan.type, pool);
    PackedStep made;
    made.type = plan.type;
    made.source = static_cast<size_t>(step.source);
    made.destination = static_cast<size_t>(step.destination);
    made.weights = UploadedPiece<std::byte>(runtime, packed.weights);
    made.scales = UploadedPiece<float>(runtime, packed.scales);
    made.bias = UploadedPiece<float>(runtime, step.bias);
    std::vector<View> sources;
    for (const Term& term : step.terms) sources.push_back(term.source);
    made.sources = UploadedPiece<View>(runtime, sources);
    made.args = {.weights = made.weights.data(),
                 .scales = made.scales.data(),
                 .sources = made.sources.data(),
                 .terms = static_cast<int>(sources.size()),
                 .depth = static_cast<int>(step.depth),
                 .vectors = static_cast<int>(packed.vectors),
                 .panels = static_cast<int>(packed.panels),
                 .outputs = static_cast<int>(step.outputs),
                 .blocks = static_cast<int>(step.blocks),
                 .groups = step.groups,
                 .x_width = widths_[made.source],
                 .y_width = widths_[made.destination],
                 .destination = step.view,
                 .step_bias = made.bias.data()};
    weight_bytes_ += made.weights.bytes() + made.scales.bytes();
    const bool first = !begun[made.destination];
    begun[made.destination] = true;
    const bool writes_all = WritesAll(step, widths_[made.destination]);
    made.assigns = first && writes_all;
    if (first && !writes_all) zeroed_[made.destination] = true;
    ends_in_y_ = made.destination == 1 && writes_all;
    steps_.push_back(std::move(made));
  }
  bias_ = UploadedPiece<float>(runtime, plan.bias);
  // y gathers in scratch where it is written more than once, as it may be the residual.
  for (size_t i = 1; i < widths_.size(); ++i) scratch_floats_ += widths_[i];
}

void CudaLayer::Run(Runtime& runtime, Room<float>& scratch, const LayerRun& run) const {
  if (run.rows == 0) return;
  std::vector<DeviceRows> buffers = {run.x};
  float* next = nullptr;
  const bool alone = steps_.size() == 1 && ends_in_y_;
  if (!alone) next = scratch.Get(runtime, run.rows * scratch_floats_);
  for (size_t i = 1; i < widths_.size(); ++i) {
    buffers.push_back({next, widths_[i]});
    if (alone) break;
    if (zeroed_[i]) {
      runtime.SetZero(next, run.rows * widths_[i] * static_cast<int64_t>(sizeof(float)));
    }
    next += run.rows * widths_[i];
  }
  for (const PackedStep& step : steps_) {
    ContractArgs args = step.args;
    args.rows = run.rows;
    args.x = buffers[step.source];
    args.y = buffers[step.destination];
    if (!step.assigns) args.start = args.y;
    if (ends_in_y_ && &step == &steps_.back()) {
      args.y = run.y;
      args.plan_bias = bias_.data();
      args.activation = run.activation;
      args.residual = run.residual;
    }
    if (args.row_groups() <= kStreamRows) {
      LaunchStream(runtime, step.type, args);
    } else {
      LaunchTile(runtime, step.type, args);
    }
  }
  if (ends_in_y_) return;
  LaunchFinish(runtime, {.rows = run.rows,
                         .features = out_features(),
                         .sum = buffers[1],
                         .y = run.y,
                         .bias = bias_.data(),
                         .activation = run.activation,
                         .residual = run.residual});
}

}  // namespace dyad::kernels::cuda
