// A linear layer on the device: its plan packed, and run over rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/thread_pool.h"
#include "kernels/cuda/contract.h"
#include "kernels/cuda/exact.h"
#include "kernels/cuda/memory.h"
#include "kernels/cuda/tensor.h"
#include "kernels/device.h"

namespace dyad::kernels::cuda {

// What a layer's run needs besides its weights. Buffers of a plan lie side by side in `scratch`.
struct LayerRun {
  int64_t rows = 0;
  DeviceRows x = {}, y = {};
  Activation activation = Activation::kNone;
  DeviceRows residual = {};  // may be y
  ExactTile tile = {};       // for tests and benchmarks; else one is chosen
};

class CudaLayer final : public Layer {
 public:
  // Uploads. May throw std::bad_alloc. REQUIRES: Check(plan) finds no fault; weights have data.
  CudaLayer(const Plan& plan, Arithmetic arithmetic, Runtime& runtime, ThreadPool& pool);

  int64_t in_features() const override { return widths_[0]; }
  int64_t out_features() const override { return widths_[1]; }
  int64_t weight_bytes() const override { return weight_bytes_; }
  int64_t multiply_adds() const override { return multiply_adds_; }

  // Queues the layer. May throw std::bad_alloc while `scratch` grows.
  void Run(Runtime& runtime, Room<float>& scratch, const LayerRun& run) const;

  // The same for layers that read the same rows, none of which reads what another writes: by one
  // launch where each is a single step.
  struct LayerOfRun {
    const CudaLayer* layer = nullptr;
    LayerRun run;
  };
  static void RunTogether(Runtime& runtime, Room<float>& scratch,
                          std::span<const LayerOfRun> layers);

 private:
  struct PackedStep {
    Piece<std::byte> weights;
    Piece<float> scales, bias;
    Piece<View> sources;
    ContractArgs args;                   // all that does not depend on the run
    size_t source = 0, destination = 0;  // buffers
    bool assigns = false;                // the first of its destination, and writes all of it
  };

  // A buffer of the plan, where it is in scratch.
  struct Buffer {
    int64_t offset = 0;   // in floats, for one row
    bool zeroed = false;  // before the first step, as that does not write all of it
  };

  void EndIn(const LayerRun& run, ContractArgs& args) const;
  // Of one type and arithmetic; of several steps none reads what another writes. `planes`: what
  // PlaneFloats said.
  void LaunchSteps(Runtime& runtime, std::span<const ContractArgs> steps, const LayerRun& run,
                   float* planes) const;
  // What a step of so many rows takes for the tensor cores: none if it is exact.
  int64_t PlaneFloats(ContractArgs step, int64_t rows) const;
  TensorArgs OnTensorCores(const ContractArgs& step) const;

  const Element type_;
  const Arithmetic arithmetic_;
  std::vector<int64_t> widths_;
  std::vector<Buffer> buffers_;
  std::vector<PackedStep> steps_;
  Piece<float> bias_;
  bool ends_in_y_ = false;  // the last step writes all of y: its kernel finishes
  int64_t scratch_floats_ = 0;
  int64_t weight_bytes_ = 0;
  int64_t multiply_adds_ = 0;
};

}  // namespace dyad::kernels::cuda
