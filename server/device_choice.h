// Which device computes: the word of --device, and the devices themselves.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/device.h"
#include "server/base/log_line.h"

namespace dyad {

// kAuto: CUDA if it is usable, else the CPU.
enum class DeviceKind { kCpu, kCuda, kAuto, kReference };

struct DeviceChoice {
  DeviceKind kind = DeviceKind::kCpu;
  int ordinal = 0;  // of CUDA's devices
};

// cpu, cuda, cuda:N with N in [0, 99], auto, reference; else nothing.
std::optional<DeviceChoice> ParseDevice(std::string_view word);

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
