// Makes devices.
#pragma once

#include <memory>
#include <vector>

#include "kernels/arithmetic.h"
#include "kernels/device.h"

namespace dyad::kernels {

// When the KV cache takes its memory. kAsUsed: as pages are written, on the time of the steps that
// write them. kInBackground: all of it soon after it is mapped, by a thread of its own.
enum class KvPopulation { kAsUsed, kInBackground };

struct CpuOptions {
  int threads = 1;  // [1, 256], the caller's included
  KvPopulation population = KvPopulation::kAsUsed;
  Arithmetic arithmetic = Arithmetic::kExact;  // or any that IsOfTheCpu
};

// `count` devices on this machine's processors that share the threads: one for each model.
std::vector<std::unique_ptr<Device>> MakeCpuDevices(int count, const CpuOptions& options);
std::unique_ptr<Device> MakeCpuDevice(const CpuOptions& options);

}  // namespace dyad::kernels
