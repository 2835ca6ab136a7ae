// The end of a step on the device: rows through the head, to scores and drawn ids. Greedy draws are
// made there; the logits of others come to pinned memory and are drawn by the CPU's code.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/thread_pool.h"
#include "kernels/cuda/layer.h"
#include "kernels/cuda/memory.h"
#include "kernels/cuda/vocabulary.h"
#include "kernels/step.h"

namespace dyad::kernels::cuda {

// What a step asks of its rows: each of those once, and the wishes in the order of rows.
struct Wishes {
  std::vector<int32_t> rows;
  std::vector<Wish> wishes;    // Wish::row: index in `rows`
  std::vector<int32_t> index;  // of wishes: of `scores`, or of `draws` from there on
  std::vector<ScoreResult> scores;
  std::vector<DrawResult> draws;
  std::vector<TopEntry> top;
  int64_t sampled = 0;  // draws that are not greedy
  bool has_sets = false;

  // The wishes of a step; results say where their likeliest ids begin.
  void Take(const StepInput& input, int64_t ids);
};

// Arrays of a step in the device's memory.
struct WishPointers {
  const int32_t* rows = nullptr;
  const Wish* wishes = nullptr;
  const Adjustment* adjustments = nullptr;
  const uint8_t* id_sets = nullptr;
};

class Finisher {
 public:
  // Queues all: the head over the rows, the reductions, and the copies to the host.
  void Queue(Runtime& runtime, const CudaLayer& head, DeviceRows hidden, const StepInput& input,
             const Wishes& wishes, const WishPointers& on_device, Room<float>& scratch);
  // After the wait: fills the results of `wishes`, drawing what is left to draw.
  void Collect(const StepInput& input, Wishes& wishes, Workspace& workspace);

 private:
  int64_t ids_ = 0;
  Room<float> hidden_, logits_;
  Room<double> log_sums_, set_log_sums_;
  Room<TileSum> tiles_, set_tiles_;
  Room<Answer> answers_;
  Room<TopEntry> top_;
  Room<Answer, Where::kPinned> answers_on_host_;
  Room<TopEntry, Where::kPinned> top_on_host_;
  Room<float, Where::kPinned> sampled_;
  const Answer* found_ = nullptr;
  const TopEntry* found_top_ = nullptr;
  float* sampled_logits_ = nullptr;  // [sampled][ids]
};

}  // namespace dyad::kernels::cuda
