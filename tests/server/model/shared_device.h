// The device of tests that do not care whose it is.
#pragma once

#include "kernels/devices.h"

namespace dyad::testing {

// A CPU with two threads; never destroyed.
inline kernels::Device& SharedDevice() {
  static auto* device = kernels::MakeCpuDevice({.threads = 2}).release();
  return *device;
}

}  // namespace dyad::testing
