// What the model needs of a network: hidden states of a step's rows. OPT and GPT-NeoX implement it,
// once for every device.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/device.h"

namespace dyad {

struct NetworkShape {
  int64_t vocab_size = 0;
  int64_t positions = 0;  // context length
  int64_t layers = 0;
  kernels::AttentionShape attention;
  double rotary_base = 0;  // of attention that rotates
};

// With the scale of both networks, 1 / √head_size.
inline kernels::AttentionShape AttentionOf(int64_t heads, int64_t hidden_size,
                                           int64_t rotary_size = 0) {
  const int64_t head_size = hidden_size / heads;
  return {.heads = heads,
          .head_size = head_size,
          .scale = 1.0f / std::sqrt(static_cast<float>(head_size)),
          .rotary_size = rotary_size};
}

// Lives on the device that it was loaded to. Threads: one at a time.
class Network {
 public:
  virtual ~Network() = default;
  virtual const NetworkShape& shape() const = 0;
  // [vocab_size, head size], without bias.
  virtual const kernels::Layer& head() const = 0;
  // Allocates the activations of steps of up to `rows`. Once, before Forward.
  virtual void Prepare(kernels::Device& device, int64_t rows) = 0;
  // Between the device's Begin and Finish, for all rows of the step: the states that the head
  // reads, [rows, head size].
  virtual kernels::Matrix Forward(kernels::Device& device, int64_t rows) = 0;
};

}  // namespace dyad
