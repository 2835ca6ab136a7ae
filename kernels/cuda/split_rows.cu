// Splits rows for the tensor cores: x · scale into a high and a low piece of 16 bits, segment by
// segment. Strided views and ragged edges cost here, once, and not in the kernels that multiply.
#include "kernels/cuda/tensor.cuh"

namespace dyad::kernels::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kWarpUnits = kSegmentUnits / kWarps;

// The exponent of the scale, for the bits of the largest magnitude of a segment.
__device__ __forceinline__ int ScaleExponent(Bf16, uint32_t) { return 0; }
__device__ __forceinline__ int ScaleExponent(F16, uint32_t largest) {
  return largest == 0 ? 0 : min(14 + 127 - static_cast<int>(largest >> 23), 126);
}

// Grid:   x = tile of 8 rows, block of weights, term, segment.
// Block:  4 warps; a warp owns every fourth unit of the segment, a lane 8 values of each.
// Shared: the largest magnitudes [4 warps][8 rows].
template <typename Format, int kPieces>
__global__ void __launch_bounds__(32 * kWarps, 1) SplitRows(const __grid_constant__ TensorArgs p) {
  uint32_t* const magnitudes = reinterpret_cast<uint32_t*>(DynamicShared());
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int term_segments = p.term_segments(), segments = p.segments();
  const int in_block = static_cast<int>(blockIdx.x) % segments;
  const int tile_block = static_cast<int>(blockIdx.x) / segments;
  const int block = tile_block % p.step.blocks;
  const int64_t row = static_cast<int64_t>(tile_block / p.step.blocks) * kTileRows + lane / 4;
  const int term = in_block / term_segments;
  const int first_unit = in_block % term_segments * kSegmentUnits;
  const int units = min(kSegmentUnits, p.step.vectors - first_unit);

  const View view = SourceOf(p.step, term);
  const bool is_row = row < p.step.row_groups();
  const RowGroup at_row = RowGroupAt(p.step, is_row ? row : 0);
  const float* const x = p.step.x.data + at_row.row * p.step.x.stride;
  const auto begin = static_cast<int>(view.At(block, at_row.group, 0));
  const auto stride = static_cast<int>(view.stride), width = static_cast<int>(p.step.x_width);
  LaunchLaterKernel();
  WaitForEarlierKernel();

  float values[kWarpUnits][8];
  uint32_t largest = 0;
#pragma unroll
  for (int u = 0; u < kWarpUnits; ++u) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int k =
          (first_unit + u * kWarps + warp) * kUnitDepth + lane % 4 * 2 + i % 2 + i / 2 * 8;
      const int index = begin + k * stride;
      values[u][i] = is_row && k < p.step.depth && index < width ? x[index] : 0.0f;
    }
  }
#pragma unroll
  for (int u = 0; u < kWarpUnits; ++u) {
    if (u * kWarps + warp >= units) continue;  // of the next segment
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const uint32_t magnitude = __float_as_uint(values[u][i]) & 0x7fffffffu;
      largest = magnitude > largest ? magnitude : largest;
    }
  }
#pragma unroll
  for (int distance = 1; distance < 4; distance *= 2) {
    const uint32_t other = __shfl_xor_sync(0xffffffffu, largest, distance);
    largest = other > largest ? other : largest;
  }
  if (lane % 4 == 0) magnitudes[warp * kTileRows + lane / 4] = largest;
  __syncthreads();
#pragma unroll
  for (int other = 0; other < kWarps; ++other) {
    const uint32_t magnitude = magnitudes[other * kTileRows + lane / 4];
    largest = magnitude > largest ? magnitude : largest;
  }

  const int exponent = ScaleExponent(Format(), largest);
  const float scale = exact::PowerOfTwo(exponent);
  uint4* const planes = static_cast<uint4*>(p.planes);
#pragma unroll
  for (int u = 0; u < kWarpUnits; ++u) {
    const int unit = u * kWarps + warp;
    if (unit >= units) continue;
    const int64_t at =
        static_cast<int64_t>(tile_block) * p.units() + term * p.step.vectors + first_unit + unit;
    float rest[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) rest[i] = values[u][i] * scale;
#pragma unroll
    for (int piece = 0; piece < kPieces; ++piece) {
      uint32_t words[4];
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const uint16_t bits = Narrow(Format(), rest[i]);
        rest[i] = rest[i] - Widen(Format(), bits);
        words[i / 2] = i % 2 == 0 ? bits : words[i / 2] | static_cast<uint32_t>(bits) << 16;
      }
      planes[(at * kPieces + piece) * 32 + lane] = {words[0], words[1], words[2], words[3]};
    }
  }
  if (warp != 0 || lane % 4 != 0) return;
  // What is not finite, or infinite as bfloat16, makes the total NaN.
  constexpr uint32_t kInfiniteInBfloat16 = 0x7f7f8000u;
  const float unscale =
      largest < kInfiniteInBfloat16 ? exact::PowerOfTwo(-exponent) : __uint_as_float(0x7fc00000u);
  p.unscale[static_cast<int64_t>(blockIdx.x) * kTileRows + lane / 4] = unscale;
}

template <typename Format, int kPieces>
void Launch(Runtime& runtime, const TensorArgs& args) {
  const LaunchShape shape = {
      .grid = {static_cast<unsigned>(args.tiles() * args.step.blocks * args.segments())},
      .block = {32 * kWarps},
      .shared_bytes = kWarps * kTileRows * sizeof(uint32_t)};
  runtime.Launch(shape, SplitRows<Format, kPieces>, args);
}

template <typename Format>
void LaunchPieces(Runtime& runtime, const TensorArgs& args) {
  if (args.pieces == 1) return Launch<Format, 1>(runtime, args);
  return Launch<Format, 2>(runtime, args);
}

}  // namespace

void LaunchSplit(Runtime& runtime, Element type, const TensorArgs& args) {
  if (type == Element::kBfloat16) return LaunchPieces<Bf16>(runtime, args);
  return LaunchPieces<F16>(runtime, args);
}

}  // namespace dyad::kernels::cuda
