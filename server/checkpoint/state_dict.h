// A state dict's pickle -> its tensors by name, with numbers as written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/checkpoint/pickle_value.h"

namespace dyad {

struct StateDictEntry {
  std::string_view name;  // a valid tensor name
  PickledStorage storage;
  int64_t offset = 0;            // in elements; may be anything
  std::vector<int64_t> shape;    // at most kMaxDimensions numbers; may be anything
  std::vector<int64_t> strides;  // as many as shape
};

// The top of the pickle must be a dict of tensors by name, or a dict that holds one under
// "state_dict" (whose other keys are ignored, as training checkpoints have them: epoch, optimizer,
// …). `pickle` must outlive the result. Nothing is executed (pickle_machine.h). Errors:
// InvalidArgument, DataLoss; without the file's name.
absl::StatusOr<std::vector<StateDictEntry>> ReadStateDict(std::span<const std::byte> pickle);

}  // namespace dyad
