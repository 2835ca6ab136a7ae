// From rows of logits to answers, with the CPU's bits: sums over tiles of ids (kernels/log_sum.h),
// ranks, likeliest ids, greedy draws.
#pragma once

#include <cstdint>

#include "kernels/cuda/contract.h"
#include "kernels/cuda/runtime.h"
#include "kernels/log_sum.h"
#include "kernels/step.h"

namespace dyad::kernels::cuda {

// What is asked of a row, a score or a draw.
struct Wish {
  int32_t row = 0;
  int32_t target = -1;  // of a score; -1: a draw
  int32_t top_n = 0;    // at most the ids that there are
  int32_t first_top = 0;
  int32_t first_adjustment = 0;
  int32_t adjustments = 0;
  int32_t set = 0;  // ScoreRow::set
};

// The log-sum-exp of each row; or, with `wishes`, of each wish for a set over the ids of that set.
struct LogSumArgs {
  int64_t rows = 0;  // or wishes
  int64_t ids = 0;
  DeviceRows logits = {};
  const Wish* wishes = nullptr;  // null: of rows
  int32_t first_row = 0;         // of wishes, whose logits come first
  const uint8_t* id_sets = nullptr;
  TileSum* tiles = nullptr;    // [rows][tiles of ids]
  double* log_sums = nullptr;  // [rows]; not set for a wish without a set
};
void LaunchLogSums(Runtime& runtime, const LogSumArgs& args);

struct Answer {
  float logprob = 0;
  int32_t value = 0;  // the rank of a score; the id of a greedy draw
  float log_sum = 0;  // of the row
  double set_logprob = 0;
};

struct AnswerArgs {
  int64_t wishes = 0;
  int64_t ids = 0;
  int32_t first_row = 0;  // whose logits come first
  DeviceRows logits = {};
  const double* log_sums = nullptr;
  const double* set_log_sums = nullptr;  // [wishes]
  const Wish* wish = nullptr;            // [wishes]
  const Adjustment* adjustments = nullptr;
  Answer* answers = nullptr;  // [wishes]
  TopEntry* top = nullptr;    // of all wishes, from first_top on
};
// Cost of a likeliest id: one more pass over the row.
void LaunchAnswers(Runtime& runtime, const AnswerArgs& args);

}  // namespace dyad::kernels::cuda
