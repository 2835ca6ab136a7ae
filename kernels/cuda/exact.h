// Steps of plans in float32 chains: kernels/cuda/contract.h. The same bits in every tile.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/cuda/contract.h"

namespace dyad::kernels::cuda {

// What a block of threads owns: outputs by row groups.
struct ExactTile {
  int outputs = 0, rows = 0;
  bool operator==(const ExactTile&) const = default;
};
// From small to large.
inline constexpr ExactTile kExactTiles[] = {{32, 1},  {32, 2},   {32, 4},  {32, 8},
                                            {128, 8}, {128, 16}, {64, 64}, {128, 64}};

// The steps that one launch does: of one type, on the same number of row groups; none reads what
// another writes.
inline constexpr int kMostSteps = 3;

// For these steps on a device of this many multiprocessors: about the fastest.
ExactTile ChooseExactTile(std::span<const ContractArgs> steps, int multiprocessors);

// REQUIRES: one to kMostSteps steps, a tile of kExactTiles.
void LaunchExact(Runtime& runtime, Element type, std::span<const ContractArgs> steps,
                 ExactTile tile);

}  // namespace dyad::kernels::cuda
