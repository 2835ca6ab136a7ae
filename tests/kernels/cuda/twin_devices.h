// A CUDA device beside the CPU: what both compute has the same bits. In tests/cuda_on_cpu it is one
// that the CPU plays; the same tests run on a GPU (tests/gpu_check.sh).
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "kernels/cuda/device.h"
#include "kernels/devices.h"
#include "tests/kernels/sample_layers.h"

namespace dyad::kernels::cuda {

inline std::unique_ptr<Device> MakeCuda(int threads = 1,
                                        Arithmetic arithmetic = Arithmetic::kExact) {
  return std::make_unique<CudaDevice>(Runtime::Open(0).runtime, 0, arithmetic,
                                      std::make_shared<ThreadPool>(threads));
}

// The first value whose bits differ, or −1. Payloads of NaN do not count.
inline int64_t FirstDifferent(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const bool numbers = a[i] == a[i] || b[i] == b[i];
    if (numbers && std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i])) {
      return static_cast<int64_t>(i);
    }
  }
  return -1;
}

// Two devices; On… is called for each in turn with what belongs to it.
struct TwinDevices {
  std::unique_ptr<Device> cuda = MakeCuda();
  std::unique_ptr<Device> cpu = MakeCpuDevice({.threads = 1});

  // Of `use` on both: the values that it returns.
  template <typename Use>
  void ExpectSame(Use use) const {
    const std::vector<float> found = use(*cuda), expected = use(*cpu);
    const int64_t at = FirstDifferent(found, expected);
    if (at < 0) return;
    ASSERT_EQ(found.size(), expected.size());
    ADD_FAILURE() << "value " << at << " of " << found.size() << ": " << found[at]
                  << ", the CPU has " << expected[at];
  }
};

inline Matrix Filled(Device& device, int64_t rows, int64_t columns, uint32_t seed) {
  const Matrix matrix = device.Allocate(rows, columns);
  device.Write(matrix, RandomFloats(rows * columns, seed));
  return matrix;
}

}  // namespace dyad::kernels::cuda
