// Before anything is served: do the kernels that were chosen for this machine compute what they
// should?
#pragma once

#include "absl/status/status.h"
#include "kernels/thread_pool.h"
#include "server/engine/model.h"

namespace dyad {

// Runs each kernel once on a tiny shape and compares it with the definition in kernels/reference. A
// compiler, a machine or an emulator that gets an instruction wrong is found here rather than in
// scores. Cost: about a millisecond. Errors: Internal naming kernel, instruction set, found and
// expected.
absl::Status CheckKernels(kernels::ThreadPool& pool);

// One step over one token, so that the first caller does not pay for page faults and lazy set-up.
// Errors: Internal (the step's own, or a log-probability that is not finite).
absl::Status WarmUp(engine::Model& model);

}  // namespace dyad
