// What a loader needs around a checkpoint, and values for its tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/thread_pool.h"
#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/tensor_source.h"
#include "server/model/load_context.h"
#include "server/model/structured_linear.h"
#include "tests/server/checkpoint/fake_checkpoint.h"

namespace dyad::testing {

// A LoadContext over a checkpoint, fake or not.
struct Loading {
  explicit Loading(const Checkpoint& checkpoint, LoadPass pass = LoadPass::kPack,
                   WeightDtype dtype = WeightDtype::kAsStored)
      : tensors(checkpoint, "model."),
        context{.tensors = tensors,
                .structured = structured,
                .dyad_dim = std::nullopt,
                .weight_dtype = dtype,
                .pass = pass,
                .pool = pool,
                .tally = {},
                .linear_paths = {}} {}

  kernels::ThreadPool pool{2};
  TensorSource tensors;
  StructuredLinear structured;
  LoadContext context;
};

// Distinct values that are exact in every type: multiples of 1/8 in [−4, 4).
inline std::vector<float> Eighths(int64_t count, uint32_t seed) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    values.push_back(static_cast<float>(seed >> 26) / 8.0f - 4.0f);
  }
  return values;
}

}  // namespace dyad::testing
