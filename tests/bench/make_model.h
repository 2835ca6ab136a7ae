// Writes a checkpoint of a published model's size with random weights, for benchmarks.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "kernels/structures/structures.h"

namespace dyad::bench {

struct ModelChoice {
  std::string architecture;  // "opt" or "gpt_neox"
  std::string size;          // "125m", …; an unknown one is refused with the list
  // Of the feed-forward layers: their kind, and its blocks or rank.
  const kernels::Structure* structure = nullptr;
  int64_t detail = 0;
};

// Makes `folder` with config.json and model.safetensors (float32); the same choice gives the same
// bytes. Errors: InvalidArgument (size, or blocks that do not divide), AlreadyExists (the folder),
// Unavailable (cannot write).
absl::Status MakeModel(const ModelChoice& choice, const std::string& folder);

}  // namespace dyad::bench
