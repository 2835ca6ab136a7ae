// server/self_check.h.
#include "server/self_check.h"

#include <cmath>
#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/isa.h"
#include "kernels/reference/device_check.h"
#include "server/base/status_macros.h"

namespace dyad {

absl::Status CheckKernels(const std::vector<std::unique_ptr<kernels::Device>>& devices) {
  using kernels::reference::CheckDevice;
  kernels::Fault fault;
  for (size_t i = 0; i < std::size(kCheckedKvTypes) && fault.empty(); ++i) {
    if (!devices[i]->MissesKv({}, kCheckedKvTypes[i]).empty()) continue;
    fault = CheckDevice(*devices[i], kCheckedKvTypes[i]);
  }
  if (fault.empty()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("self-check failed with instruction set ",
                                          std::string(kernels::CurrentIsa()), ": ", fault,
                                          "; another --cpu_isa may work on this machine"));
}

absl::Status WarmUp(engine::Model& model) {
  const std::vector<int32_t> pages = {0};
  engine::Batch batch;
  batch.ids = {0};
  batch.chunks = {{0, 1, 0, pages}};
  batch.draws = {{.row = 0}};
  ASSIGN_OR_RETURN(const engine::StepResult result, model.Step(batch));
  if (std::isfinite(result.drawn[0].logprob)) return absl::OkStatus();
  return absl::InternalError("the warm-up step gave a log-probability that is not finite");
}

}  // namespace dyad
