// The devices that a word of --device stands for.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/arithmetic.h"
#include "kernels/device.h"
#include "server/base/log_line.h"
#include "server/device_word.h"

namespace dyad {

struct DeviceWish {
  DeviceChoice choice;
  int count = 1;    // one for each model; they share what they run on
  int threads = 1;  // of the host, [1, 256]
  // None: accurate on CUDA, else exact.
  std::optional<kernels::Arithmetic> arithmetic = {};
};
// Errors: no CUDA in this build, no driver, no such device, in CUDA's words; an arithmetic that the
// device does not have.
absl::StatusOr<std::vector<std::unique_ptr<kernels::Device>>> MakeDevices(const DeviceWish& wish);

// What a legal word of --device stands for. What auto comes to, and why, is logged.
DeviceChoice ChooseDevice(std::string_view word, const LogFunction& log);

}  // namespace dyad
