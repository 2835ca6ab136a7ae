// A step's arrays in the device's memory: all in one pinned buffer, one copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/finish.h"
#include "kernels/cuda/memory.h"
#include "kernels/step.h"

namespace dyad::kernels::cuda {

// Where the arrays stand; null where they are empty.
struct StepPointers {
  const int32_t* ids = nullptr;
  const int32_t* positions = nullptr;
  const int32_t* first_pages = nullptr;  // [rows]: where in `pages` the row's sequence begins
  const int32_t* pages = nullptr;
  const int32_t* store_rows = nullptr;  // every row, then those that are stored a second time
  const int64_t* store_slots = nullptr;
  int64_t stores = 0;
  const RowRun* groups = nullptr;  // null: every row is a chunk, and stored once
  int64_t group_count = 0;
};

class StepUpload {
 public:
  // REQUIRES: no copy is under way.
  void QueueStep(Runtime& runtime, const StepInput& input);
  void QueueWishes(Runtime& runtime, const StepInput& input, const Wishes& wishes);

  const StepPointers& step() const { return step_; }
  const WishPointers& wishes() const { return wishes_; }

 private:
  // A pinned buffer and its copy on the device.
  struct Buffer {
    Room<std::byte, Where::kPinned> host;
    Room<std::byte> device;
  };
  struct Part {
    const void* from = nullptr;
    int64_t bytes = 0;
    int64_t at = 0;
  };

  template <typename T>
  static Part PartOf(std::span<const T> values, int64_t& bytes);
  static const std::byte* Queue(Runtime& runtime, std::span<const Part> parts, int64_t bytes,
                                Buffer& buffer);

  Buffer of_step_, of_wishes_;
  StepPointers step_;
  WishPointers wishes_;
  std::vector<int32_t> first_pages_, store_rows_;
  std::vector<int64_t> store_slots_;
  std::vector<RowRun> groups_;
};

}  // namespace dyad::kernels::cuda
