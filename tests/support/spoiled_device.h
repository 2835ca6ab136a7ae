// A device with one operator that is a little wrong.
#pragma once

#include <cmath>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "tests/support/forwarding_device.h"

namespace dyad::kernels {

enum class Operator { kEmbed, kNormalize, kApply, kAttend, kFinish };

class SpoiledDevice final : public ForwardingDevice {
 public:
  SpoiledDevice(std::unique_ptr<Device> device, Operator spoiled)
      : ForwardingDevice(std::move(device)), spoiled_(spoiled) {}

  void Embed(const Table& table, IndexedBy index, int64_t offset, Lookup lookup,
             Matrix y) override {
    device().Embed(table, index, offset, lookup, y);
    Spoil(Operator::kEmbed, y);
  }
  void Normalize(const Norm& norm, Matrix x, Matrix y) override {
    device().Normalize(norm, x, y);
    Spoil(Operator::kNormalize, y);
  }
  void Apply(Matrix x, std::initializer_list<LayerOutput> outputs,
             const Finishing& finishing) override {
    device().Apply(x, outputs, finishing);
    Spoil(Operator::kApply, std::prev(outputs.end())->y);
  }
  void Attend(int64_t layer, const Qkv& qkv, Matrix out) override {
    device().Attend(layer, qkv, out);
    Spoil(Operator::kAttend, out);
  }
  StepOutput End() override {
    StepOutput output = device().End();
    if (spoiled_ != Operator::kFinish || output.scores.empty()) return output;
    scores_.assign(output.scores.begin(), output.scores.end());
    scores_.back().logprob += 0.01f;
    output.scores = scores_;
    return output;
  }

 private:
  // The last element, a hundredth further.
  void Spoil(Operator now, Matrix y) {
    if (now != spoiled_) return;
    std::vector<float> values = device().Read(y);
    values.back() += 0.01f * (1 + std::abs(values.back()));
    device().Write(y, values);
  }

  const Operator spoiled_;
  std::vector<ScoreResult> scores_;
};

}  // namespace dyad::kernels
