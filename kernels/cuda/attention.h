// Paged attention on the device, with the CPU's bits (kernels/cpu/attention.cc): groups of 64 keys
// in order of position, each with its maximum, its weights and a rescaling of what came before.
#pragma once

#include <cstdint>

#include "kernels/attention.h"
#include "kernels/cuda/contract.h"
#include "kernels/cuda/runtime.h"

namespace dyad::kernels::cuda {

// Neighbouring rows of one chunk, which read its keys and values together.
struct RowRun {
  int32_t first = 0, count = 0;  // [1, kGroupRows] rows
};
inline constexpr int kGroupRows = 4;

struct AttentionArgs {
  int64_t rows = 0;
  AttentionShape shape;
  int64_t padded_head_size = 0;  // elements of a value row
  const float* cos = nullptr;    // [positions, rotary_size / 2]
  const float* sin = nullptr;

  DeviceRows q = {}, k = {}, v = {};
  int64_t head_stride = 0;
  DeviceRows out = {};

  KvType type = KvType::kFloat32;
  void* kv = nullptr;  // of a layer: pages as kernels/cpu/kv_layout.h has them
  int64_t page_bytes = 0;

  const int32_t* positions = nullptr;    // [rows]
  const int32_t* first_pages = nullptr;  // [rows]: where in `pages` a row's sequence begins
  const int32_t* pages = nullptr;
  const int32_t* store_rows = nullptr;  // [stores]: rows, and the slots where they are stored
  const int64_t* store_slots = nullptr;
  int64_t stores = 0;
  // Null: each row is of a sequence of its own and stored once.
  const RowRun* groups = nullptr;
  int64_t group_count = 0;
};

// Stores keys (rotated) and values, then attends. Shapes: as Device::Attend.
void LaunchAttention(Runtime& runtime, const AttentionArgs& args);

}  // namespace dyad::kernels::cuda
