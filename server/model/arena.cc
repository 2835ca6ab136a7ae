// Hands out pieces front to back: server/model/arena.h.
#include "server/model/arena.h"

#include "ATen/ops/from_blob.h"

namespace dyad {
namespace {

constexpr int64_t kLineFloats = 16;
constexpr int64_t kMostTensors = 16;

}  // namespace

Arena::Arena(int64_t rows, int64_t columns)
    : memory_((rows * columns + kMostTensors * kLineFloats) * int64_t{sizeof(float)}),
      rows_(rows) {}

at::Tensor Arena::Take(int64_t columns) {
  float* first = memory_.as<float>() + used_;
  used_ += (rows_ * columns + kLineFloats - 1) / kLineFloats * kLineFloats;
  return at::from_blob(first, {rows_, columns}, at::kFloat);
}

}  // namespace dyad
