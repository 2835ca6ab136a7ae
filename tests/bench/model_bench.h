// Times steps of a whole model in process, without engine and RPC: decode, prefill and scoring.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/cpu/thread_pool.h"
#include "server/engine/request.h"
#include "server/model/load_model.h"
#include "tests/bench/roof.h"
#include "tests/bench/timing_device.h"

namespace dyad::bench {

struct ModelResult {
  std::string work;       // "decode", "prefill", "score"
  int64_t sequences = 0;  // side by side in a step
  int64_t tokens = 0;     // rows of a step
  int64_t context = 0;    // tokens stored before the step
  double seconds = 0;     // of a step
  double tokens_per_second = 0;
  double fraction_of_roof =
      0;                 // weights and keys and values read once, or all flops at sgemm's rate
  StepTimes times = {};  // of that step
};

struct ModelWork {
  std::vector<int64_t> batches = {1, 2, 4, 8, 16, 32, 64};  // decode
  int64_t decode_context = 128;                             // tokens
  int64_t text_tokens = 512;                                // prefill and scoring
  engine::Sampling sampling;                                // of draws
};

// `pool`: for the roof; the model has as many threads of its own. Errors: as LoadModel's and
// Step's; InvalidArgument: texts longer than the model's context.
absl::StatusOr<std::vector<ModelResult>> BenchModel(const std::string& folder,
                                                    const ModelOptions& options,
                                                    const ModelWork& work, const Roof& roof,
                                                    kernels::ThreadPool& pool);

}  // namespace dyad::bench
