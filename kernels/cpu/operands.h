// A step of a plan (kernels/plan.h) on packed operands: what the micro-kernels stream.
//
// Weights: panels of 32 outputs, [block][panel][k][32], k over the terms in order; outputs past the
// end are zeros. int8: two panels of a block lie side by side, [k][64], a cache line for each k (an
// odd last one alone), and beside them are scales, [block][panel][32]. Rows of x, as far as some
// neighbouring blocks need them: row tiles of at most 12 rows, [row tile][block][k][row], so that
// a micro-kernel reads both operands front to back. The layouts do not depend on the instruction
// set.
//
// Where a step has row groups, a row of the batch is several rows here, one after the other: row r
// is group r mod groups of token r / groups.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/arithmetic.h"
#include "kernels/cpu/aligned_buffer.h"
#include "kernels/cpu/even_parts.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/epilogue.h"
#include "kernels/plan.h"

namespace dyad::kernels {

inline constexpr int64_t kPanelOutputs = 32;
inline constexpr int64_t kRowTile = 12;  // 12 rows · 2 vectors: 24 of the 32 registers of AVX-512

// Rows [first, first + count) of a batch that run together.
using RowTile = Part;
inline int64_t RowTileCount(int64_t rows, int64_t most = kRowTile) { return PartCount(rows, most); }
// Even sizes: 13 rows are 7 and 6, because 12 and 1 would stream the panel a second time for one
// row.
inline RowTile RowTileAt(int64_t rows, int64_t index, int64_t most = kRowTile) {
  return PartAt(rows, RowTileCount(rows, most), index);
}

// Neighbouring blocks of a contraction.
struct BlockRange {
  int64_t first = 0;
  int64_t count = 1;
};

// Panels counted through all blocks: block · panels() + panel.
struct PanelRange {
  int64_t first = 0;
  int64_t last = 0;  // exclusive
};

// Where a panel lies among the weights, in elements.
struct PanelLayout {
  int64_t offset = 0;  // of k = 0
  int64_t step = 0;    // from k to k + 1
};

// What sums start at: 0, or what stands at the destination.
enum class Combine { kAssign, kAccumulate };

struct PackedContraction {
  Element type = Element::kFloat32;
  // Not exact: laid out as kernels/cpu/integer.h or kernels/cpu/bfloat16.h says.
  Arithmetic arithmetic = Arithmetic::kExact;
  int64_t blocks = 0;
  int64_t groups = 1;         // of rows
  int64_t outputs = 0;        // per block and group
  int64_t term_depth = 0;     // k per term
  std::vector<View> sources;  // one per term
  int64_t source_width = 0;   // features at or past it are +0
  View destination;
  int64_t destination_width = 0;  // features at or past it are dropped
  Combine combine = Combine::kAssign;
  AlignedBuffer weights;
  std::vector<float> scales;         // of int8
  std::vector<int32_t> weight_sums;  // of integer arithmetic, in panel order
  std::vector<float> bias;           // of the step, in panel order; or empty

  bool is_exact() const { return arithmetic == Arithmetic::kExact; }
  bool is_integer() const { return IsInteger(arithmetic); }
  int64_t quads() const {  // of a block, in integer arithmetic
    return (term_depth + 3) / 4 * static_cast<int64_t>(sources.size());
  }
  int64_t pairs() const {  // in bfloat16 arithmetic
    return (term_depth + 1) / 2 * static_cast<int64_t>(sources.size());
  }
  int64_t depth() const { return term_depth * static_cast<int64_t>(sources.size()); }
  int64_t panels() const { return (outputs + kPanelOutputs - 1) / kPanelOutputs; }  // per block
  PanelRange all_panels() const { return {0, blocks * panels()}; }
  BlockRange all_blocks() const { return {0, blocks}; }
  // Ranges of blocks whose rows are packed begin and end at multiples of this: blocks of a strided
  // view lie side by side in x, and four of them are packed at once.
  int64_t blocks_together() const;
  int64_t weight_bytes() const {
    return weights.bytes() + static_cast<int64_t>((scales.size() + weight_sums.size()) * 4);
  }

  // Bundles of panels that one thread takes at once: int8's pairs, else a panel each.
  int64_t bundles() const { return blocks * bundles_of_block(); }
  PanelRange BundleAt(int64_t index) const {
    const int64_t start = index / bundles_of_block() * panels();
    const int64_t first = start + index % bundles_of_block() * panels_together();
    return {first, std::min(first + panels_together(), start + panels())};
  }
  // The bundle that holds a panel.
  PanelRange BundleOf(int64_t panel) const {
    return BundleAt(panel / panels() * bundles_of_block() + panel % panels() / panels_together());
  }
  PanelLayout LayoutOf(int64_t panel) const {
    const PanelRange bundle = BundleOf(panel);
    return {(bundle.first * depth() + panel - bundle.first) * kPanelOutputs,
            (bundle.last - bundle.first) * kPanelOutputs};
  }

 private:
  int64_t panels_together() const { return type == Element::kInt8 && !is_integer() ? 2 : 1; }
  int64_t bundles_of_block() const {
    return (panels() + panels_together() - 1) / panels_together();
  }
};

// `step`: one of the plan's, whose weights have data.
PackedContraction PackWeights(const Contract& step, const Plan& plan, ThreadPool* pool = nullptr,
                              Arithmetic arithmetic = Arithmetic::kExact);

// The bias of a plan, by feature of the destination, in panel order: [block][panel][32], zeros for
// outputs that are dropped. REQUIRES: no row groups.
std::vector<float> PackBias(const PackedContraction& contraction, std::span<const float> bias);

// Packs all rows of a batch by ranges of features instead of views: [row tile][k][row].
void PackRanges(std::span<const Range> ranges, ConstRows x, int64_t rows, float* packed);

// Packs one row tile of x for `blocks`; `packed` is the whole batch's buffer,
// rows · blocks.count · depth() floats. Pieces [0, RowPieces) are the same work in parts, for
// several threads. row_of: the rows of x that the batch's tokens are; null: 0, 1, 2, …
void PackRowTile(const PackedContraction& contraction, BlockRange blocks, ConstRows x, RowTile rows,
                 float* packed, const int32_t* row_of = nullptr);
int64_t RowPieces(const PackedContraction& contraction, BlockRange blocks);
void PackRowPiece(const PackedContraction& contraction, BlockRange blocks, ConstRows x,
                  RowTile rows, int64_t piece, float* packed, const int32_t* row_of = nullptr);

// Where a row of a batch of one lies packed for `blocks` without being packed; null: nowhere.
const float* RowAsPacked(const PackedContraction& contraction, BlockRange blocks, const float* row);

// A batch as it was packed.
struct PackedRows {
  const float* data = nullptr;
  BlockRange blocks;
};

// The same in an arithmetic of narrower numbers: kernels/cpu/integer.h has kBytes and kWords,
// kernels/cpu/bfloat16.h kPairs and kFloats.
enum class RowForm { kBytes, kWords, kPairs, kFloats };
struct NarrowRows {
  const uint8_t* data = nullptr;
  int64_t stride = 0;            // bytes
  int64_t block_stride = 0;      // bytes, from block to block of a row
  const float* units = nullptr;  // one for each row, in integer arithmetic
  Arithmetic arithmetic = Arithmetic::kInteger16;
  RowForm form = RowForm::kBytes;

  NarrowRows From(int64_t row) const {
    NarrowRows rows = *this;
    rows.data += row * stride;
    if (units != nullptr) rows.units += row;
    return rows;
  }
};

// One row of a buffer, to be packed for all blocks and row groups.
struct RowToPack {
  const PackedContraction* contraction = nullptr;
  Arithmetic arithmetic = Arithmetic::kExact;
  RowForm form = RowForm::kBytes;
  const float* x = nullptr;
  int32_t* room = nullptr;  // for the row's numbers, and the larger of a row and a term of it
  int64_t stride = 0;       // of `to`, in bytes, from row group to row group
  uint8_t* to = nullptr;
};

struct ContractionJob {
  const PackedContraction* contraction = nullptr;
  PackedRows rows = {};    // blocks: at least those of the panels
  NarrowRows narrow = {};  // instead of rows, if the contraction is not exact
  int64_t tokens = 0;
  Rows y = {};  // y[t, feature - first_feature]
  int64_t first_feature = 0;
  const float* bias = nullptr;  // panel order; null: none
  Epilogue epilogue = {};       // residual has y's columns
  // The rows of y that the tokens are, null: 0, 1, 2, …; and what their sums are multiplied with
  // before they are added to y, null: as `combine` says. REQUIRES, with weights: sums begin at 0.
  const int32_t* row_of = nullptr;
  const float* weights = nullptr;

  int64_t row_count() const { return tokens * contraction->groups; }
  int64_t RowOf(int64_t token) const { return row_of == nullptr ? token : row_of[token]; }
};

}  // namespace dyad::kernels
