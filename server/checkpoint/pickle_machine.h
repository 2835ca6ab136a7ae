// Interprets the part of Python's pickle format that torch.save writes for state dicts, and refuses
// the rest. It has no way to import, call or execute anything: a global is a row of a table or an
// error.
#pragma once

#include <cstddef>
#include <span>

#include "absl/status/statusor.h"
#include "server/checkpoint/pickle_value.h"

namespace dyad {

// Honest pickles need about 25 operations a tensor; these bounds allow 20,000 tensors and keep the
// memory of the worst pickle under 64 MiB.
inline constexpr size_t kMaxPickleOperations = size_t{1} << 19;
inline constexpr size_t kMaxPickleStack = size_t{1} << 16;
inline constexpr size_t kMaxPickleMarks = 256;  // containers that are open inside each other

// Protocols 2 to 5. Allowed globals: collections.OrderedDict, torch._utils._rebuild_tensor_v2,
// torch._utils._rebuild_parameter, torch.FloatStorage and its like (the types of StoredType). BUILD
// is accepted on dicts, its state (`_metadata`) is dropped. `pickle` must outlive the result, which
// points into it. Errors: InvalidArgument, or DataLoss where the pickle ends early: position, what
// was found, expected.
absl::StatusOr<PickleObjects> RunPickle(std::span<const std::byte> pickle);

}  // namespace dyad
