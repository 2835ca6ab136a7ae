// kernels/cuda/open.h.
#include "kernels/cuda/open.h"

#ifdef DYAD_WITH_CUDA

#include <utility>

#include "kernels/cuda/device.h"

namespace dyad::kernels::cuda {

OpenedDevices OpenDevices(int count, const CudaOptions& options) {
  OpenedDevices opened;
  const auto pool = std::make_shared<ThreadPool>(options.threads);
  for (int i = 0; i < count; ++i) {
    Runtime::Opened runtime = Runtime::Open(options.ordinal);
    if (!runtime.fault.empty()) return {{}, std::move(runtime.fault)};
    opened.devices.push_back(std::make_unique<CudaDevice>(
        std::move(runtime.runtime), options.ordinal, options.arithmetic, pool));
  }
  return opened;
}

}  // namespace dyad::kernels::cuda

#else

namespace dyad::kernels::cuda {

OpenedDevices OpenDevices(int, const CudaOptions&) {
  return {{}, "this build has no CUDA (DYAD_CUDA=OFF, or nvcc was not found)"};
}

}  // namespace dyad::kernels::cuda

#endif  // DYAD_WITH_CUDA
