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

// Grid: x = what is stored, y = head. Block: 128 threads over dimensions.
template <typename Kv>
__global__ void __launch_bounds__(kThreads, 1) StoreRows(const AttentionArgs p) {
  LaunchLaterKernel();
  WaitForEarlierKernel();
  const int64_t row = p.store_rows[blockIdx.x], slot = p.store_slots[blockIdx.x];
  const int64_t head = blockIdx.y, place = slot % kPageTokens;
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

struct Shared {
  float* query;    // [head_size], rotated
  float* sums;     // [head_size], Σ weight · value
  float* scores;   // [kThreads], then the weights e^(score - maximum)
  float* maximum;  // [kGroups]: of a group alone
  float* total;    // [kGroups]: of its weights
};

// Scores of up to kThreads keys from `first` on; those past the row's own are minus infinity.
template <typename Kv>
__device__ __forceinline__ void Score(const AttentionArgs& p, const Shared& s, const int32_t* pages,
                                      int64_t head, int64_t first, int64_t keys) {
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t key = first + thread;
  float score = -std::numeric_limits<float>::infinity();
  if (key < keys) {
    const Kv* const at = KeysOf<Kv>(p, pages[key / kPageTokens], head) + key % kPageTokens;
    float sum = 0;
#pragma unroll 32
    for (int64_t d = 0; d < p.shape.head_size; ++d) {
      sum = std::fma(s.query[d], Widened(at[d * kPageTokens]), sum);
    }
    score = sum * p.shape.scale;
  }
  s.scores[thread] = score;
}

// sum + Σ weight · value of dimension d, key by key, over whole pages; all are loaded together.
template <typename Kv, int kPages>
__device__ __forceinline__ float AddPages(const AttentionArgs& p, const int32_t* pages,
                                          int64_t head, int64_t d, const float* weights,
                                          float sum) {
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
  for (int i = 0; i < kPages * kPageTokens; ++i) sum = std::fma(weights[i], values[i], sum);
  return sum;
}

// Grid:   x = row, y = head. Row and head see every key up to the row's own.
// Block:  128 threads: over keys for scores and weights, over dimensions for values.
// Shared: (2 · head_size + 132) floats.
template <typename Kv>
__global__ void __launch_bounds__(kThreads, 1) AttendRows(const AttentionArgs p) {
  LaunchLaterKernel();
  WaitForEarlierKernel();
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t row = blockIdx.x, head = blockIdx.y, head_size = p.shape.head_size;
  const int64_t position = p.positions[row], keys = position + 1;
  const int32_t* const pages = p.pages + p.first_pages[row];
  float* const memory = reinterpret_cast<float*>(DynamicShared());
  const Shared s = {memory, memory + head_size, memory + 2 * head_size,
                    memory + 2 * head_size + kThreads, memory + 2 * head_size + kThreads + kGroups};

  const float* const q = p.q.data + row * p.q.stride + head * p.head_stride;
  for (int64_t d = thread; d < head_size; d += kThreads) {
    s.query[d] = RotatedAt(p, q, position, d);
    s.sums[d] = 0;
  }
  float maximum = -std::numeric_limits<float>::infinity(), weight_sum = 0;
  for (int64_t first = 0; first < keys; first += kThreads) {
    __syncthreads();
    Score<Kv>(p, s, pages, head, first, keys);
    __syncthreads();
    if (thread < kGroups * kLanes) {  // whole warps
      const float* const scores = s.scores + thread / kLanes * kGroup + thread % kLanes;
      float most = scores[0];
      for (int i = kLanes; i < kGroup; i += kLanes) most = Larger(most, scores[i]);
      most = LaneMax(most);
      if (thread % kLanes == 0) s.maximum[thread / kLanes] = most;
    }
    __syncthreads();
    // The largest so far, at the end of each group; every thread keeps count.
    float before[kGroups], after[kGroups];
    float largest = maximum;
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      before[g] = largest;
      largest = Larger(largest, s.maximum[g]);
      after[g] = largest;
    }
    maximum = largest;
    const float of_mine = thread / kGroup == 0 ? after[0] : after[kGroups - 1];
    s.scores[thread] = exact::Exp(s.scores[thread] - of_mine);
    __syncthreads();
    if (thread < kGroups * kLanes) {
      const float* const weights = s.scores + thread / kLanes * kGroup + thread % kLanes;
      float total = 0;
      for (int i = 0; i < kGroup; i += kLanes) total = total + weights[i];
      total = LaneSum(total);
      if (thread % kLanes == 0) s.total[thread / kLanes] = total;
    }
    __syncthreads();
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      const int64_t first_key = first + g * kGroup;
      if (first_key >= keys) break;
      const int64_t count = keys - first_key < kGroup ? keys - first_key : kGroup;
      const float rescale = exact::Exp(before[g] - after[g]);
      weight_sum = std::fma(weight_sum, rescale, s.total[g]);
      for (int64_t d = thread; d < head_size; d += kThreads) {
        float sum = s.sums[d] * rescale;
        const float* const weights = s.scores + g * kGroup;
        if (count == kGroup) {
          sum = AddPages<Kv, kGroup / kPageTokens>(p, pages + first_key / kPageTokens, head, d,
                                                   weights, sum);
        } else {
          const int64_t whole = count / kPageTokens;
          for (int64_t i = 0; i < whole; ++i) {
            sum = AddPages<Kv, 1>(p, pages + first_key / kPageTokens + i, head, d,
                                  weights + i * kPageTokens, sum);
          }
          const Kv* const page = ValuesOf<Kv>(p, pages[(keys - 1) / kPageTokens], head) + d;
          for (int64_t i = whole * kPageTokens; i < count; ++i) {
            sum = std::fma(weights[i], Widened(page[i % kPageTokens * p.padded_head_size]), sum);
          }
        }
        s.sums[d] = sum;
      }
    }
  }
  float* const out = p.out.data + row * p.out.stride + head * head_size;
  for (int64_t d = thread; d < head_size; d += kThreads) out[d] = s.sums[d] / weight_sum;
}

template <typename Kv>
void Launch(Runtime& runtime, const AttentionArgs& args) {
  const auto heads = static_cast<unsigned>(args.shape.heads);
  runtime.Launch({.grid = {static_cast<unsigned>(args.stores), heads}, .block = {kThreads}},
                 StoreRows<Kv>, args);
  const auto floats = static_cast<size_t>(2 * args.shape.head_size + kThreads + 2 * kGroups);
  runtime.Launch({.grid = {static_cast<unsigned>(args.rows), heads},
                  .block = {kThreads},
                  .shared_bytes = floats * sizeof(float)},
                 AttendRows<Kv>, args);
}

}  // namespace

void LaunchAttention(Runtime& runtime, const AttentionArgs& args) {
  switch (args.type) {
    case KvType::kFloat32:
      return Launch<float>(runtime, args);
    case KvType::kBfloat16:
      return Launch<uint16_t>(runtime, args);
  }
}

}  // namespace dyad::kernels::cuda
