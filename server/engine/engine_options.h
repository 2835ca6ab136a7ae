// How an engine is to run.
#pragma once

#include <cstdint>

namespace dyad::engine {

// Whether sequences share what they have in common: stored pages, and rows of a step.
enum class PrefixCache { kOff, kOn };

struct EngineOptions {
  int32_t max_batch_tokens = 512;       // rows of a step; [1, model's max_batch_tokens]
  int32_t max_running_sequences = 256;  // [1, model's max_logit_rows]
  int32_t max_queued_requests = 4096;   // waiting sequences; >= 1
  int64_t max_queued_tokens = 1 << 20;  // ids of waiting sequences; >= 1
  PrefixCache prefix_cache = PrefixCache::kOn;
};

}  // namespace dyad::engine
