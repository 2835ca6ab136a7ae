// kernels/cuda/layer.h.
#include "kernels/cuda/layer.h"

#include <algorithm>

#include "kernels/cuda/pack.h"
#include "kernels/cuda/rows.h"

namespace dyad::kernels::cuda {
CudaLayer::CudaLayer(const Plan& plan, Arithmetic arithmetic, Runtime& runtime, ThreadPool& pool)
    : type_(plan.type),
      arithmetic_(plan.type == Element::kFloat32 ? Arithmetic::kExact : arithmetic),
      widths_(plan.widths),
      buffers_(plan.widths.size()) {
  multiply_adds_ = Cost(plan).multiply_adds;
  std::vector<bool> begun(widths_.size(), false);
  for (const Step& any : plan.steps) {
    const auto& step = std::get<Contract>(any);
    const PackedWeights packed = arithmetic_ == Arithmetic::kExact
                                     ? PackWeights(step, type_, pool)
                                     : PackTensorWeights(step, type_, pool);
    PackedStep made;
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
    const std::vector<bool> written = WrittenFeatures(step, widths_[made.destination]);
    const bool writes_all = std::ranges::find(written, false) == written.end();
    made.assigns = first && writes_all;
    if (first && !writes_all) buffers_[made.destination].zeroed = true;
    ends_in_y_ = made.destination == 1 && writes_all;
    steps_.push_back(std::move(made));
  }
  bias_ = UploadedPiece<float>(runtime, plan.bias);
  // y gathers in scratch unless one step writes all of it, as it may be the residual.
  const bool needs_y = !ends_in_y_ || !steps_.back().assigns;
  for (size_t i = needs_y ? 1 : 2; i < widths_.size(); ++i) {
    buffers_[i].offset = scratch_floats_;
    scratch_floats_ += widths_[i];
  }
}

void CudaLayer::RunStep(Runtime& runtime, Element type, const ContractArgs& args) {
  if (args.row_groups() <= kStreamRows) {
    LaunchStream(runtime, type, args);
  } else {
    LaunchTile(runtime, type, args);
  }
}

TensorArgs CudaLayer::TensorArgsOf(const ContractArgs& args) const {
  return {.step = args, .pieces = arithmetic_ == Arithmetic::kFast ? 1 : 2};
}

// `scratch`: of plane_floats and unscale_floats, aligned to 16 bytes.
void CudaLayer::RunTensorStep(Runtime& runtime, const ContractArgs& args, float* scratch) const {
  TensorArgs split = TensorArgsOf(args);
  split.planes = scratch;
  split.unscale = scratch + split.plane_floats();
  LaunchSplit(runtime, type_, split);
  if (args.row_groups() <= kTensorStreamRows) {
    LaunchTensorStream(runtime, type_, split);
  } else {
    LaunchTensorTile(runtime, type_, split);
  }
}

void CudaLayer::Run(Runtime& runtime, Room<float>& scratch, const LayerRun& run) const {
  if (run.rows == 0) return;
  // Buffers, then the planes of one step at a time.
  const int64_t buffer_floats = (run.rows * scratch_floats_ + 3) / 4 * 4;
  int64_t split_floats = 0;
  for (const PackedStep& step : steps_) {
    if (arithmetic_ == Arithmetic::kExact) break;
    TensorArgs split = TensorArgsOf(step.args);
    split.step.rows = run.rows;
    split_floats = std::max(split_floats, split.plane_floats() + split.unscale_floats());
  }
  float* const memory = scratch.Get(runtime, buffer_floats + split_floats);
  const auto buffer = [&](size_t i) {
    return i == 0 ? run.x : DeviceRows{memory + run.rows * buffers_[i].offset, widths_[i]};
  };
  for (size_t i = 1; i < widths_.size(); ++i) {
    if (!buffers_[i].zeroed) continue;
    runtime.SetZero(buffer(i).data, run.rows * widths_[i] * static_cast<int64_t>(sizeof(float)));
  }
  for (const PackedStep& step : steps_) {
    ContractArgs args = step.args;
    args.rows = run.rows;
    args.x = buffer(step.source);
    args.y = buffer(step.destination);
    if (!step.assigns) args.start = args.y;
    if (ends_in_y_ && &step == &steps_.back()) {
      args.y = run.y;
      args.plan_bias = bias_.data();
      args.activation = run.activation;
      args.residual = run.residual;
    }
    if (arithmetic_ == Arithmetic::kExact) {
      RunStep(runtime, type_, args);
    } else {
      RunTensorStep(runtime, args, memory + buffer_floats);
    }
  }
  if (ends_in_y_) return;
  LaunchFinish(runtime, {.rows = run.rows,
                         .features = out_features(),
                         .sum = buffer(1),
                         .y = run.y,
                         .bias = bias_.data(),
                         .activation = run.activation,
                         .residual = run.residual});
}

}  // namespace dyad::kernels::cuda
