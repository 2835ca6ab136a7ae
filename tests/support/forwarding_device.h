// A device that asks another one: tests and benchmarks change what they look at.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "kernels/device.h"

namespace dyad::kernels {

class ForwardingDevice : public Device {
 public:
  explicit ForwardingDevice(std::unique_ptr<Device> device) : device_(std::move(device)) {}

  DeviceInfo info() const override { return device_->info(); }
  void RunOnHost(int64_t tasks, const std::function<void(int64_t)>& run) override {
    device_->RunOnHost(tasks, run);
  }
  std::string_view Misses(const Plan& plan) const override { return device_->Misses(plan); }
  std::unique_ptr<Layer> Pack(const Plan& plan) override { return device_->Pack(plan); }
  std::unique_ptr<Table> MakeTable(TableSource source) override {
    return device_->MakeTable(std::move(source));
  }
  std::unique_ptr<Norm> MakeNorm(NormSource source) override {
    return device_->MakeNorm(std::move(source));
  }
  Matrix Allocate(int64_t rows, int64_t columns) override {
    return device_->Allocate(rows, columns);
  }
  std::string_view MissesKv(const AttentionShape& shape, KvType type) const override {
    return device_->MissesKv(shape, type);
  }
  int64_t KvPageBytes(const AttentionShape& shape, KvType type) const override {
    return device_->KvPageBytes(shape, type);
  }
  Fault MapKv(KvSpec spec) override { return device_->MapKv(std::move(spec)); }
  void Begin(const StepInput& input) override { device_->Begin(input); }
  void Embed(const Table& table, IndexedBy index, int64_t offset, Lookup lookup,
             Matrix y) override {
    device_->Embed(table, index, offset, lookup, y);
  }
  void Normalize(const Norm& norm, Matrix x, Matrix y) override { device_->Normalize(norm, x, y); }
  void Apply(Matrix x, std::initializer_list<LayerOutput> outputs,
             const Finishing& finishing) override {
    device_->Apply(x, outputs, finishing);
  }
  void Attend(int64_t layer, const Qkv& qkv, Matrix out) override {
    device_->Attend(layer, qkv, out);
  }
  void Finish(const Layer& head, Matrix hidden, Matrix logits) override {
    device_->Finish(head, hidden, logits);
  }
  StepOutput End() override { return device_->End(); }
  void Write(Matrix matrix, std::span<const float> values) override {
    device_->Write(matrix, values);
  }
  std::vector<float> Read(Matrix matrix) override { return device_->Read(matrix); }

 protected:
  Device& device() { return *device_; }

 private:
  const std::unique_ptr<Device> device_;
};

}  // namespace dyad::kernels
