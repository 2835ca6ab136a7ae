// What the model needs of a network: hidden states of a flat batch. OPT and GPT-NeoX implement it.
#pragma once

#include <cstdint>

#include "kernels/attention.h"
#include "kernels/linear.h"
#include "kernels/thread_pool.h"
#include "server/model/kv_cache.h"
#include "server/model/step_clock.h"

namespace dyad {

struct NetworkShape {
  int64_t vocab_size = 0;
  int64_t positions = 0;  // context length
  int64_t layers = 0;
  kernels::AttentionShape attention;
};

// Threads: one at a time.
class Network {
 public:
  virtual ~Network() = default;
  virtual const NetworkShape& shape() const = 0;
  // [vocab_size, head size], without bias.
  virtual const kernels::PackedLinear& head() const = 0;
  // Allocates the activations of batches of up to `rows`. Once, before Forward.
  virtual void Prepare(int64_t rows) = 0;
  // The states that the head reads: [rows, head size], valid until the next call.
  virtual kernels::ConstRows Forward(const kernels::StepInput& step, const KvCache& cache,
                                     StepClock& clock, kernels::Workspace& workspace) = 0;
};

}  // namespace dyad
