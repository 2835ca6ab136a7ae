// A step of a plan on tensor cores for few rows, bound by how fast weights can be read.
//
// A warp owns 16 outputs, and of their k every kSplits-th segment: a layer of few outputs has warps
// enough all the same. A lane copies the weights that it needs into a ring of its own, so that no
// warp waits for another; rows of x are small and come from the caches. Segments' sums meet in
// shared memory and are added in order, whatever the number of warps.
#include "kernels/cuda/tensor.cuh"

namespace dyad::kernels::cuda {
namespace {

constexpr int kMostWarps = 8;
constexpr int kRingBytes = 8 << 10;  // of a warp; all but one stage are on their way

template <Element type>
struct Ring {
  static constexpr int kVectors = TensorWeights<type>::kVectors;
  static constexpr int kStages = kRingBytes / (kVectors * 32 * 16);
};

// A warp's place in the units of its panel.
struct Cursor {
  int segment;  // at or past the last: at the end
  int unit;     // of the panel
  int left;     // of the segment, this one included
};

__device__ __forceinline__ Cursor AtSegment(const TensorArgs& p, int segment) {
  const int term_segments = p.term_segments();
  const int in_term = segment % term_segments * kSegmentUnits;
  return {segment, segment / term_segments * p.step.vectors + in_term,
          min(kSegmentUnits, p.step.vectors - in_term)};
}

// Grid:   x = block of weights and panels, y = kTiles tiles of 8 rows.
// Block:  `splits` warps for each of up to 8 / splits panels.
// Shared: a ring of 8 KiB for each warp; then sums [2][warps][kTiles][32][4], if there are splits.
template <Element type, int kPieces, int kTiles>
__global__ void __launch_bounds__(32 * kMostWarps, 1)
    TensorStream(const __grid_constant__ TensorArgs p, const int splits) {
  using Weights = TensorWeights<type>;
  using Format = typename Weights::Format;
  constexpr int kVectors = Ring<type>::kVectors, kStages = Ring<type>::kStages;
  const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  const int lane = thread % 32, warp = thread / 32;
  const int split = warp % splits, panels_here = threads / 32 / splits;
  const int turns = (p.step.panels + panels_here - 1) / panels_here;
  const int block = static_cast<int>(blockIdx.x) / turns;
  const int panel = static_cast<int>(blockIdx.x) % turns * panels_here + warp / splits;
  const int64_t first_tile = static_cast<int64_t>(blockIdx.y) * kTiles;
  const int segments = panel < p.step.panels ? p.segments() : 0;
  uint4* const ring = reinterpret_cast<uint4*>(DynamicShared()) + thread;
  float* const sums = reinterpret_cast<float*>(DynamicShared() + threads / 32 * kRingBytes);
  const uint4* const weights =
      static_cast<const uint4*>(p.step.weights) +
      (static_cast<int64_t>(block) * p.step.panels + panel) * p.units() * kVectors * 32 + lane;

  Cursor next = AtSegment(p, split);
  // Copies the next unit's weights into a stage. A group for each stage, an empty one at the end.
  const auto fetch = [&](int stage) {
    if (next.segment < segments) {
#pragma unroll
      for (int v = 0; v < kVectors; ++v) {
        CopyAsync16(SharedAddress(ring + (stage * kVectors + v) * threads),
                    weights + (next.unit * kVectors + v) * 32, true);
      }
      ++next.unit;
      if (--next.left == 0) next = AtSegment(p, next.segment + splits);
    }
    CommitCopies();
  };
  for (int stage = 0; stage < kStages - 1; ++stage) fetch(stage);
  LaunchLaterKernel();
  WaitForEarlierKernel();

  const uint4* x[kTiles];
  const float* unscale[kTiles];
  float total[kTiles][4];
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
    const int64_t wanted = first_tile + n;
    const int64_t tile = (wanted < p.tiles() ? wanted : p.tiles() - 1) * p.step.blocks + block;
    x[n] = static_cast<const uint4*>(p.planes) + tile * p.units() * kPieces * 32 + lane;
    unscale[n] = p.unscale + tile * p.segments() * kTileRows + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      total[n][i] = split == 0 ? TotalAt<type>(p.step, block, wanted * kTileRows + RowOf(lane, i),
                                               panel * kTensorPanel + OutputOf(lane, i))
                               : 0.0f;
    }
  }

  int stage = 0;
  // Turns are those of the block: every warp comes to each barrier.
  for (int first = 0, turn = 0; first < p.segments(); first += splits, turn ^= 1) {
    float d[kTiles][4] = {};
    if (first + split < segments) {
      const Cursor now = AtSegment(p, first + split);
      for (int unit = now.unit; unit < now.unit + now.left; ++unit) {
        WaitCopies<kStages - 2>();
        fetch(stage == 0 ? kStages - 1 : stage - 1);
        uint4 vectors[kVectors];
#pragma unroll
        for (int v = 0; v < kVectors; ++v) vectors[v] = ring[(stage * kVectors + v) * threads];
        const uint4 w[2] = {Weights::Operand(vectors, 0), Weights::Operand(vectors, 1)};
#pragma unroll
        for (int n = 0; n < kTiles; ++n) {
          uint4 of_x[kPieces];
#pragma unroll
          for (int piece = 0; piece < kPieces; ++piece) {
            of_x[piece] = x[n][(unit * kPieces + piece) * 32];
          }
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            MultiplyHalf<Format, kPieces>(w[half], of_x, half, d[n]);
          }
        }
        stage = stage == kStages - 1 ? 0 : stage + 1;
      }
    }
    // One barrier a turn is enough: sums of the next turn go elsewhere.
    if (splits > 1) {
      float* const of_turn = sums + turn * (threads / 32) * kTiles * 128;
      if (split != 0) {
#pragma unroll
        for (int n = 0; n < kTiles; ++n) {
          reinterpret_cast<float4*>(of_turn)[(warp * kTiles + n) * 32 + lane] = {d[n][0], d[n][1],
                                                                                 d[n][2], d[n][3]};
        }
      }
      __syncthreads();
    }
    if (split != 0) continue;
    for (int s = 0; s < splits && first + s < segments; ++s) {
      const float4* const of_split =
          reinterpret_cast<const float4*>(sums + turn * (threads / 32) * kTiles * 128) +
          (warp + s) * kTiles * 32 + lane;
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        if (s > 0) {
          const float4 other = of_split[n * 32];
          d[n][0] = other.x, d[n][1] = other.y, d[n][2] = other.z, d[n][3] = other.w;
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          total[n][i] = std::fma(d[n][i], unscale[n][(first + s) * kTileRows + i % 2], total[n][i]);
        }
      }
    }
  }
  if (split != 0) return;
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      FinishTotal<type>(p.step, block, (first_tile + n) * kTileRows + RowOf(lane, i),
                        panel * kTensorPanel + OutputOf(lane, i), total[n][i]);
    }
  }
}

template <Element type, int kPieces, int kTiles>
void Launch(Runtime& runtime, const TensorArgs& args) {
  // Enough to have all of the memory at work.
  const int64_t warps_wanted = int64_t{16} * runtime.multiprocessors();
  const int64_t panels = int64_t{args.step.blocks} * args.step.panels;
  const auto wanted = static_cast<int>((warps_wanted + panels - 1) / panels);
  // The sums of 64 rows leave no shared memory for others'.
  const int most = kTiles == 8 ? 1 : std::min(args.segments(), kMostWarps);
  const int splits = std::clamp(wanted, 1, most);
  const int panels_here = std::min(std::max(1, kMostWarps / 2 / splits), args.step.panels);
  const int turns = (args.step.panels + panels_here - 1) / panels_here;
  const int warps = panels_here * splits;
  const int sums = splits > 1 ? 2 * warps * kTiles * 512 : 0;
  const LaunchShape shape = {.grid = {static_cast<unsigned>(args.step.blocks * turns),
                                      static_cast<unsigned>((args.tiles() + kTiles - 1) / kTiles)},
                             .block = {static_cast<unsigned>(32 * warps)},
                             .shared_bytes = static_cast<size_t>(warps * kRingBytes + sums)};
  runtime.Launch(shape, TensorStream<type, kPieces, kTiles>, args, splits);
}

template <Element type, int kPieces>
void LaunchTiles(Runtime& runtime, const TensorArgs& args) {
  const int64_t tiles = args.tiles();
  if (tiles <= 1) return Launch<type, kPieces, 1>(runtime, args);
  if (tiles <= 2) return Launch<type, kPieces, 2>(runtime, args);
  if (tiles <= 4) return Launch<type, kPieces, 4>(runtime, args);
  return Launch<type, kPieces, 8>(runtime, args);
}

template <Element type>
void LaunchPieces(Runtime& runtime, const TensorArgs& args) {
  if (args.pieces == 1) return LaunchTiles<type, 1>(runtime, args);
  return LaunchTiles<type, 2>(runtime, args);
}

}  // namespace

void LaunchTensorStream(Runtime& runtime, Element type, const TensorArgs& args) {
  if (type == Element::kBfloat16) return LaunchPieces<Element::kBfloat16>(runtime, args);
  if (type == Element::kFloat16) return LaunchPieces<Element::kFloat16>(runtime, args);
  return LaunchPieces<Element::kInt8>(runtime, args);
}

}  // namespace dyad::kernels::cuda
