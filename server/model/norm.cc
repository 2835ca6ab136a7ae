// Tensors of a LayerNorm -> the device: server/model/norm.h.
#include "server/model/norm.h"

#include <utility>

#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/model/convert.h"

namespace dyad {

absl::StatusOr<std::unique_ptr<kernels::Norm>> LoadNorm(LoadContext& context,
                                                        const std::string& path,
                                                        const NormShape& shape) {
  const bool packs = context.pass == LoadPass::kPack;
  kernels::NormSource source = {
      .features = shape.features, .weight = {}, .bias = {}, .epsilon = shape.epsilon};
  if (shape.affine == Affine::kPresent) {
    ASSIGN_OR_RETURN(const NamedTensor weight,
                     context.tensors.Take(Text(path, ".weight"), {shape.features}));
    ASSIGN_OR_RETURN(const NamedTensor bias,
                     context.tensors.Take(Text(path, ".bias"), {shape.features}));
    context.tally.AddPlain(2 * shape.features);
    for (const NamedTensor& tensor : {weight, bias}) {
      RETURN_IF_ERROR(ChooseWeightType(tensor, context.weight_dtype).status());
    }
    if (packs) {
      ASSIGN_OR_RETURN(source.weight, ReadFloats(weight, context.device));
      ASSIGN_OR_RETURN(source.bias, ReadFloats(bias, context.device));
      context.tally.weight_bytes += 2 * shape.features * int64_t{sizeof(float)};
    }
  }
  if (!packs) return nullptr;
  return context.device.MakeNorm(std::move(source));
}

}  // namespace dyad
