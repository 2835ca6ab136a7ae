// The step Route of a plan (kernels/plan.h), and contractions of the rows that chose an item: those
// rows are brought together, and an item that no row chose is neither read nor multiplied.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/contraction.h"
#include "kernels/plan.h"

namespace dyad::kernels {

// Who chose what, item by item: rows of item i are rows[first[i] … first[i + 1]), ascending.
struct ItemRows {
  const int32_t* first = nullptr;
  const int32_t* rows = nullptr;
  const float* weights = nullptr;  // of those rows

  int64_t count(int64_t item) const { return first[item + 1] - first[item]; }
};

// Which rows have a share whose sum is 0 or not finite is added to `workspace.failed_rows`.
// Scratch: kChoices; the result lies in `memory`, of ItemRowsBytes.
int64_t ItemRowsBytes(int64_t tokens, int64_t items);
ItemRows ChooseItems(const Route& route, int64_t items, int64_t tokens, ConstRows logits,
                     std::byte* memory, Workspace& workspace);

struct PackedRouted {
  PackedRouted(PackedContraction packed, Routed chosen);

  PackedContraction contraction;
  Routed routed;
  int64_t packed_together = 1;  // blocks
  // Blocks of one item that are packed together run in one task.
  int64_t units = 1;
  BlockRange UnitAt(int64_t index) const {
    const int64_t count = contraction.blocks / units;
    return {index * count, count};
  }
};
// Adds to y what the step gives for the rows that chose its items. Scratch: kRows, kPanel.
struct RoutedJob {
  const PackedRouted* step = nullptr;
  ItemRows items;
  int64_t tokens = 0;
  ConstRows x;
  Rows y;

  int64_t multiply_adds() const;  // for the rows that chose
};
// Several steps at once: kApart: of different destinations, in no order. kBlockByBlock: of the same
// blocks of one destination, each of which goes through all jobs as they stand.
enum class RoutedOrder { kApart, kBlockByBlock };
void RunRouted(std::span<const RoutedJob> jobs, RoutedOrder order, Workspace& workspace);

}  // namespace dyad::kernels
