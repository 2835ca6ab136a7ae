// kernels/cuda/attention.h.
#include <cmath>
#include <limits>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/lanes.cuh"
#include "kernels/exact_math.h"
#include "kernels/float16.h"
#include "kernels/step.h"

namespace dyad::kernels::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kGroup = 64;  // keys of a softmax step: part of the definition of the bits
constexpr int kGroups = kThreads / kGroup;  // worked on at once

// Who stores the keys and values of a row: its block, or a kernel before.
enum class Stores { kHere, kBefore };

__device__ __forceinline__ float Widened(float value) { return value; }
__device__ __forceinline__ float Widened(uint16_t bits) { return FromBfloat16(bits); }
__device__ __forceinline__ void Put(float value, float* to) { *to = value; }
__device__ __forceinline__ void Put(float value, uint16_t* to) { *to = ToBfloat16(value); }

template <typename Kv>
__device__ __forceinline__ Kv* KeysOf(const AttentionArgs& p, int64_t page, int64_t head) {
  return reinterpret_cast<Kv*>(static_cast<unsigned char*>(p.kv) + page * p.page_bytes) +
         head * p.shape.head_size * kPageTokens;
}
template <typename Kv>
__device__ __forceinline__ Kv* ValuesOf(const AttentionArgs& p, int64_t page, int64_t head) {
  return KeysOf<Kv>(p, page, p.shape.heads) + head * kPageTokens * p.padded_head_size;
}

// Dimension d of a vector at some position after rotation: pairs (i, i + rotary_size / 2) turn.
__device__ __forceinline__ float RotatedAt(const AttentionArgs& p, const float* from,
                                           int64_t position, int64_t d) {
  const int64_t half = p.shape.rotary_size / 2;
  if (d >= 2 * half) return from[d];
  const int64_t i = d < half ? d : d - half;
  const exact::Point turned = exact::Rotate({from[i], from[i + half]}, p.cos[position * half + i],
                                            p.sin[position * half + i]);
  return d < half ? turned.a : turned.b;
}

// Stores a row of one head in a slot, by all threads of the block.
template <typename Kv>
__device__ __forceinline__ void Store(const AttentionArgs& p, int64_t row, int64_t slot,
                                      int64_t head) {
  const int64_t place = slot % kPageTokens;
  const float* const k = p.k.data + row * p.k.stride + head * p.head_stride;
  const float* const v = p.v.data + row * p.v.stride + head * p.head_stride;
  Kv* const keys = KeysOf<Kv>(p, slot / kPageTokens, head) + place;
  Kv* const values = ValuesOf<Kv>(p, slot / kPageTokens, head) + place * p.padded_head_size;
  for (int64_t d = threadIdx.x; d < p.padded_head_size; d += kThreads) {
    const bool inside = d < p.shape.head_size;
    if (inside) Put(RotatedAt(p, k, p.positions[row], d), keys + d * kPageTokens);
    Put(inside ? v[d] : 0.0f, values + d);
  }
}

// Grid: x = what is stored, y = head. Block: 128 threads over dimensions.
template <typename Kv>
__global__ void __launch_bounds__(kThreads, 1) StoreRows(const AttentionArgs p) {
  LaunchLaterKernel();
  WaitForEarlierKernel();
  Store<Kv>(p, p.store_rows[blockIdx.x], p.store_slots[blockIdx.x], blockIdx.y);
}

// Rows of one sequence, one after the other, that a block attends for. Row r sees first_keys + r
// keys; rows past `count` are none.
struct Rows {
  int64_t first = 0;
  int count = 0;
  int64_t first_keys = 0;
  const int32_t* pages = nullptr;

  __device__ __forceinline__ int64_t KeysOf(int r) const { return r < count ? first_keys + r : 0; }
};

// In shared memory, of kRows rows.
template <int kRows>
struct Shared {
  float* query;    // [head_size][kRows], rotated
  float* sums;     // [kRows][head_size], Σ weight · value
  float* scores;   // [kThreads][kRows], then the weights e^(score - maximum)
  float* maximum;  // [kRows][kGroups]: of a group alone
  float* total;    // [kRows][kGroups]: of its weights

  static constexpr int Floats(int head_size) {
    return kRows * (2 * head_size + kThreads + 2 * kGroups);
  }
};

// Scores of up to kThreads keys from `first` on; those past a row's own are minus infinity.
template <typename Kv, int kRows>
__device__ __forceinline__ void Score(const AttentionArgs& p, const Shared<kRows>& s,
                                      const Rows& rows, int64_t head, int64_t first) {
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t key = first + thread;
  float sum[kRows] = {};
  if (key < rows.first_keys + rows.count - 1) {
    const Kv* const at = KeysOf<Kv>(p, rows.pages[key / kPageTokens], head) + key % kPageTokens;
#pragma unroll 32
    for (int64_t d = 0; d < p.shape.head_size; ++d) {
      const float k = Widened(at[d * kPageTokens]);
#pragma unroll
      for (int r = 0; r < kRows; ++r) sum[r] = std::fma(s.query[d * kRows + r], k, sum[r]);
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    s.scores[thread * kRows + r] =
        key < rows.KeysOf(r) ? sum[r] * p.shape.scale : -std::numeric_limits<float>::infinity();
  }
}

// sums + Σ weight · value of dimension d, key by key, over kPages whole pages, all of which are
// loaded together; for kOwn rows from `r` on.
template <typename Kv, int kRows, int kOwn, int kPages>
__device__ __forceinline__ void AddPages(const AttentionArgs& p, const int32_t* pages, int64_t head,
                                         int64_t d, const float* weights, float (&sums)[kOwn]) {
  float values[kPages * kPageTokens];
#pragma unroll
  for (int page = 0; page < kPages; ++page) {
    const Kv* const from = ValuesOf<Kv>(p, pages[page], head) + d;
#pragma unroll
    for (int i = 0; i < kPageTokens; ++i) {
      values[page * kPageTokens + i] = Widened(from[i * p.padded_head_size]);
    }
  }
#pragma unroll
  for (int i = 0; i < kPages * kPageTokens; ++i) {
#pragma unroll
    for (int r = 0; r < kOwn; ++r) {
      sums[r] = std::fma(weights[i * kRows + r], values[i], sums[r]);
    }
  }
}

// The same for the keys of a page that are before counts[r] of it, for each row.
template <typename Kv, int kRows, int kOwn>
__device__ __forceinline__ void AddKeys(const AttentionArgs& p, int32_t page, int64_t head,
                                        int64_t d, const float* weights,
                                        const int64_t (&counts)[kOwn], float (&sums)[kOwn]) {
  const Kv* const from = ValuesOf<Kv>(p, page, head) + d;
  for (int i = 0; i < kPageTokens; ++i) {
    if (i >= counts[0] && i >= counts[kOwn - 1]) break;
    const float value = Widened(from[i * p.padded_head_size]);
#pragma unroll
    for (int r = 0; r < kOwn; ++r) {
      if (i < counts[r]) sums[r] = std::fma(weights[i * kRows + r], value, sums[r]);
    }
  }
}

// Softmax of the kGroups groups of scores from key `first` on: scores become weights. What every
// thread keeps count of, for each row and group: the largest score before it and after it.
template <int kRows>
struct Largest {
  float before[kRows][kGroups], after[kRows][kGroups];
};
template <int kRows>
__device__ __forceinline__ void Weigh(const Shared<kRows>& s, float (&maximum)[kRows],
                                      Largest<kRows>& largest) {
  const int thread = static_cast<int>(threadIdx.x);
  // 16 lanes for each group of each row: whole warps.
  constexpr int kFolding = kRows * kGroups * kLanes;
  const int of = thread / kLanes, r = of / kGroups, g = of % kGroups, lane = thread % kLanes;
  float* const mine = s.scores + (g * kGroup + lane) * kRows + r;
  if (thread < kFolding) {
    float most = mine[0];
    for (int i = kLanes; i < kGroup; i += kLanes) most = Larger(most, mine[i * kRows]);
    most = LaneMax(most);
    if (lane == 0) s.maximum[of] = most;
  }
  __syncthreads();
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
      largest.before[row][group] = maximum[row];
      maximum[row] = Larger(maximum[row], s.maximum[row * kGroups + group]);
      largest.after[row][group] = maximum[row];
    }
    const float of_mine =
        thread / kGroup == 0 ? largest.after[row][0] : largest.after[row][kGroups - 1];
    float& score = s.scores[thread * kRows + row];
    score = exact::Exp(score - of_mine);
  }
  __syncthreads();
  if (thread < kFolding) {
    float total = 0;
    for (int i = 0; i < kGroup; i += kLanes) total = total + mine[i * kRows];
    total = LaneSum(total);
    if (lane == 0) s.total[of] = total;
  }
  __syncthreads();
}

// Grid:   x = row, or a group of rows (AttentionArgs::groups) where kRows > 1; y = head. Row and
//         head see every key up to the row's own.
// Block:  128 threads: over keys for scores and weights, over dimensions for values.
// Shared: Shared::Floats.
template <typename Kv, int kRows, Stores stores>
__global__ void __launch_bounds__(kThreads, 1) AttendRows(const AttentionArgs p) {
  LaunchLaterKernel();
  const int thread = static_cast<int>(threadIdx.x);
  const int head_size = static_cast<int>(p.shape.head_size);
  const int64_t head = blockIdx.y;
  float* const memory = reinterpret_cast<float*>(DynamicShared());
  Shared<kRows> s;
  s.query = memory;
  s.sums = s.query + kRows * head_size;
  s.scores = s.sums + kRows * head_size;
  s.maximum = s.scores + kRows * kThreads;
  s.total = s.maximum + kRows * kGroups;
  Rows rows = {.first = blockIdx.x, .count = 1};
  if (kRows > 1) rows.first = p.groups[blockIdx.x].first, rows.count = p.groups[blockIdx.x].count;
  // The step's arrays were there before its first kernel.
  const int64_t position = p.positions[rows.first];
  rows.first_keys = position + 1;
  rows.pages = p.pages + p.first_pages[rows.first];
  WaitForEarlierKernel();

  if (stores == Stores::kHere) Store<Kv>(p, rows.first, p.store_slots[rows.first], head);
  for (int i = thread; i < kRows * head_size; i += kThreads) {
    const int r = i % kRows, d = i / kRows;
    const int64_t row = rows.first + (r < rows.count ? r : 0);
    const float* const q = p.q.data + row * p.q.stride + head * p.head_stride;
    s.query[i] = RotatedAt(p, q, p.positions[row], d);
    s.sums[i] = 0;
  }

  constexpr int kOwn = kRows == 1 ? 1 : 2;  // rows of a thread, in sums of values
  float maximum[kRows], weight_sum[kRows] = {};
#pragma unroll
  for (int r = 0; r < kRows; ++r) maximum[r] = -std::numeric_limits<float>::infinity();
  const int64_t end = rows.first_keys + rows.count - 1;
  for (int64_t first = 0; first < end; first += kThreads) {
    __syncthreads();
    Score<Kv>(p, s, rows, head, first);
    __syncthreads();
    Largest<kRows> largest;
    Weigh<kRows>(s, maximum, largest);
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      const int64_t first_key = first + g * kGroup;
      if (first_key >= end) break;
      float rescale[kRows];
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        rescale[r] = 1;
        if (first_key >= rows.KeysOf(r)) continue;
        rescale[r] = exact::Exp(largest.before[r][g] - largest.after[r][g]);
        weight_sum[r] = std::fma(weight_sum[r], rescale[r], s.total[r * kGroups + g]);
      }
      for (int item = thread; item < kRows / kOwn * head_size; item += kThreads) {
        const int d = item % head_size, row = item / head_size * kOwn;
        float sums[kOwn];
        int64_t counts[kOwn], most = 0;
#pragma unroll
        for (int r = 0; r < kOwn; ++r) {
          float by = rescale[r];
          if (kRows > kOwn && row > 0) by = rescale[kRows - kOwn + r];
          sums[r] = s.sums[(row + r) * head_size + d] * by;
          counts[r] = rows.KeysOf(row + r) - first_key;
          most = counts[r] > most ? counts[r] : most;
        }
        const int32_t* const pages = rows.pages + first_key / kPageTokens;
        const float* const weights = s.scores + g * kGroup * kRows + row;
        constexpr int kTogether = kRows == 1 ? kGroup / kPageTokens : 1;
        constexpr int kKeys = kTogether * kPageTokens;
        int64_t key = 0;
        for (; key + kKeys <= kGroup && key + kKeys <= counts[0]; key += kKeys) {
          AddPages<Kv, kRows, kOwn, kTogether>(p, pages + key / kPageTokens, head, d,
                                               weights + key * kRows, sums);
        }
        for (; key < kGroup && key < most; key += kPageTokens) {
          int64_t left[kOwn];
#pragma unroll
          for (int r = 0; r < kOwn; ++r) left[r] = counts[r] - key;
          AddKeys<Kv, kRows, kOwn>(p, pages[key / kPageTokens], head, d, weights + key * kRows,
                                   left, sums);
        }
#pragma unroll
        for (int r = 0; r < kOwn; ++r) s.sums[(row + r) * head_size + d] = sums[r];
      }
    }
  }
  for (int item = thread; item < kRows / kOwn * head_size; item += kThreads) {
    const int d = item % head_size, row = item / head_size * kOwn;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (r < row || r >= row + kOwn || r >= rows.count) continue;
      p.out.data[(rows.first + r) * p.out.stride + head * head_size + d] =
          s.sums[r * head_size + d] / weight_sum[r];
    }
  }
}

template <typename Kv>
void Launch(Runtime& runtime, const AttentionArgs& args) {
  const auto heads = static_cast<unsigned>(args.shape.heads);
  const auto launch = [&](auto kernel, int64_t blocks, int floats) {
    runtime.Launch({.grid = {static_cast<unsigned>(blocks), heads},
                    .block = {kThreads},
                    .shared_bytes = static_cast<size_t>(floats) * sizeof(float)},
                   kernel, args);
  };
  const int head_size = static_cast<int>(args.shape.head_size);
  if (args.groups == nullptr) {
    return launch(AttendRows<Kv, 1, Stores::kHere>, args.rows, Shared<1>::Floats(head_size));
  }
  launch(StoreRows<Kv>, args.stores, 0);
  launch(AttendRows<Kv, kGroupRows, Stores::kBefore>, args.group_count,
         Shared<kGroupRows>::Floats(head_size));
}

}  // namespace

void LaunchAttention(Runtime& runtime, const AttentionArgs& args) {
  switch (args.type) {
    case KvType::kFloat32:
      return Launch<float>(runtime, args);
    case KvType::kBfloat16:
      return Launch<uint16_t>(runtime, args);
    case KvType::kInt8:  // CudaDevice::MissesKv
      return;
  }
}

}  // namespace dyad::kernels::cuda
