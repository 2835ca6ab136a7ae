// The rule of a stall.
#include "server/engine/engine_status.h"

#include "absl/strings/str_cat.h"

namespace dyad::engine {
namespace {

// One step may fail by its requests, by a moment without memory; three in a row by the model.
constexpr int32_t kFailedSteps = 3;

}  // namespace

std::string StallReason(const EngineStatus& status, absl::Duration stall_timeout) {
  if (!status.lost.empty()) return absl::StrCat("the device is lost: ", status.lost);
  if (status.since_last_step > stall_timeout) {
    return absl::StrCat("work is pending and no step has ended for ",
                        absl::ToInt64Seconds(status.since_last_step), " s");
  }
  if (status.failed_steps >= kFailedSteps) {
    return absl::StrCat("the last ", status.failed_steps, " steps failed");
  }
  return "";
}

}  // namespace dyad::engine
