// Room for the answers to a step, in the order of what it asks: the same on every device.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/step.h"

namespace dyad::kernels {

// Where the answers to a StepInput go; `first_top` of each is set.
struct Answers {
  std::span<ScoreResult> scores;  // [input.scores]
  std::span<DrawResult> draws;    // [input.draws]
  // [TopEntries(input, vocabulary)]: descending, ties by lower id. Where a row has too few logits
  // that are numbers, ids are -1.
  std::span<TopEntry> top;
};

int64_t TopEntries(const StepInput& input, int64_t vocabulary);
// Sets where the likeliest ids of each result begin: those of scores, then those of draws.
void PlaceTops(const StepInput& input, int64_t vocabulary, std::span<ScoreResult> scores,
               std::span<DrawResult> draws);

// Rows of logits that Finish needs room for.
int64_t SampledRows(std::span<const DrawRow> draws);

}  // namespace dyad::kernels
