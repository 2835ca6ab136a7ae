// The processors of this machine as a device: kernels/device.h over the kernels of this folder.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "kernels/cpu/aligned_buffer.h"
#include "kernels/cpu/kv_cache.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/device.h"
#include "kernels/devices.h"

namespace dyad::kernels {

class CpuDevice final : public Device {
 public:
  // Devices may share threads: their runs take turns.
  CpuDevice(std::shared_ptr<ThreadPool> threads, const CpuOptions& options)
      : threads_(std::move(threads)),
        population_(options.population),
        arithmetic_(options.arithmetic),
        workspace_(*threads_) {}

  DeviceInfo info() const override;

  void RunOnHost(int64_t tasks, const std::function<void(int64_t)>& run) override;
  std::string_view Misses(const Plan& plan) const override;
  std::unique_ptr<Layer> Pack(const Plan& plan) override;
  std::unique_ptr<Table> MakeTable(TableSource source) override;
  std::unique_ptr<Norm> MakeNorm(NormSource source) override;
  Matrix Allocate(int64_t rows, int64_t columns) override;
  std::string_view MissesKv(const AttentionShape& shape, KvType type) const override;
  int64_t KvPageBytes(const AttentionShape& shape, KvType type) const override;
  Fault MapKv(KvSpec spec) override;

  void Begin(const StepInput& input) override {
    input_ = input;
    failed_.clear();
  }
  void Embed(const Table& table, IndexedBy index, int64_t offset, Lookup lookup, Matrix y) override;
  void Normalize(const Norm& norm, Matrix x, Matrix y) override;
  void Apply(Matrix x, std::initializer_list<LayerOutput> outputs,
             const Finishing& finishing) override;
  void Attend(int64_t layer, const Qkv& qkv, Matrix out) override;
  void Finish(const Layer& head, Matrix hidden, Matrix logits) override;
  StepOutput End() override { return {scores_, draws_, top_, {}, failed_}; }

  void Write(Matrix matrix, std::span<const float> values) override;
  std::vector<float> Read(Matrix matrix) override;

 private:
  void NoteFailures(std::initializer_list<LayerOutput> outputs);

  const std::shared_ptr<ThreadPool> threads_;
  const KvPopulation population_;
  const Arithmetic arithmetic_;
  Workspace workspace_;
  std::vector<AlignedBuffer> activations_;
  KvSpec kv_;
  KvCache cache_;
  std::jthread populating_;  // cache_; ends before it

  StepInput input_;  // of the step in progress
  std::vector<ScoreResult> scores_;
  std::vector<DrawResult> draws_;
  std::vector<TopEntry> top_;
  std::vector<FailedRow> failed_;
};

}  // namespace dyad::kernels
