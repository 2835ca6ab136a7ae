// Flags of draws: tests/bench/sampling_flags.h.
#include "tests/bench/sampling_flags.h"

#include "absl/flags/flag.h"
#include "server/base/status_macros.h"
#include "tests/bench/flag_values.h"

ABSL_FLAG(float, temperature, 0, "model, engine, server: of draws, 0 to 100; 0: greedy");
ABSL_FLAG(int32_t, top_k, 0, "model, engine, server: likeliest ids to draw from; 0: all");
ABSL_FLAG(float, top_p, 1, "model, engine, server: share of the likeliest to draw from, 0 to 1");
ABSL_FLAG(float, min_p, 0,
          "model, engine, server: least probability to draw, relative to the likeliest, 0 to 1");
ABSL_FLAG(float, repetition_penalty, 1,
          "model, engine, server: on ids of prompt and output, 0.01 to 10; 1: none");
ABSL_FLAG(float, presence_penalty, 0, "model, engine, server: on ids of the output, -2 to 2");

namespace dyad::bench {

absl::StatusOr<engine::Sampling> SamplingFromFlags() {
  RETURN_IF_ERROR(CheckRange("temperature", FLAGS_temperature, {0, 100}));
  RETURN_IF_ERROR(CheckRange("top_k", FLAGS_top_k, {0, 1 << 24}));
  RETURN_IF_ERROR(CheckRange("top_p", FLAGS_top_p, {0, 1}));
  RETURN_IF_ERROR(CheckRange("min_p", FLAGS_min_p, {0, 1}));
  RETURN_IF_ERROR(CheckRange("repetition_penalty", FLAGS_repetition_penalty, {0.01, 10}));
  RETURN_IF_ERROR(CheckRange("presence_penalty", FLAGS_presence_penalty, {-2, 2}));
  engine::Sampling sampling;
  sampling.temperature = absl::GetFlag(FLAGS_temperature);
  sampling.top_k = absl::GetFlag(FLAGS_top_k);
  sampling.top_p = absl::GetFlag(FLAGS_top_p);
  sampling.min_p = absl::GetFlag(FLAGS_min_p);
  sampling.repetition_penalty = absl::GetFlag(FLAGS_repetition_penalty);
  sampling.presence_penalty = absl::GetFlag(FLAGS_presence_penalty);
  return sampling;
}

}  // namespace dyad::bench
