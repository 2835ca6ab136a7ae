// kernels/cuda/step_upload.h.
#include "kernels/cuda/step_upload.h"

#include <algorithm>
#include <cstring>

namespace dyad::kernels::cuda {

// The next part of a buffer of `bytes` so far.
template <typename T>
StepUpload::Part StepUpload::PartOf(std::span<const T> values, int64_t& bytes) {
  constexpr int64_t kAlign = 16;
  const Part part = {values.data(), static_cast<int64_t>(values.size_bytes()), bytes};
  bytes += (part.bytes + kAlign - 1) / kAlign * kAlign;
  return part;
}

const std::byte* StepUpload::Queue(Runtime& runtime, std::span<const Part> parts, int64_t bytes,
                                   Buffer& buffer) {
  std::byte* const host = buffer.host.Get(runtime, bytes);
  std::byte* const device = buffer.device.Get(runtime, bytes);
  for (const Part& part : parts) {
    if (part.bytes > 0) std::memcpy(host + part.at, part.from, static_cast<size_t>(part.bytes));
  }
  runtime.CopyToDevice(device, host, bytes);
  return device;
}

void StepUpload::QueueStep(Runtime& runtime, const StepInput& input) {
  first_pages_.clear(), store_rows_.clear(), store_slots_.clear(), groups_.clear();
  bool are_alone = input.also.empty();
  for (const AttentionChunk& chunk : input.chunks) {
    first_pages_.insert(first_pages_.end(), static_cast<size_t>(chunk.tokens), chunk.first_page);
    are_alone = are_alone && chunk.tokens == 1;
    for (int32_t i = 0; i < chunk.tokens; i += kGroupRows) {
      groups_.push_back({chunk.first_row + i, std::min(kGroupRows, chunk.tokens - i)});
    }
  }
  if (are_alone) groups_.clear();
  for (size_t row = 0; row < input.slots.size(); ++row) {
    store_rows_.push_back(static_cast<int32_t>(row));
    store_slots_.push_back(input.slots[row]);
  }
  for (const ExtraStore& store : input.also) {
    store_rows_.push_back(store.row);
    store_slots_.push_back(store.slot);
  }
  int64_t bytes = 0;
  // Pages last: as sequences grow, the others stay where they are, and the step can be replayed.
  const Part parts[] = {PartOf(input.ids, bytes),
                        PartOf(input.positions, bytes),
                        PartOf(std::span<const int32_t>(first_pages_), bytes),
                        PartOf(std::span<const int32_t>(store_rows_), bytes),
                        PartOf(std::span<const int64_t>(store_slots_), bytes),
                        PartOf(std::span<const RowRun>(groups_), bytes),
                        PartOf(input.pages, bytes)};
  const std::byte* const base = Queue(runtime, parts, bytes, of_step_);
  const auto ints = [&](int part) {
    return reinterpret_cast<const int32_t*>(base + parts[part].at);
  };
  step_ = {
      .ids = ints(0),
      .positions = ints(1),
      .first_pages = ints(2),
      .pages = ints(6),
      .store_rows = ints(3),
      .store_slots = reinterpret_cast<const int64_t*>(base + parts[4].at),
      .stores = std::ssize(store_rows_),
      .groups = groups_.empty() ? nullptr : reinterpret_cast<const RowRun*>(base + parts[5].at),
      .group_count = std::ssize(groups_)};
}

void StepUpload::QueueWishes(Runtime& runtime, const StepInput& input, const Wishes& wishes) {
  int64_t bytes = 0;
  const Part parts[] = {PartOf(std::span<const int32_t>(wishes.rows), bytes),
                        PartOf(std::span<const Wish>(wishes.wishes), bytes),
                        PartOf(input.adjustments, bytes), PartOf(input.id_sets, bytes)};
  const std::byte* const base = Queue(runtime, parts, bytes, of_wishes_);
  wishes_ = {.rows = reinterpret_cast<const int32_t*>(base + parts[0].at),
             .wishes = reinterpret_cast<const Wish*>(base + parts[1].at),
             .adjustments = reinterpret_cast<const Adjustment*>(base + parts[2].at),
             .id_sets = reinterpret_cast<const uint8_t*>(base + parts[3].at)};
}

}  // namespace dyad::kernels::cuda
