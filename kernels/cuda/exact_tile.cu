// A step of a plan for many rows, bound by multiply-adds.
//
// A block owns 128 outputs by 128 row groups, a thread 8 by 8 of them. Weights and x come in slices
// of 16 k, widened and gathered on their way to shared memory; while one slice is multiplied, the
// next is on its way in registers.
#include "kernels/cuda/contract.cuh"

namespace dyad::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = 128;
constexpr int kSlice = 16;
constexpr int kTilePanels = kTile / static_cast<int>(kPanelOutputs);
constexpr int kSpread = 64;  // a thread owns 4 rows or outputs, and 4 more this far on

struct Slice {
  float w[kSlice][kTile];
  float x[kSlice][kTile];
};

// Of a slice, what one thread carries.
template <Element type>
struct Carried {
  static constexpr int kVectors = kSlice / Vector<type>::kCount;  // of an output
  static constexpr int kWeights = kTile * kVectors;               // of the tile
  static constexpr int kOfThread = (kWeights + kThreads - 1) / kThreads;
  uint4 w[kOfThread];
  float x[kTile * kSlice / kThreads];
};

struct Place {
  int block, first_panel;
  int64_t first_row;
};

// Slices of a term, and which one: the last may be short.
struct Position {
  int term, k;
};

template <Element type>
__device__ __forceinline__ void Load(const ContractArgs& p, const Place& place, Position at,
                                     Carried<type>& carried) {
  constexpr int kCount = Vector<type>::kCount, kVectors = Carried<type>::kVectors;
  const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int i = 0; i < Carried<type>::kOfThread; ++i) {
    const int v = thread + i * kThreads;  // [panel][vector][lane]
    const int panel = min(place.first_panel + v / (32 * kVectors), p.panels - 1);
    const int vector = min(at.k / kCount + v / 32 % kVectors, p.vectors - 1);
    const int64_t at_panel = static_cast<int64_t>(place.block) * p.panels + panel;
    const int64_t at_vector = at_panel * p.vectors * p.terms + at.term * p.vectors + vector;
    if (v < Carried<type>::kWeights) {
      carried.w[i] = static_cast<const uint4*>(p.weights)[at_vector * 32 + v % 32];
    }
  }
  const int64_t wanted = place.first_row + thread / 2;
  const int64_t row = wanted < p.row_groups() ? wanted : p.row_groups() - 1;
#pragma unroll
  for (int i = 0; i < kSlice / 2; ++i) {
    const int k = at.k + thread % 2 * (kSlice / 2) + i;
    carried.x[i] = k < p.depth ? SourceAt(p, place.block, row, at.term, k) : 0.0f;
  }
}

template <Element type>
__device__ __forceinline__ void Store(const Carried<type>& carried, Slice& slice) {
  constexpr int kCount = Vector<type>::kCount, kVectors = Carried<type>::kVectors;
  const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int i = 0; i < Carried<type>::kOfThread; ++i) {
    const int v = thread + i * kThreads;
    if (v >= Carried<type>::kWeights) continue;
    float w[kCount];
    Vector<type>::Widen(carried.w[i], w);
    const int output = v / (32 * kVectors) * 32 + v % 32, first = v / 32 % kVectors * kCount;
#pragma unroll
    for (int k = 0; k < kCount; ++k) slice.w[first + k][output] = w[k];
  }
#pragma unroll
  for (int i = 0; i < kSlice / 2; ++i) {
    slice.x[thread % 2 * (kSlice / 2) + i][thread / 2] = carried.x[i];
  }
}

__device__ __forceinline__ void MultiplyOne(const Slice& slice, int k, int output, int row,
                                            float (&sum)[8][8]) {
  float w[8], x[8];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float4 of_w = *reinterpret_cast<const float4*>(&slice.w[k][output + half * kSpread]);
    const float4 of_x = *reinterpret_cast<const float4*>(&slice.x[k][row + half * kSpread]);
    w[half * 4] = of_w.x, w[half * 4 + 1] = of_w.y, w[half * 4 + 2] = of_w.z;
    w[half * 4 + 3] = of_w.w;
    x[half * 4] = of_x.x, x[half * 4 + 1] = of_x.y, x[half * 4 + 2] = of_x.z;
    x[half * 4 + 3] = of_x.w;
  }
#pragma unroll
  for (int a = 0; a < 8; ++a) {
#pragma unroll
    for (int b = 0; b < 8; ++b) sum[a][b] = std::fma(x[b], w[a], sum[a][b]);
  }
}

__device__ __forceinline__ int Spread(int first, int i) { return first + i % 4 + i / 4 * kSpread; }

// Grid:   x = block of weights and kTile of its outputs, y = kTile row groups.
// Block:  256 threads; thread t owns outputs from t % 16 · 4 and rows from t / 16 · 4 on.
// Shared: two slices, 32 KiB.
template <Element type>
__global__ void __launch_bounds__(kThreads, 1) ExactTile(const __grid_constant__ ContractArgs p) {
  Slice* const slices = reinterpret_cast<Slice*>(DynamicShared());
  const int thread = static_cast<int>(threadIdx.x);
  const int turns = (p.panels + kTilePanels - 1) / kTilePanels;
  const Place place = {static_cast<int>(blockIdx.x) / turns,
                       static_cast<int>(blockIdx.x) % turns * kTilePanels,
                       static_cast<int64_t>(blockIdx.y) * kTile};
  const int output = thread % 16 * 4, row = thread / 16 * 4;
  const int first_output = place.first_panel * 32;

  float sum[8][8];
#pragma unroll
  for (int a = 0; a < 8; ++a) {
#pragma unroll
    for (int b = 0; b < 8; ++b) {
      sum[a][b] = type == Element::kInt8 ? 0.0f
                                         : StartAt(p, place.block, place.first_row + Spread(row, b),
                                                   first_output + Spread(output, a));
    }
  }
  Carried<type> carried;
  Position now = {0, 0};
  Load<type>(p, place, now, carried);
  Store<type>(carried, slices[0]);
  __syncthreads();
  for (int turn = 0; now.term < p.terms; turn ^= 1) {
    const int count = min(kSlice, p.depth - now.k);
    Position next = {now.term, now.k + kSlice};
    if (next.k >= p.depth) next = {now.term + 1, 0};
    const bool more = next.term < p.terms;
    if (more) Load<type>(p, place, next, carried);
    const Slice& slice = slices[turn];
    // Never past the end of a term: a zero more would turn a sum of -0 into +0.
#pragma unroll 4
    for (int k = 0; k < count; ++k) MultiplyOne(slice, k, output, row, sum);
    if (more) Store<type>(carried, slices[turn ^ 1]);
    __syncthreads();
    now = next;
  }
#pragma unroll
  for (int a = 0; a < 8; ++a) {
#pragma unroll
    for (int b = 0; b < 8; ++b) {
      Finish<type>(p, place.block, place.first_row + Spread(row, b),
                   first_output + Spread(output, a), sum[a][b]);
    }
  }
}

template <Element type>
void Launch(Runtime& runtime, const ContractArgs& args) {
  const int turns = (args.panels + kTilePanels - 1) / kTilePanels;
  const LaunchShape shape = {
      .grid = {static_cast<unsigned>(args.blocks * turns),
               static_cast<unsigned>((args.row_groups() + kTile - 1) / kTile)},
      .block = {kThreads},
      .shared_bytes = 2 * sizeof(Slice)};
  runtime.Launch(shape, ExactTile<type>, args);
}

}  // namespace

void LaunchTile(Runtime& runtime, Element type, const ContractArgs& args) {
  switch (type) {
    case Element::kFloat32:
      return Launch<Element::kFloat32>(runtime, args);
    case Element::kBfloat16:
      return Launch<Element::kBfloat16>(runtime, args);
    case Element::kFloat16:
      return Launch<Element::kFloat16>(runtime, args);
    case Element::kInt8:
      return Launch<Element::kInt8>(runtime, args);
  }
}

}  // namespace dyad::kernels::cuda
