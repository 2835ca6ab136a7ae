// The block contraction of kernels/linear.h on packed operands: what the micro-kernels stream.
//
// Weights: panels of 32 outputs, [block][panel][k][32], k over the terms in order; outputs past the
// end are zeros. int8: two panels of a block lie side by side, [k][64], a cache line for each k (an
// odd last one alone), and beside them are scales, [block][panel][32]. Rows of x, as far as some
// neighbouring blocks need them: row blocks of at most 12 rows, [row block][block][k][row], so that
// a micro-kernel reads both operands front to back. The layouts do not depend on the instruction
// set.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/aligned_buffer.h"
#include "kernels/linear.h"

namespace dyad::kernels {

inline constexpr int64_t kPanelOutputs = 32;
inline constexpr int64_t kBlockRows = 12;  // 12 rows · 2 vectors: 24 of the 32 registers of AVX-512

// Rows [first, first + count) of a batch that run together.
struct RowBlock {
  int64_t first = 0;
  int64_t count = 0;
};
inline int64_t RowBlockCount(int64_t tokens) { return (tokens + kBlockRows - 1) / kBlockRows; }
// Even sizes: 13 rows are 7 and 6, because 12 and 1 would stream the panel a second time for one
// row.
inline RowBlock RowBlockAt(int64_t tokens, int64_t index) {
  const int64_t blocks = RowBlockCount(tokens);
  const int64_t first = index * tokens / blocks;
  return {first, (index + 1) * tokens / blocks - first};
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

struct PackedContraction {
  WeightType type = WeightType::kFloat32;
  int64_t blocks = 0;
  int64_t outputs = 0;               // per block
  int64_t term_depth = 0;            // k per term
  std::vector<FeatureView> sources;  // one per term
  FeatureView destination;
  Combine combine = Combine::kAssign;
  AlignedBuffer weights;
  std::vector<float> scales;  // of int8

  int64_t depth() const { return term_depth * static_cast<int64_t>(sources.size()); }
  int64_t panels() const { return (outputs + kPanelOutputs - 1) / kPanelOutputs; }  // per block
  PanelRange all_panels() const { return {0, blocks * panels()}; }
  BlockRange all_blocks() const { return {0, blocks}; }
  // Ranges of blocks whose rows are packed begin and end at multiples of this: blocks of a strided
  // view lie side by side in x, and four of them are packed at once.
  int64_t blocks_together() const;
  int64_t weight_bytes() const {
    return weights.bytes() + static_cast<int64_t>(scales.size() * sizeof(float));
  }

  // Groups of panels that one thread takes at once: int8's pairs, else a panel each.
  int64_t groups() const { return blocks * groups_of_block(); }
  PanelRange GroupAt(int64_t index) const {
    const int64_t start = index / groups_of_block() * panels();
    const int64_t first = start + index % groups_of_block() * panels_together();
    return {first, std::min(first + panels_together(), start + panels())};
  }
  // The group that holds a panel.
  PanelRange GroupOf(int64_t panel) const {
    return GroupAt(panel / panels() * groups_of_block() + panel % panels() / panels_together());
  }
  PanelLayout LayoutOf(int64_t panel) const {
    const PanelRange group = GroupOf(panel);
    return {(group.first * depth() + panel - group.first) * kPanelOutputs,
            (group.last - group.first) * kPanelOutputs};
  }

 private:
  int64_t panels_together() const { return type == WeightType::kInt8 ? 2 : 1; }
  int64_t groups_of_block() const { return (panels() + panels_together() - 1) / panels_together(); }
};

// `source`: of the weights that the contraction points to; `type` itself unless that is int8.
PackedContraction PackWeights(const Contraction& contraction, WeightType type, WeightType source,
                              ThreadPool* pool = nullptr);

// `bias` in panel order, zeros past the end: [block][panel][32].
std::vector<float> PackBias(const PackedContraction& contraction, std::span<const float> bias);

// Packs one row block of x for `blocks`; `packed` is the whole batch's buffer,
// tokens · blocks.count · depth() floats. Pieces [0, RowPieces) are the same work in parts, for
// several threads.
void PackRowBlock(const PackedContraction& contraction, BlockRange blocks, ConstRows x,
                  RowBlock rows, float* packed);
int64_t RowPieces(const PackedContraction& contraction, BlockRange blocks);
void PackRowPiece(const PackedContraction& contraction, BlockRange blocks, ConstRows x,
                  RowBlock rows, int64_t piece, float* packed);

// A batch as it was packed.
struct PackedRows {
  const float* data = nullptr;
  BlockRange blocks;
};

struct ContractionCall {
  const PackedContraction* contraction = nullptr;
  PackedRows rows;  // blocks: at least those of the panels
  int64_t tokens = 0;
  Rows y;  // y[t, dst(b, n) - first_feature]
  int64_t first_feature = 0;
  int64_t outputs = 0;          // per block; those at or past it are not stored
  const float* bias = nullptr;  // panel order; null: none
  Epilogue epilogue;            // residual has y's columns
};

// Computes the outputs of `panels` for all rows of the call, epilogue included. One thread; several
// may work on disjoint panels of a call. Scratch: kPanel.
void ContractPanels(const ContractionCall& call, PanelRange panels, Scratch& scratch);

// y[t, :] = activation(sum[t, :] + bias) + residual[t, :] over `features` columns, for rows of
// `rows`.
struct FinishCall {
  ConstRows sum;
  Rows y;
  int64_t features = 0;
  const float* bias = nullptr;  // by feature; null: none
  Epilogue epilogue;
};
void FinishRows(const FinishCall& call, RowBlock rows);

}  // namespace dyad::kernels
