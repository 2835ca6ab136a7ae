// The devices that a word of --device stands for.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/device.h"
#include "server/base/log_line.h"
#include "server/device_word.h"

namespace dyad {

struct DeviceWish {
  DeviceChoice choice;
  int count = 1;    // one for each model; they share what they run on
  int threads = 1;  // of the host, [1, 256]
};
// Errors: no CUDA in this build, no driver, no such device, in CUDA's words.
absl::StatusOr<std::vector<std::unique_ptr<kernels::Device>>> MakeDevices(const DeviceWish& wish);

// The wish of a legal word. What auto comes to, and why, is logged.
DeviceWish WishOf(std::string_view word, int threads, const LogFunction& log);

}  // namespace dyad
