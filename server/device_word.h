// The word of --device.
#pragma once

#include <optional>
#include <string_view>

namespace dyad {

// kAuto: CUDA if it is usable, else the CPU.
enum class DeviceKind { kCpu, kCuda, kAuto, kReference };

struct DeviceChoice {
  DeviceKind kind = DeviceKind::kCpu;
  int ordinal = 0;  // of CUDA's devices
};

// cpu, cuda, cuda:N with N in [0, 99], auto, reference; else nothing.
std::optional<DeviceChoice> ParseDevice(std::string_view word);

}  // namespace dyad
