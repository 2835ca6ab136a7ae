// What is queued on a device between two waits or copies: kernels with their arguments, byte for
// byte. A list that comes again is the same work on the same memory, so a recording of it (a CUDA
// graph) can be replayed: one call instead of a hundred.
//
// Threads: one at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "kernels/cuda/launch_shape.h"

namespace dyad::kernels::cuda {

class Launches {
 public:
  void Add(const void* kernel, const LaunchShape& shape, std::span<const LaunchArgument> arguments);
  void Clear();

  int64_t count() const { return static_cast<int64_t>(begins_.size()); }
  // Equal for two lists if and only if all kernels, shapes and bytes of arguments are.
  std::string_view bytes() const { return bytes_; }

  // Launches in order; arguments as cudaLaunchKernel takes them, valid during the call.
  using Run = std::function<void(const void* kernel, const LaunchShape& shape, void** arguments)>;
  void ForEach(const Run& run);

 private:
  std::string bytes_;
  std::vector<size_t> begins_;
};

// Recordings of lists, the longest unused one dropped when there are too many.
template <typename Recording>
class Replays {
 public:
  explicit Replays(size_t most) : most_(most) {}

  // Of this list; null: there is none.
  Recording* Find(std::string_view bytes) {
    const auto at = std::ranges::find(kept_, bytes, &Kept::bytes);
    if (at == kept_.end()) return nullptr;
    kept_.splice(kept_.begin(), kept_, at);
    return &kept_.front().recording;
  }
  // Whether the list came before, so that it may come again. Now and then it says so of another.
  bool CameBefore(std::string_view bytes) {
    if (seen_.size() >= 64 * most_) seen_.clear();
    return !seen_.insert(std::hash<std::string_view>()(bytes)).second;
  }
  Recording* Keep(std::string_view bytes, Recording recording) {
    if (kept_.size() == most_) kept_.pop_back();
    kept_.push_front({std::string(bytes), std::move(recording)});
    return &kept_.front().recording;
  }

 private:
  struct Kept {
    std::string bytes;
    Recording recording;
  };
  const size_t most_;
  std::list<Kept> kept_;  // the last used first
  std::unordered_set<size_t> seen_;
};

}  // namespace dyad::kernels::cuda
