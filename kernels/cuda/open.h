// Opens CUDA devices, in builds that have CUDA and in those that have not.
#pragma once

#include <memory>
#include <vector>

#include "kernels/arithmetic.h"
#include "kernels/device.h"
#include "kernels/fault.h"

namespace dyad::kernels::cuda {

struct OpenedDevices {
  std::vector<std::unique_ptr<Device>> devices;
  Fault fault;  // empty: opened. Else CUDA's text, or what is missing
};

struct CudaOptions {
  int ordinal = 0;  // the GPU's number
  int threads = 1;  // of the host, [1, 256], shared by the devices
  Arithmetic arithmetic = Arithmetic::kExact;
};

// `count` devices on one GPU, one for each model, each with a stream and memory of its own.
OpenedDevices OpenDevices(int count, const CudaOptions& options);

}  // namespace dyad::kernels::cuda
