// Linear layers of a checkpoint: dense and DYAD, told apart by their tensors, packed for the
// kernels.
//
//   dense  PATH.weight [out, in], PATH.bias [out]
//   DYAD   PATH.wl, PATH.wu [blocks, out/blocks, in/blocks], PATH.bias [out, 1] (or [out])
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/linear.h"
#include "kernels/thread_pool.h"
#include "server/model/load_context.h"

namespace at {
class Tensor;
}

namespace dyad {

struct LinearSize {
  int64_t in = 0;
  int64_t out = 0;
};

enum class Bias { kNone, kPresent };

class Linear {
 public:
  Linear() = default;  // of the checking pass: not to be applied
  explicit Linear(kernels::PackedLinear packed)
      : packed_(std::make_unique<kernels::PackedLinear>(std::move(packed))) {}

  // y = activation(x Wᵀ + bias). Shapes: x [rows, in], y [rows, out], float32, rows contiguous.
  void Apply(const at::Tensor& x, const at::Tensor& y, kernels::Activation activation,
             kernels::Workspace& workspace) const;
  // y = x Wᵀ + bias + y
  void Add(const at::Tensor& x, const at::Tensor& y, kernels::Workspace& workspace) const;

  const kernels::PackedLinear* packed() const { return packed_.get(); }

 private:
  std::unique_ptr<kernels::PackedLinear> packed_;
};

// y_i = x W_iᵀ + bias_i of three layers that read the same x, in one go.
struct LinearResult {
  const Linear& layer;
  const at::Tensor& y;
};
void ApplyTogether(const at::Tensor& x, const std::array<LinearResult, 3>& results,
                   kernels::Workspace& workspace);

// Takes the tensors of the layer at `path`, and writes the layer into the tally.
// Errors: InvalidArgument: tensors missing, of another kind than structured_linear says or of wrong
// shapes; blocks that do not divide, or are not dyad_dim; values that are not finite.
absl::StatusOr<Linear> LoadLinear(LoadContext& context, const std::string& path, LinearSize size,
                                  Bias bias);

}  // namespace dyad
