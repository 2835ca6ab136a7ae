// kernels/cuda/open.h.
#include "kernels/cuda/open.h"

#ifdef DYAD_WITH_CUDA

#include <utility>

#include "kernels/cuda/device.h"

namespace dyad::kernels::cuda {

OpenedDevices OpenDevices(int ordinal, int count, int threads) {
  OpenedDevices opened;
  const auto pool = std::make_shared<ThreadPool>(threads);
  for (int i = 0; i < count; ++i) {
    Runtime::Opened runtime = Runtime::Open(ordinal);
    if (!runtime.fault.empty()) return {{}, std::move(runtime.fault)};
    opened.devices.push_back(
        std::make_unique<CudaDevice>(std::move(runtime.runtime), ordinal, pool));
  }
  return opened;
}

}  // namespace dyad::kernels::cuda

#else

namespace dyad::kernels::cuda {

OpenedDevices OpenDevices(int, int, int) {
  return {{}, "this build has no CUDA (DYAD_CUDA=OFF, or nvcc was not found)"};
}

}  // namespace dyad::kernels::cuda

#endif  // DYAD_WITH_CUDA
