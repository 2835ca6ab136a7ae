// What a launch of a kernel is, apart from the kernel.
#pragma once

#include <cstddef>

namespace dyad::kernels::cuda {

struct Extent {
  unsigned x = 1, y = 1, z = 1;
};

struct LaunchShape {
  Extent grid;  // a launch of no blocks is none
  Extent block;
  size_t shared_bytes = 0;  // of a block; what kernels see as DynamicShared()
};

struct LaunchArgument {
  const void* data = nullptr;
  size_t bytes = 0;
};

}  // namespace dyad::kernels::cuda
