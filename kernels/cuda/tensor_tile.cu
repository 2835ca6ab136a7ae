// A step of a plan on tensor cores for many rows, bound by multiply-adds.
//
// A block owns 128 outputs by 64 rows, a warp 64 by 16 of them. Weights and planes come through a
// ring in shared memory, a unit of 32 k at a time.
#include "kernels/cuda/tensor.cuh"

namespace dyad::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kStages = 4;
constexpr int kPanels = 8;    // of a block
constexpr int kRowTiles = 8;  // of a block
constexpr int kWarpPanels = 4;
constexpr int kWarpTiles = 2;

// On a multiprocessor at once. Widening int8 takes a few registers more than two have.
template <Element type, int kPieces>
[[maybe_unused]] constexpr int kBlocks = type == Element::kInt8&& kPieces == 2 ? 1 : 2;

template <Element type, int kPieces>
struct Stage {
  uint4 w[kPanels][TensorWeights<type>::kVectors][32];
  uint4 x[kRowTiles][kPieces][32];
};

struct Place {
  int block, first_panel, first_tile;
};

// What one thread copies of a unit, by the place in vectors. Panels and tiles past the last are
// copies of it, never stored.
template <Element type, int kPieces>
struct Copies {
  static constexpr int kOfPanel = TensorWeights<type>::kVectors * 32, kOfTile = kPieces * 32;
  static constexpr int kWeights = kPanels * kOfPanel / kThreads;
  static constexpr int kRows = kRowTiles * kOfTile / kThreads;
  int w[kWeights], x[kRows];

  __device__ __forceinline__ Copies(const TensorArgs& p, const Place& place, int thread) {
#pragma unroll
    for (int i = 0; i < kWeights; ++i) {
      const int at = thread + i * kThreads;
      const int panel = min(place.first_panel + at / kOfPanel, p.step.panels - 1);
      w[i] = (place.block * p.step.panels + panel) * p.units() * kOfPanel + at % kOfPanel;
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int at = thread + i * kThreads;
      const int tile = min(place.first_tile + at / kOfTile, static_cast<int>(p.tiles()) - 1);
      x[i] = (tile * p.step.blocks + place.block) * p.units() * kOfTile + at % kOfTile;
    }
  }
  // Queues those of the next unit.
  __device__ __forceinline__ void Next(const TensorArgs& p, Stage<type, kPieces>& stage,
                                       int thread) {
#pragma unroll
    for (int i = 0; i < kWeights; ++i) {
      CopyAsync16(SharedAddress(&stage.w[0][0][0] + thread + i * kThreads),
                  static_cast<const uint4*>(p.step.weights) + w[i], true);
      w[i] += kOfPanel;
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      CopyAsync16(SharedAddress(&stage.x[0][0][0] + thread + i * kThreads),
                  static_cast<const uint4*>(p.planes) + x[i], true);
      x[i] += kOfTile;
    }
  }
};

// Grid:   x = block of weights and 8 of its panels, y = 8 tiles of 8 rows.
// Block:  8 warps, 2 of outputs by 4 of rows.
// Shared: four stages, up to 64 KiB.
template <Element type, int kPieces>
__global__ void __launch_bounds__(kThreads, kBlocks<type, kPieces>)
    TensorTile(const __grid_constant__ TensorArgs p) {
  using Weights = TensorWeights<type>;
  using Format = typename Weights::Format;
  constexpr int kVectors = Weights::kVectors;
  auto* const stages = reinterpret_cast<Stage<type, kPieces>*>(DynamicShared());
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int turns = (p.step.panels + kPanels - 1) / kPanels;
  const Place place = {static_cast<int>(blockIdx.x) / turns,
                       static_cast<int>(blockIdx.x) % turns * kPanels,
                       static_cast<int>(blockIdx.y) * kRowTiles};
  const int warp_panel = warp % 2 * kWarpPanels, warp_tile = warp / 2 * kWarpTiles;
  const int units = p.units();

  LaunchLaterKernel();
  WaitForEarlierKernel();
  float total[kWarpPanels][kWarpTiles][4], d[kWarpPanels][kWarpTiles][4] = {};
#pragma unroll
  for (int n = 0; n < kWarpTiles; ++n) {
#pragma unroll
    for (int m = 0; m < kWarpPanels; ++m) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        total[m][n][i] =
            TotalAt<type>(p.step, place.block,
                          int64_t{place.first_tile + warp_tile + n} * kTileRows + RowOf(lane, i),
                          (place.first_panel + warp_panel + m) * kTensorPanel + OutputOf(lane, i));
      }
    }
  }
  Copies<type, kPieces> copies(p, place, thread);
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) {
    if (i < units) copies.Next(p, stages[i], thread);
    CommitCopies();
  }
  int segment = 0, left_of_term = p.step.vectors;
  for (int unit = 0; unit < units; ++unit) {
    WaitCopies<kStages - 2>();
    __syncthreads();
    const int ahead = unit + kStages - 1;
    if (ahead < units) copies.Next(p, stages[ahead % kStages], thread);
    CommitCopies();
    const Stage<type, kPieces>& stage = stages[unit % kStages];
    uint4 x[kWarpTiles][kPieces];
#pragma unroll
    for (int n = 0; n < kWarpTiles; ++n) {
#pragma unroll
      for (int piece = 0; piece < kPieces; ++piece) {
        x[n][piece] = stage.x[warp_tile + n][piece][lane];
      }
    }
#pragma unroll
    for (int m = 0; m < kWarpPanels; ++m) {
      uint4 vectors[kVectors];
#pragma unroll
      for (int v = 0; v < kVectors; ++v) vectors[v] = stage.w[warp_panel + m][v][lane];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const uint4 w = Weights::Operand(vectors, half);
#pragma unroll
        for (int n = 0; n < kWarpTiles; ++n) {
          MultiplyHalf<Format, kPieces>(w, x[n], half, d[m][n]);
        }
      }
    }
    // Whether a segment goes on; it ends with its term at the latest.
    --left_of_term;
    if (left_of_term != 0 && (p.step.vectors - left_of_term) % kSegmentUnits != 0) continue;
#pragma unroll
    for (int n = 0; n < kWarpTiles; ++n) {
      const int tile = min(place.first_tile + warp_tile + n, static_cast<int>(p.tiles()) - 1);
      const float* const unscale =
          p.unscale + ((tile * p.step.blocks + place.block) * p.segments() + segment) * kTileRows +
          RowOf(lane, 0);
#pragma unroll
      for (int m = 0; m < kWarpPanels; ++m) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          total[m][n][i] = std::fma(d[m][n][i], unscale[i % 2], total[m][n][i]);
          d[m][n][i] = 0;
        }
      }
    }
    ++segment;
    if (left_of_term == 0) left_of_term = p.step.vectors;
  }
#pragma unroll
  for (int m = 0; m < kWarpPanels; ++m) {
#pragma unroll
    for (int n = 0; n < kWarpTiles; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        FinishTotal<type>(p.step, place.block,
                          (place.first_tile + warp_tile + n) * kTileRows + RowOf(lane, i),
                          (place.first_panel + warp_panel + m) * kTensorPanel + OutputOf(lane, i),
                          total[m][n][i]);
      }
    }
  }
}

template <Element type, int kPieces>
void Launch(Runtime& runtime, const TensorArgs& args) {
  const int turns = (args.step.panels + kPanels - 1) / kPanels;
  const LaunchShape shape = {
      .grid = {static_cast<unsigned>(args.step.blocks * turns),
               static_cast<unsigned>((args.tiles() + kRowTiles - 1) / kRowTiles)},
      .block = {kThreads},
      .shared_bytes = kStages * sizeof(Stage<type, kPieces>)};
  runtime.Launch(shape, TensorTile<type, kPieces>, args);
}

template <Element type>
void LaunchPieces(Runtime& runtime, const TensorArgs& args) {
  if (args.pieces == 1) return Launch<type, 1>(runtime, args);
  return Launch<type, 2>(runtime, args);
}

}  // namespace

void LaunchTensorTile(Runtime& runtime, Element type, const TensorArgs& args) {
  if (type == Element::kBfloat16) return LaunchPieces<Element::kBfloat16>(runtime, args);
  if (type == Element::kFloat16) return LaunchPieces<Element::kFloat16>(runtime, args);
  return LaunchPieces<Element::kInt8>(runtime, args);
}

}  // namespace dyad::kernels::cuda
