// server/device_choice.h.
#include "server/device_choice.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/cuda/open.h"
#include "kernels/devices.h"
#include "kernels/reference/device.h"

namespace dyad {

absl::StatusOr<std::vector<std::unique_ptr<kernels::Device>>> MakeDevices(const DeviceWish& wish) {
  using kernels::Arithmetic;
  std::vector<std::unique_ptr<kernels::Device>> devices;
  const Arithmetic arithmetic = wish.arithmetic.value_or(Arithmetic::kExact);
  const bool on_cpu = wish.choice.kind == DeviceKind::kCpu || wish.choice.kind == DeviceKind::kAuto;
  if (IsOfTheCpu(arithmetic)
          ? !on_cpu
          : arithmetic != Arithmetic::kExact && wish.choice.kind != DeviceKind::kCuda) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--arithmetic is ", std::string(NameOf(arithmetic)),
        IsOfTheCpu(arithmetic) ? "; it needs --device=cpu"
                               : "; there is no usable CUDA device, and the CPU does not have it"));
  }
  switch (wish.choice.kind) {
    case DeviceKind::kReference:
      for (int i = 0; i < wish.count; ++i) {
        devices.push_back(std::make_unique<kernels::reference::ReferenceDevice>());
      }
      return devices;
    case DeviceKind::kCuda: {
      kernels::cuda::OpenedDevices opened = kernels::cuda::OpenDevices(
          wish.count, {.ordinal = wish.choice.ordinal,
                       .threads = wish.threads,
                       .arithmetic = wish.arithmetic.value_or(Arithmetic::kAccurate)});
      if (opened.fault.empty()) return std::move(opened.devices);
      return absl::InvalidArgumentError(
          absl::StrCat("--device is cuda:", wish.choice.ordinal, "; ", opened.fault));
    }
    case DeviceKind::kAuto:
    case DeviceKind::kCpu:
      break;
  }
  return kernels::MakeCpuDevices(wish.count, {.threads = wish.threads,
                                              .population = kernels::KvPopulation::kInBackground,
                                              .arithmetic = arithmetic});
}

DeviceChoice ChooseDevice(std::string_view word, const LogFunction& log) {
  DeviceChoice choice = ParseDevice(word).value_or(DeviceChoice());
  if (choice.kind != DeviceKind::kAuto) return choice;
  const std::string fault = kernels::cuda::OpenDevices(1, {}).fault;
  choice.kind = fault.empty() ? DeviceKind::kCuda : DeviceKind::kCpu;
  log(LogLevel::kInfo, "device chosen",
      {{"device", fault.empty() ? "cuda" : "cpu"}, {"reason", fault.empty() ? "usable" : fault}});
  return choice;
}

}  // namespace dyad
