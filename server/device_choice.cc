// server/device_choice.h.
#include "server/device_choice.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/cuda/open.h"
#include "kernels/devices.h"
#include "kernels/reference/device.h"

namespace dyad {

absl::StatusOr<std::vector<std::unique_ptr<kernels::Device>>> MakeDevices(const DeviceWish& wish) {
  std::vector<std::unique_ptr<kernels::Device>> devices;
  switch (wish.choice.kind) {
    case DeviceKind::kReference:
      for (int i = 0; i < wish.count; ++i) {
        devices.push_back(std::make_unique<kernels::reference::ReferenceDevice>());
      }
      return devices;
    case DeviceKind::kCuda: {
      kernels::cuda::OpenedDevices opened = kernels::cuda::OpenDevices(
          wish.count, {.ordinal = wish.choice.ordinal, .threads = wish.threads});
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
  const std::string fault = kernels::cuda::OpenDevices(1, {}).fault;
  wish.choice.kind = fault.empty() ? DeviceKind::kCuda : DeviceKind::kCpu;
  log(LogLevel::kInfo, "device chosen",
      {{"device", fault.empty() ? "cuda" : "cpu"}, {"reason", fault.empty() ? "usable" : fault}});
  return wish;
}

}  // namespace dyad
