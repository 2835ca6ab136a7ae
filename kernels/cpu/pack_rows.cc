// Packing of rows, on each call: the layout is in kernels/cpu/contraction.h.
#include <algorithm>
#include <cstring>

#include "kernels/cpu/contraction.h"

namespace dyad::kernels {
namespace {

constexpr int64_t kPieceDepth = 256;  // about a microsecond for a full row block

// to[k, r] = from[r, k]: strides of the source in elements. The number of rows is known to the
// compiler, so that the loop over them is straight code.
template <int kRows>
void Interleave(const float* from, int64_t row_stride, int64_t stride, int64_t depth, float* to) {
  for (int64_t k = 0; k < depth; ++k, from += stride, to += kRows) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) to[r] = from[r * row_stride];
  }
}

template <int kMostRows>
void InterleaveRows(int64_t rows, const float* from, int64_t row_stride, int64_t stride,
                    int64_t depth, float* to) {
  if (rows == kMostRows) {
    Interleave<kMostRows>(from, row_stride, stride, depth, to);
  } else if constexpr (kMostRows > 1) {
    InterleaveRows<kMostRows - 1>(rows, from, row_stride, stride, depth, to);
  }
}

int64_t PiecesOfTerm(const PackedContraction& contraction) {
  return (contraction.term_depth + kPieceDepth - 1) / kPieceDepth;
}

}  // namespace

int64_t RowPieces(const PackedContraction& contraction) {
  return contraction.blocks * static_cast<int64_t>(contraction.sources.size()) *
         PiecesOfTerm(contraction);
}

void PackRowPiece(const PackedContraction& contraction, ConstRows x, RowBlock rows, int64_t piece,
                  float* packed) {
  const int64_t per_term = PiecesOfTerm(contraction);
  const auto terms = static_cast<int64_t>(contraction.sources.size());
  const int64_t first_k = piece % per_term * kPieceDepth;
  const int64_t depth = std::min(kPieceDepth, contraction.term_depth - first_k);
  const int64_t view_index = piece / per_term;  // block · terms + term
  const FeatureView& view = contraction.sources[static_cast<size_t>(view_index % terms)];
  const float* from = x.data + rows.first * x.stride + view.offset +
                      view_index / terms * view.block_stride + first_k * view.stride;
  float* to = packed + rows.first * contraction.packed_row_floats() +
              (view_index * contraction.term_depth + first_k) * rows.count;
  if (rows.count == 1 && view.stride == 1) {
    std::memcpy(to, from, static_cast<size_t>(depth) * sizeof(float));
  } else {
    InterleaveRows<kBlockRows>(rows.count, from, x.stride, view.stride, depth, to);
  }
}

void PackRowBlock(const PackedContraction& contraction, ConstRows x, RowBlock rows, float* packed) {
  const int64_t pieces = RowPieces(contraction);
  for (int64_t piece = 0; piece < pieces; ++piece) {
    PackRowPiece(contraction, x, rows, piece, packed);
  }
}

}  // namespace dyad::kernels
