// The definition of a device: every operator of kernels/device.h in double, as plain loops, rounded
// to float32 where it is stored. Never tuned; other devices are compared with it.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "kernels/device.h"

namespace dyad::kernels::reference {

class ReferenceDevice final : public Device {
 public:
  DeviceInfo info() const override;

  void RunOnHost(int64_t tasks, const std::function<void(int64_t)>& run) override;
  std::unique_ptr<Layer> Pack(const Plan& plan) override;
  std::unique_ptr<Table> MakeTable(TableSource source) override;
  std::unique_ptr<Norm> MakeNorm(NormSource source) override;
  Matrix Allocate(int64_t rows, int64_t columns) override;
  int64_t KvPageBytes(const AttentionShape& shape, KvType type) const override;
  Fault MapKv(KvSpec spec) override;

  void Begin(const StepInput& input) override { input_ = input; }
  void Embed(const Table& table, IndexedBy index, int64_t offset, Lookup lookup, Matrix y) override;
  void Normalize(const Norm& norm, Matrix x, Matrix y) override;
  void Apply(Matrix x, std::initializer_list<LayerOutput> outputs,
             const Finishing& finishing) override;
  void Attend(int64_t layer, const Qkv& qkv, Matrix out) override;
  void Finish(const Layer& head, Matrix hidden, Matrix logits) override;
  StepOutput End() override;

  void Write(Matrix matrix, std::span<const float> values) override;
  std::vector<float> Read(Matrix matrix) override;

  // Of each element of a matrix: what went into it by the operator that wrote it last, Σ |term|. A
  // rounding error is relative to that.
  std::vector<double> Magnitudes(Matrix matrix) const;
  // The same of logits, for each score of the step in progress or the last one.
  const std::vector<double>& score_magnitudes() const { return score_magnitudes_; }

 private:
  // What Matrix::data points to.
  struct Memory {
    std::vector<float> values;
    std::vector<double> magnitudes;
  };

  static Memory& MemoryOf(Matrix matrix) { return *static_cast<Memory*>(matrix.data); }
  static std::span<const float> Row(Matrix matrix, int64_t row);
  static void Put(Matrix matrix, int64_t row, int64_t column, double value, double magnitude);

  // Of a row, over the keys and values up to its position.
  std::vector<double> AttendInt8(const RotaryTable& rotary, int64_t position,
                                 std::span<const float> query,
                                 std::span<const std::vector<double>> keys,
                                 std::span<const std::vector<double>> values) const;
  void ScoreRows(std::span<const std::vector<double>> logits);
  void DrawRows(std::span<const std::vector<double>> logits);
  int32_t AddTop(std::span<const double> logits, double log_sum_exp, int32_t n);

  std::vector<std::unique_ptr<Memory>> memory_;
  KvSpec kv_;
  // By slot and head, of one layer.
  using Vectors = std::map<std::pair<int64_t, int64_t>, std::vector<double>>;
  struct Stored {
    Vectors keys, values;
  };
  std::map<int64_t, Stored> stored_;  // by layer

  StepInput input_;
  std::vector<ScoreResult> scores_;
  std::vector<DrawResult> draws_;
  std::vector<TopEntry> top_;
  std::vector<double> score_magnitudes_;
};

}  // namespace dyad::kernels::reference
