// kernels/cuda/memory.h.
#include "kernels/cuda/memory.h"

#include <cstddef>
#include <cstring>

namespace dyad::kernels::cuda {

void Upload(Runtime& runtime, void* to, const void* from, int64_t bytes) {
  constexpr int64_t kMost = 16 << 20;
  if (bytes == 0) return;
  const PinnedPiece<std::byte> pinned(runtime, std::min(bytes, kMost));
  for (int64_t done = 0; done < bytes; done += kMost) {
    const int64_t count = std::min(kMost, bytes - done);
    std::memcpy(pinned.data(), static_cast<const std::byte*>(from) + done,
                static_cast<size_t>(count));
    runtime.CopyToDevice(static_cast<std::byte*>(to) + done, pinned.data(), count);
    runtime.Wait();
  }
}

}  // namespace dyad::kernels::cuda
