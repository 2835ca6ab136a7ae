// A step of a plan for few rows, bound by how fast weights can be read.
//
// Each warp owns 32 outputs, one a lane, and all of k, for all rows at once: a weight is read once.
// x passes through shared memory in stages, where strided views have become rows.
#include "kernels/cuda/contract.cuh"

namespace dyad::kernels::cuda {
namespace {

constexpr int kWarps = 4;    // of a block at most, neighbouring panels
constexpr int kAhead = 8;    // vectors of weights under way for a lane: 16 KiB for a block
constexpr int kStage = 512;  // elements of a row in shared memory; whole groups of kAhead vectors

// Multiplies one vector of weights with as many elements of each row, in order.
template <Element type, int kRows>
__device__ __forceinline__ void MultiplyVector(const uint4& vector, const float* xs,
                                               float (&sum)[kRows]) {
  constexpr int kCount = Vector<type>::kCount;
  float w[kCount];
  Vector<type>::Widen(vector, w);
#pragma unroll
  for (int k = 0; k < kCount; k += 4) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float4 x = *reinterpret_cast<const float4*>(xs + r * kStage + k);
      sum[r] = std::fma(x.x, w[k], sum[r]);
      sum[r] = std::fma(x.y, w[k + 1], sum[r]);
      sum[r] = std::fma(x.z, w[k + 2], sum[r]);
      sum[r] = std::fma(x.w, w[k + 3], sum[r]);
    }
  }
}

// The same for a vector that holds `count` elements: the end of a term.
template <Element type, int kRows>
__device__ __forceinline__ void MultiplyPart(const uint4& vector, const float* xs, int count,
                                             float (&sum)[kRows]) {
  float w[Vector<type>::kCount];
  Vector<type>::Widen(vector, w);
#pragma unroll
  for (int k = 0; k < Vector<type>::kCount; ++k) {
    if (k >= count) break;  // a zero more would turn a sum of -0 into +0
#pragma unroll
    for (int r = 0; r < kRows; ++r) sum[r] = std::fma(xs[r * kStage + k], w[k], sum[r]);
  }
}

// Grid:   x = block of weights and kWarps of its panels, y = kRows row groups.
// Block:  32 lanes x up to kWarps warps.
// Shared: x [kRows][kStage], up to 32 KiB.
template <Element type, int kRows>
__global__ void __launch_bounds__(32 * kWarps, 1)
    ExactStream(const __grid_constant__ ContractArgs p) {
  constexpr int kCount = Vector<type>::kCount;
  constexpr int kStageVectors = kStage / kCount;
  float* const xs = reinterpret_cast<float*>(DynamicShared());
  const int threads = static_cast<int>(blockDim.x), warps = threads / 32;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  const int turns = (p.panels + warps - 1) / warps;
  const int block = static_cast<int>(blockIdx.x) / turns;
  const int panel = static_cast<int>(blockIdx.x) % turns * warps + thread / 32;
  const bool works = panel < p.panels;
  const int output = panel * 32 + lane;
  const int64_t first_row = static_cast<int64_t>(blockIdx.y) * kRows;
  const int vectors = p.vectors * p.terms;
  const int tail = p.depth - (p.vectors - 1) * kCount;  // elements of a term's last vector
  const int64_t at_panel = static_cast<int64_t>(block) * p.panels + (works ? panel : 0);
  const uint4* const weights =
      static_cast<const uint4*>(p.weights) + at_panel * vectors * 32 + lane;

  float sum[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    sum[r] = type == Element::kInt8 ? 0.0f : StartAt(p, block, first_row + r, output);
  }
  uint4 ahead[kAhead];
#pragma unroll
  for (int i = 0; i < kAhead; ++i) ahead[i] = __ldcs(weights + min(i, vectors - 1) * 32);

  for (int first = 0; first < vectors; first += kStageVectors) {
    const int count = min(kStageVectors, vectors - first);
    __syncthreads();
    for (int i = thread; i < kRows * count * kCount; i += threads) {
      const int r = i / (count * kCount), e = i % (count * kCount);
      const int vector = first + e / kCount;
      const int k = vector % p.vectors * kCount + e % kCount;
      const int64_t row = first_row + r < p.row_groups() ? first_row + r : p.row_groups() - 1;
      xs[r * kStage + e] = k < p.depth ? SourceAt(p, block, row, vector / p.vectors, k) : 0.0f;
    }
    __syncthreads();
    for (int v = 0; v < count; v += kAhead) {
      // Vectors of this term that are done: does the group hold only whole ones?
      const int done = (first + v) % p.vectors;
      if (v + kAhead <= count && (tail == kCount || done + kAhead < p.vectors)) {
#pragma unroll
        for (int i = 0; i < kAhead; ++i) {
          const uint4 vector = ahead[i];
          ahead[i] = __ldcs(weights + min(first + v + i + kAhead, vectors - 1) * 32);
          MultiplyVector<type>(vector, xs + (v + i) * kCount, sum);
        }
        continue;
      }
      for (int i = v; i < min(v + kAhead, count); ++i) {
        const bool last = (first + i) % p.vectors == p.vectors - 1;
        MultiplyPart<type>(weights[(first + i) * 32], xs + i * kCount, last ? tail : kCount, sum);
      }
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        ahead[i] = __ldcs(weights + min(first + v + i + kAhead, vectors - 1) * 32);
      }
    }
  }
  if (!works) return;
#pragma unroll
  for (int r = 0; r < kRows; ++r) Finish<type>(p, block, first_row + r, output, sum[r]);
}

template <Element type, int kRows>
void Launch(Runtime& runtime, const ContractArgs& args) {
  static_assert(kStage / Vector<type>::kCount % kAhead == 0);
  const int warps = args.panels < kWarps ? args.panels : kWarps;
  const int turns = (args.panels + warps - 1) / warps;
  const LaunchShape shape = {
      .grid = {static_cast<unsigned>(args.blocks * turns),
               static_cast<unsigned>((args.row_groups() + kRows - 1) / kRows)},
      .block = {static_cast<unsigned>(32 * warps)},
      .shared_bytes = kRows * kStage * sizeof(float)};
  runtime.Launch(shape, ExactStream<type, kRows>, args);
}

template <Element type>
void LaunchRows(Runtime& runtime, const ContractArgs& args) {
  const int64_t rows = args.row_groups();
  if (rows <= 1) return Launch<type, 1>(runtime, args);
  if (rows <= 2) return Launch<type, 2>(runtime, args);
  if (rows <= 4) return Launch<type, 4>(runtime, args);
  if (rows <= 8) return Launch<type, 8>(runtime, args);
  return Launch<type, 16>(runtime, args);
}

}  // namespace

void LaunchStream(Runtime& runtime, Element type, const ContractArgs& args) {
  switch (type) {
    case Element::kFloat32:
      return LaunchRows<Element::kFloat32>(runtime, args);
    case Element::kBfloat16:
      return LaunchRows<Element::kBfloat16>(runtime, args);
    case Element::kFloat16:
      return LaunchRows<Element::kFloat16>(runtime, args);
    case Element::kInt8:
      return LaunchRows<Element::kInt8>(runtime, args);
  }
}

}  // namespace dyad::kernels::cuda
