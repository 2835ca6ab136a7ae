// server/device_choice.h.
#include "server/device_choice.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/cuda/open.h"
#include "kernels/devices.h"
#include "kernels/reference/device.h"

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

absl::StatusOr<std::vector<std::unique_ptr<kernels::Device>>> MakeDevices(const DeviceWish& wish) {
  std::vector<std::unique_ptr<kernels::Device>> devices;
  switch (wish.choice.kind) {
    case DeviceKind::kReference:
      for (int i = 0; i < wish.count; ++i) {
        devices.push_back(std::make_unique<kernels::reference::ReferenceDevice>());
      }
      return devices;
    case DeviceKind::kCuda: {
      kernels::cuda::OpenedDevices opened =
          kernels::cuda::OpenDevices(wish.choice.ordinal, wish.count, wish.threads);
      if (opened.fault.empty()) return std::move(opened.devices);
      return absl::InvalidArgumentError(
          absl::StrCat("--device is cuda:", wish.choice.ordinal, "; ", opened.fault));
    }
    case DeviceKind::kAuto:
    case DeviceKind::kCpu:
      break;
  }
  return kernels::MakeCpuDevices(
      wish.count, {.threads = wish.threads, .population = kernels::KvPopulation::kInBackground});
}

DeviceWish WishOf(std::string_view word, int threads, const LogFunction& log) {
  DeviceWish wish = {.choice = ParseDevice(word).value_or(DeviceChoice()), .threads = threads};
  if (wish.choice.kind != DeviceKind::kAuto) return wish;
  const std::string fault = kernels::cuda::OpenDevices(0, 1, 1).fault;
  wish.choice.kind = fault.empty() ? DeviceKind::kCuda : DeviceKind::kCpu;
  log(LogLevel::kInfo, "device chosen",
      {{"device", fault.empty() ? "cuda" : "cpu"}, {"reason", fault.empty() ? "usable" : fault}});
  return wish;
}

}  // namespace dyad
