// server/device_word.h.
#include "server/device_word.h"

namespace dyad {

std::optional<DeviceChoice> ParseDevice(std::string_view word) {
  if (word == "cpu") return DeviceChoice{DeviceKind::kCpu};
  if (word == "cuda") return DeviceChoice{DeviceKind::kCuda};
  if (word == "auto") return DeviceChoice{DeviceKind::kAuto};
  if (word == "reference") return DeviceChoice{DeviceKind::kReference};
  constexpr std::string_view kPrefix = "cuda:";
  if (!word.starts_with(kPrefix)) return std::nullopt;
  const std::string_view digits = word.substr(kPrefix.size());
  if (digits.empty() || digits.size() > 2) return std::nullopt;
  int ordinal = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
    ordinal = 10 * ordinal + (digit - '0');
  }
  return DeviceChoice{DeviceKind::kCuda, ordinal};
}

}  // namespace dyad
