// One CUDA device with one stream: memory, copies, launches. The only door to the CUDA runtime.
//
// Two implementations: runtime.cu on CUDA, and tests/cuda_on_cpu/runtime.cc, which runs the same
// kernels on the CPU. What is queued runs in order and is done after Wait.
//
// Errors: the first one is kept. From then on nothing is queued, nothing waits, and memory is
// refused: a CUDA error stays, and only a new process can try again.
//
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>

#include "kernels/cuda/launch_shape.h"
#include "kernels/fault.h"

namespace dyad::kernels::cuda {

struct DeviceProperties {
  std::string name;          // "NVIDIA H100 80GB HBM3"
  int major = 0, minor = 0;  // compute capability
  int64_t free_bytes = 0;    // of its memory, now
};

class Runtime {
 public:
  struct Opened {
    std::unique_ptr<Runtime> runtime;
    Fault fault;  // empty: opened
  };
  // The device of this number, [0, devices). Fault: CUDA's text, or what there is and what is
  // needed.
  static Opened Open(int ordinal);

  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  DeviceProperties properties() const;
  int multiprocessors() const;
  bool has_bulk_copies() const;      // compute capability 9.0 or later
  const std::string& error() const;  // empty: none

  // Null: no memory, which is no error, or an error. Aligned to 256 bytes; not initialised.
  void* Allocate(int64_t bytes);
  void Free(void* memory);
  void* AllocateHost(int64_t bytes);  // pinned
  void FreeHost(void* memory);

  // Host memory is pinned, and stays as it is until Wait.
  void CopyToDevice(void* to, const void* from, int64_t bytes);
  void CopyToHost(void* to, const void* from, int64_t bytes);
  void SetZero(void* to, int64_t bytes);
  // Until all that was queued is done.
  void Wait();

  // Queues a kernel. Only launchers, which are compiled as its kernel is, call it. Kernels go to
  // the device together, at the next copy or wait; the same kernels in a row, with the same bytes
  // of arguments, are recorded when they come again, and replayed from then on.
  template <typename... Parameters>
  void Launch(const LaunchShape& shape, void (*kernel)(Parameters...),
              std::type_identity_t<Parameters>... arguments) {
    if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
#ifdef __CUDACC__
    const LaunchArgument all[] = {{&arguments, sizeof(arguments)}...};
    LaunchKernel(reinterpret_cast<const void*>(kernel), shape, all);
#else
    LaunchBody(shape, [=] { kernel(arguments...); });
#endif
  }

 private:
  struct State;
  explicit Runtime(std::unique_ptr<State> state);

  void LaunchKernel(const void* kernel, const LaunchShape& shape,
                    std::span<const LaunchArgument> arguments);
  void LaunchBody(const LaunchShape& shape, std::function<void()> body);

  const std::unique_ptr<State> state_;
};

}  // namespace dyad::kernels::cuda
