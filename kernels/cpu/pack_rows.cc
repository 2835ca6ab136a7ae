// Packing of rows, on each run: the layout is in kernels/cpu/operands.h.
#include <algorithm>

#include "kernels/cpu/operands.h"
#include "kernels/cpu/square.h"

namespace dyad::kernels {
namespace {

constexpr int64_t kPieceFloats = 256;  // of a row; about a microsecond for a full row tile

// Where features go: feature j of four neighbours to to[j · step].
struct Target {
  float* to;
  int64_t step;
};

// `count` times four neighbouring features of at least four rows, each four `from_step` floats
// after the last and `to_step` packed. A few times for the same rows before the next ones: rows may
// be a power of two apart, and the first cache holds only so many of their lines.
struct Squares {
  const float* from;
  int64_t from_step;
  Target target;
  int64_t to_step;
  int64_t count;
};
void TransposeSquares(const Squares& squares, int64_t row_stride, int64_t rows) {
  constexpr int64_t kTogether = 4;  // a cache line of neighbours
  for (int64_t first = 0; first < squares.count; first += kTogether) {
    const int64_t last = std::min(first + kTogether, squares.count);
    for (int64_t r = 0; r < rows; r += kSquare) {
      const int64_t row = std::min(r, rows - kSquare);  // the last ones overlap
      for (int64_t i = first; i < last; ++i) {
        const Square square =
            TransposeSquare(squares.from + row * row_stride + i * squares.from_step, row_stride);
        float* to = squares.target.to + i * squares.to_step + row;
        for (int64_t j = 0; j < kSquare; ++j) {
          StoreFour(square.columns[j], to + j * squares.target.step);
        }
      }
    }
  }
}

// to[k, r] = from[r, k]: strides of the source in elements. Fewer rows than a square has are known
// to the compiler, so that the loop over them is straight code.
template <int kRows>
void InterleaveExactly(const float* from, int64_t row_stride, int64_t stride, int64_t depth,
                       float* to) {
  for (int64_t k = 0; k < depth; ++k, from += stride, to += kRows) {
    for (int64_t r = 0; r < kRows; ++r) to[r] = from[r * row_stride];
  }
}
void Interleave(const float* from, int64_t row_stride, int64_t stride, int64_t rows, int64_t depth,
                float* to) {
  switch (rows) {
    case 1:
      return stride == 1 ? void(std::copy_n(from, depth, to))
                         : InterleaveExactly<1>(from, row_stride, stride, depth, to);
    case 2:
      return InterleaveExactly<2>(from, row_stride, stride, depth, to);
    case 3:
      return InterleaveExactly<3>(from, row_stride, stride, depth, to);
    default:
      for (int64_t k = 0; k < depth; ++k, from += stride) {
        for (int64_t r = 0; r < rows; ++r) *to++ = from[r * row_stride];
      }
  }
}

// Blocks that a piece takes together.
int64_t BlocksTogether(const PackedContraction& contraction, const View& view) {
  const bool side_by_side = view.block == 1 && view.stride != 1;
  return side_by_side && contraction.blocks % kSquare == 0 ? kSquare : 1;
}

// The pieces of a term: [blocks together][part of the depth].
struct TermPieces {
  int64_t together = 1;  // blocks
  int64_t depth = 0;     // k of a piece
  int64_t of_blocks = 0;
  int64_t count = 0;
};
TermPieces PiecesOf(const PackedContraction& contraction, BlockRange blocks, const View& view) {
  const int64_t together = BlocksTogether(contraction, view);
  const int64_t depth = kPieceFloats / together;
  const int64_t of_blocks = (contraction.term_depth + depth - 1) / depth;
  return {together, depth, of_blocks, blocks.count / together * of_blocks};
}

// Packs element by element, whatever the view: rows of several groups, and features past the end.
struct Elements {
  const View* view;
  int64_t block, first_k;
  int64_t depth;
  float* to;  // [depth][rows]
};
void GatherElements(const PackedContraction& contraction, ConstRows x, RowTile rows,
                    const Elements& elements) {
  const float* row_data[kRowTile];
  int64_t first[kRowTile];  // feature of k = 0 in each row
  for (int64_t r = 0; r < rows.count; ++r) {
    const int64_t row = rows.first + r;
    row_data[r] = x.data + row / contraction.groups * x.stride;
    first[r] = elements.view->At(elements.block, row % contraction.groups, elements.first_k);
  }
  float* to = elements.to;
  for (int64_t k = 0; k < elements.depth; ++k) {
    for (int64_t r = 0; r < rows.count; ++r) {
      const int64_t feature = first[r] + k * elements.view->stride;
      *to++ = feature < contraction.source_width ? row_data[r][feature] : 0.0f;
    }
  }
}

}  // namespace

int64_t PackedContraction::blocks_together() const {
  int64_t together = 1;
  for (const View& view : sources) together = std::max(together, BlocksTogether(*this, view));
  return together;
}

int64_t RowPieces(const PackedContraction& contraction, BlockRange blocks) {
  int64_t pieces = 0;
  for (const View& view : contraction.sources) {
    pieces += PiecesOf(contraction, blocks, view).count;
  }
  return pieces;
}

void PackRowPiece(const PackedContraction& contraction, BlockRange blocks, ConstRows x,
                  RowTile rows, int64_t piece, float* packed) {
  size_t term = 0;
  TermPieces pieces = PiecesOf(contraction, blocks, contraction.sources[term]);
  while (piece >= pieces.count) {
    piece -= pieces.count;
    pieces = PiecesOf(contraction, blocks, contraction.sources[++term]);
  }
  const View& view = contraction.sources[term];
  const int64_t block = piece / pieces.of_blocks * pieces.together;  // of the range
  const int64_t first_k = piece % pieces.of_blocks * pieces.depth;
  const int64_t depth = std::min(pieces.depth, contraction.term_depth - first_k);
  const int64_t block_floats = contraction.depth() * rows.count;
  const int64_t last_block = blocks.first + block + pieces.together - 1;
  float* to = packed + rows.first * blocks.count * contraction.depth() + block * block_floats +
              (static_cast<int64_t>(term) * contraction.term_depth + first_k) * rows.count;
  if (contraction.groups > 1 ||
      view.At(last_block, 0, first_k + depth - 1) >= contraction.source_width) {
    for (int64_t b = 0; b < pieces.together; ++b) {
      GatherElements(contraction, x, rows,
                     {&view, blocks.first + block + b, first_k, depth, to + b * block_floats});
    }
    return;
  }
  const float* from = x.data + rows.first * x.stride + view.At(blocks.first + block, 0, first_k);
  if (rows.count >= kSquare && pieces.together == kSquare) {
    return TransposeSquares({from, view.stride, {to, block_floats}, rows.count, depth}, x.stride,
                            rows.count);
  }
  int64_t done = 0;
  if (rows.count >= kSquare && view.stride == 1) {
    done = depth / kSquare * kSquare;
    TransposeSquares({from, kSquare, {to, rows.count}, kSquare * rows.count, done / kSquare},
                     x.stride, rows.count);
  }
  for (int64_t b = 0; b < pieces.together; ++b) {
    Interleave(from + b * view.block + done * view.stride, x.stride, view.stride, rows.count,
               depth - done, to + b * block_floats + done * rows.count);
  }
}

void PackRanges(std::span<const Range> ranges, ConstRows x, int64_t rows, float* packed) {
  for (int64_t i = 0; i < RowTileCount(rows); ++i) {
    const RowTile tile = RowTileAt(rows, i);
    for (const Range& range : ranges) {
      const float* from = x.data + tile.first * x.stride + range.first;
      int64_t done = 0;
      if (tile.count >= kSquare) {
        done = range.count / kSquare * kSquare;
        TransposeSquares(
            {from, kSquare, {packed, tile.count}, kSquare * tile.count, done / kSquare}, x.stride,
            tile.count);
      }
      Interleave(from + done, x.stride, 1, tile.count, range.count - done,
                 packed + done * tile.count);
      packed += range.count * tile.count;
    }
  }
}

void PackRowTile(const PackedContraction& contraction, BlockRange blocks, ConstRows x, RowTile rows,
                 float* packed) {
  const int64_t pieces = RowPieces(contraction, blocks);
  for (int64_t piece = 0; piece < pieces; ++piece) {
    PackRowPiece(contraction, blocks, x, rows, piece, packed);
  }
}

}  // namespace dyad::kernels
