// kernels/devices.h.
#include "kernels/devices.h"

#include <utility>

#include "kernels/cpu/device.h"

namespace dyad::kernels {

std::vector<std::unique_ptr<Device>> MakeCpuDevices(int count, const CpuOptions& options) {
  const auto threads = std::make_shared<ThreadPool>(options.threads);
  std::vector<std::unique_ptr<Device>> devices;
  for (int i = 0; i < count; ++i) {
    devices.push_back(std::make_unique<CpuDevice>(threads, options));
  }
  return devices;
}

std::unique_ptr<Device> MakeCpuDevice(const CpuOptions& options) {
  return std::move(MakeCpuDevices(1, options).front());
}

}  // namespace dyad::kernels
