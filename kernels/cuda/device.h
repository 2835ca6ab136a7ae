// A CUDA device behind kernels/device.h. In exact arithmetic it has the CPU's bits on every GPU.
//
// What a step asks for is queued on one stream; End waits, once. Errors of CUDA are kept by the
// runtime and told by End; after one, steps end at once.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "kernels/arithmetic.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/cuda/finish.h"
#include "kernels/cuda/layer.h"
#include "kernels/cuda/memory.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/step_upload.h"
#include "kernels/device.h"

namespace dyad::kernels::cuda {

class CudaDevice final : public Device {
 public:
  // `threads`: of the host, for packing and for draws. Several devices may share them.
  CudaDevice(std::unique_ptr<Runtime> runtime, int ordinal, Arithmetic arithmetic,
             std::shared_ptr<ThreadPool> threads);

  DeviceInfo info() const override { return info_; }

  void RunOnHost(int64_t tasks, const std::function<void(int64_t)>& run) override;
  std::string_view Misses(const Plan& plan) const override;
  std::unique_ptr<Layer> Pack(const Plan& plan) override;
  std::unique_ptr<Table> MakeTable(TableSource source) override;
  std::unique_ptr<Norm> MakeNorm(NormSource source) override;
  Matrix Allocate(int64_t rows, int64_t columns) override;
  std::string_view MissesKv(const AttentionShape& shape, KvType type) const override;
  int64_t KvPageBytes(const AttentionShape& shape, KvType type) const override;
  Fault MapKv(KvSpec spec) override;

  void Begin(const StepInput& input) override;
  void Embed(const Table& table, IndexedBy index, int64_t offset, Lookup lookup, Matrix y) override;
  void Normalize(const Norm& norm, Matrix x, Matrix y) override;
  void Apply(Matrix x, std::initializer_list<LayerOutput> outputs,
             const Finishing& finishing) override;
  void Attend(int64_t layer, const Qkv& qkv, Matrix out) override;
  void Finish(const Layer& head, Matrix hidden, Matrix logits) override;
  StepOutput End() override;

  void Write(Matrix matrix, std::span<const float> values) override;
  std::vector<float> Read(Matrix matrix) override;

 private:
  // Whether the device can compute no more. Then no memory is asked for, either.
  bool lost() const { return !runtime_->error().empty(); }
  void TakeWishes(int64_t ids);

  const std::unique_ptr<Runtime> runtime_;  // ends after all that it made
  const Arithmetic arithmetic_;
  const std::shared_ptr<ThreadPool> threads_;
  Workspace workspace_;
  DeviceInfo info_;

  std::vector<Piece<float>> activations_;
  KvSpec kv_;
  Piece<std::byte> pages_;
  Piece<float> cos_, sin_;

  Room<float> scratch_;
  Finisher finisher_;
  StepUpload upload_;
  StepInput input_;  // of the step in progress
  Wishes wishes_;
  int64_t ids_ = 0;        // of the head that ended the last step; 0: none has
  bool finishes_ = false;  // whether the step has asked for results
};

}  // namespace dyad::kernels::cuda
