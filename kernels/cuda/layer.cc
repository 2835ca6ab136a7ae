// kernels/cuda/layer.h.
#include "kernels/cuda/layer.h"

#include <algorithm>

#include "kernels/cuda/pack.h"
#include "kernels/cuda/rows.h"

namespace dyad::kernels::cuda {
namespace {

ExactTile TileFor(const Runtime& runtime, std::span<const ContractArgs> steps,
                  const LayerRun& run) {
  if (run.tile != ExactTile{}) return run.tile;
  return ChooseExactTile(steps, runtime.multiprocessors());
}

// In floats: a multiple of 16 bytes.
int64_t Aligned(int64_t floats) { return (floats + 3) / 4 * 4; }

}  // namespace

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
                 .groups = static_cast<int>(step.groups),
                 .x_width = widths_[made.source],
                 .y_width = widths_[made.destination],
                 .destination = step.view,
                 .step_bias = made.bias.data()};
    std::copy_n(sources.begin(), std::min<int64_t>(kNearTerms, std::ssize(sources)),
                made.args.near_sources);
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

TensorArgs CudaLayer::OnTensorCores(const ContractArgs& step) const {
  return {.step = step, .pieces = arithmetic_ == Arithmetic::kFast ? 1 : 2};
}

int64_t CudaLayer::PlaneFloats(ContractArgs step, int64_t rows) const {
  if (arithmetic_ == Arithmetic::kExact) return 0;
  step.rows = rows;
  const TensorArgs args = OnTensorCores(step);
  return args.plane_floats() + args.unscale_floats();
}

void CudaLayer::LaunchSteps(Runtime& runtime, std::span<const ContractArgs> steps,
                            const LayerRun& run, float* planes) const {
  if (arithmetic_ == Arithmetic::kExact) {
    LaunchExact(runtime, type_, steps, TileFor(runtime, steps, run));
    return;
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    TensorArgs args = OnTensorCores(steps[i]);
    args.planes = planes;
    args.unscale = planes + args.plane_floats();
    if (i == 0 || !SplitAlike(steps[i], steps[i - 1])) LaunchSplit(runtime, type_, args);
    LaunchTensor(runtime, type_, args);
  }
}

void CudaLayer::Run(Runtime& runtime, Room<float>& scratch, const LayerRun& run) const {
  if (run.rows == 0) return;
  const int64_t buffer_floats = Aligned(run.rows * scratch_floats_);
  int64_t plane_floats = 0;
  for (const PackedStep& step : steps_) {
    plane_floats = std::max(plane_floats, PlaneFloats(step.args, run.rows));
  }
  float* const memory = scratch.Get(runtime, buffer_floats + plane_floats);
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
    if (ends_in_y_ && &step == &steps_.back()) EndIn(run, args);
    LaunchSteps(runtime, {&args, 1}, run, memory + buffer_floats);
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

// The last step writes y and ends the layer.
void CudaLayer::EndIn(const LayerRun& run, ContractArgs& args) const {
  args.y = run.y;
  args.plan_bias = bias_.data();
  args.activation = run.activation;
  args.residual = run.residual;
}

void CudaLayer::RunTogether(Runtime& runtime, Room<float>& scratch,
                            std::span<const LayerOfRun> layers) {
  const CudaLayer& first = *layers[0].layer;
  std::vector<ContractArgs> steps;
  int64_t plane_floats = 0;
  for (const auto& [layer, run] : layers) {
    const bool joins = layer->steps_.size() == 1 && layer->ends_in_y_ && layer->steps_[0].assigns &&
                       layer->type_ == first.type_ &&
                       layer->steps_[0].args.groups == first.steps_[0].args.groups;
    if (!joins || std::ssize(layers) > kMostSteps || run.rows == 0) {
      for (const LayerOfRun& alone : layers) alone.layer->Run(runtime, scratch, alone.run);
      return;
    }
    ContractArgs& args = steps.emplace_back(layer->steps_[0].args);
    args.rows = run.rows;
    args.x = run.x;
    layer->EndIn(run, args);
    plane_floats = std::max(plane_floats, layer->PlaneFloats(args, run.rows));
  }
  first.LaunchSteps(runtime, steps, layers[0].run, scratch.Get(runtime, plane_floats));
}

}  // namespace dyad::kernels::cuda
