// Opens CUDA devices, in builds that have CUDA and in those that have not.
#pragma once

#include <memory>
#include <vector>

#include "kernels/device.h"
#include "kernels/fault.h"

namespace dyad::kernels::cuda {

struct OpenedDevices {
  std::vector<std::unique_ptr<Device>> devices;
  Fault fault;  // empty: opened. Else CUDA's text, or what is missing
};

// `count` devices on the GPU of this number, one for each model, each with a stream and memory of
// its own; `threads` of the host, [1, 256], are shared.
OpenedDevices OpenDevices(int ordinal, int count, int threads);

}  // namespace dyad::kernels::cuda
