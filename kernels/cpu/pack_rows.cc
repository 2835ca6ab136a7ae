// Packing of rows, on each run: the layout is in kernels/cpu/operands.h.
#include <algorithm>
#include <array>

#include "kernels/cpu/operands.h"
#include "kernels/cpu/square.h"

namespace dyad::kernels {
namespace {

constexpr int64_t kPieceFloats = 256;  // of a row; about a microsecond for a full row tile

// The rows of a tile where they are not evenly apart, as those of several groups.
using RowStarts = std::array<const float*, kRowTile>;

// `count` times four neighbouring features of at least four rows: neighbour j of the i-th four goes
// to to[i · to_step + j · neighbour_step + row].
struct Squares {
  int64_t from_step;  // features, from four to four
  float* to;
  int64_t to_step;
  int64_t neighbour_step;
  int64_t count;
};
// A few times for the same rows before the next ones: rows may be a power of two apart, and the
// first cache holds only so many of their lines. By value: nothing that is stored can be theirs.
template <typename Rows>
void TransposeSquares(Rows from, int64_t rows, Squares squares) {
  constexpr int64_t kTogether = 4;  // a cache line of neighbours
  for (int64_t first = 0; first < squares.count; first += kTogether) {
    const int64_t last = std::min(first + kTogether, squares.count);
    for (int64_t r = 0; r < rows; r += kSquare) {
      const int64_t row = std::min(r, rows - kSquare);  // the last ones overlap
      for (int64_t i = first; i < last; ++i) {
        const Square square = TransposeSquare(from, row, i * squares.from_step);
        float* to = squares.to + i * squares.to_step + row;
        for (int64_t j = 0; j < kSquare; ++j) {
          StoreFour(square.columns[j], to + j * squares.neighbour_step);
        }
      }
    }
  }
}

// Features `at`, at + stride, … of each row.
struct Features {
  int64_t at;
  int64_t stride;
  int64_t count;
};
// to[k, r] = feature k of row r. Fewer rows than a square has are known to the compiler, so that
// the loop over them is straight code.
template <int kRows, typename Rows>
void InterleaveExactly(const Rows& from, const Features& features, float* to) {
  for (int64_t k = 0; k < features.count; ++k, to += kRows) {
    for (int64_t r = 0; r < kRows; ++r) to[r] = from[r][features.at + k * features.stride];
  }
}
template <typename Rows>
void Interleave(const Rows& from, int64_t rows, const Features& features, float* to) {
  switch (rows) {
    case 1:
      return features.stride == 1 ? void(std::copy_n(from[0] + features.at, features.count, to))
                                  : InterleaveExactly<1>(from, features, to);
    case 2:
      return InterleaveExactly<2>(from, features, to);
    case 3:
      return InterleaveExactly<3>(from, features, to);
    default:
      for (int64_t k = 0; k < features.count; ++k) {
        for (int64_t r = 0; r < rows; ++r) *to++ = from[r][features.at + k * features.stride];
      }
  }
}

// Blocks that a piece takes together.
int64_t BlocksTogether(const PackedContraction& contraction, const View& view) {
  const bool side_by_side = view.block == 1 && view.stride != 1;
  return side_by_side && contraction.blocks % kSquare == 0 ? kSquare : 1;
}

// Terms, from `term` on, that a piece takes together: four whose features are neighbours.
int64_t TermsTogether(const PackedContraction& contraction, size_t term) {
  const std::vector<View>& views = contraction.sources;
  View view = views[term];
  if (view.stride == 1 || BlocksTogether(contraction, view) != 1) return 1;
  for (int64_t i = 1; i < kSquare; ++i) {
    ++view.offset;
    if (term + static_cast<size_t>(i) >= views.size() ||
        views[term + static_cast<size_t>(i)] != view) {
      return 1;
    }
  }
  return kSquare;
}

// The pieces of some terms: [blocks together][part of the depth].
struct TermPieces {
  int64_t terms = 1;
  int64_t blocks = 1;  // together; one of both is 1
  int64_t depth = 0;   // k of a piece
  int64_t of_blocks = 0;
  int64_t count = 0;

  int64_t together() const { return terms * blocks; }
};
TermPieces PiecesOf(const PackedContraction& contraction, BlockRange blocks, size_t term) {
  TermPieces pieces;
  pieces.terms = TermsTogether(contraction, term);
  pieces.blocks = BlocksTogether(contraction, contraction.sources[term]);
  pieces.depth = kPieceFloats / pieces.together();
  pieces.of_blocks = (contraction.term_depth + pieces.depth - 1) / pieces.depth;
  pieces.count = blocks.count / pieces.blocks * pieces.of_blocks;
  return pieces;
}

// A part of a row tile: `features` of each row, and the neighbours of each, which go to
// to[j · neighbour_step].
struct Piece {
  Features features;
  int64_t neighbours = 1;  // 1 or 4, with the feature itself
  int64_t neighbour_step = 0;
  float* to = nullptr;
};
template <typename Rows>
void PackPiece(const Rows& from, int64_t rows, const Piece& piece) {
  const int64_t stride = piece.features.stride, depth = piece.features.count;
  if (rows >= kSquare && piece.neighbours == kSquare) {
    return TransposeSquares(from, rows, {stride, piece.to, rows, piece.neighbour_step, depth});
  }
  int64_t done = 0;
  if (rows >= kSquare && stride == 1) {
    done = depth / kSquare * kSquare;
    TransposeSquares(from, rows, {kSquare, piece.to, kSquare * rows, rows, done / kSquare});
  }
  for (int64_t j = 0; j < piece.neighbours; ++j) {
    Interleave(from, rows, {j + done * stride, stride, depth - done},
               piece.to + j * piece.neighbour_step + done * rows);
  }
}

// The row groups of a token lie side by side: rows of a token are copied together.
void CopyGroups(const RowStarts& from, int64_t groups, RowTile rows, const Piece& piece) {
  for (int64_t r = 0; r < rows.count;) {
    const int64_t run = std::min(groups - (rows.first + r) % groups, rows.count - r);
    for (int64_t k = 0; k < piece.features.count; ++k) {
      std::copy_n(from[static_cast<size_t>(r)] + k * piece.features.stride, run,
                  piece.to + k * rows.count + r);
    }
    r += run;
  }
}

// Feature j of the view's block from some k on, in row r of a tile.
struct RowPlaces {
  ConstRows x;
  const int32_t* row_of;  // null: 0, 1, 2, …
  int64_t groups;
  const View* view;
  int64_t block, first_k;

  const float* token(int64_t row) const {
    const int64_t token = row / groups;
    return x.data + (row_of == nullptr ? token : row_of[token]) * x.stride;
  }
  int64_t feature(int64_t row) const { return view->At(block, row % groups, first_k); }
};

// Neighbouring features of each row, with zeros behind the last one that there is.
struct PaddedRows {
  float values[kRowTile][kPieceFloats];

  RowStarts Copy(const RowPlaces& places, RowTile rows, int64_t depth, int64_t width) {
    RowStarts starts = {};
    for (int64_t r = 0; r < rows.count; ++r) {
      const int64_t feature = places.feature(rows.first + r);
      const int64_t there = std::clamp<int64_t>(width - feature, 0, depth);
      if (there > 0) std::copy_n(places.token(rows.first + r) + feature, there, values[r]);
      std::fill_n(values[r] + there, depth - there, 0.0f);
      starts[static_cast<size_t>(r)] = values[r];
    }
    return starts;
  }
};

// Packs element by element, strided features of which some are past the end.
void GatherElements(const RowPlaces& places, RowTile rows, int64_t width, int64_t depth,
                    float* to) {
  for (int64_t k = 0; k < depth; ++k) {
    for (int64_t r = rows.first; r < rows.first + rows.count; ++r) {
      const int64_t feature = places.feature(r) + k * places.view->stride;
      *to++ = feature < width ? places.token(r)[feature] : 0.0f;
    }
  }
}

// The last row group that a tile has.
int64_t LastGroup(int64_t groups, RowTile rows) {
  const int64_t first = rows.first % groups;
  return std::min(first + rows.count, groups) - 1;
}

struct PieceOf {
  const PackedContraction* contraction;
  BlockRange blocks;
  size_t term;
  const TermPieces* pieces;
  int64_t piece;
};
struct BatchRows {
  ConstRows x;
  const int32_t* row_of;
};
void PackPieceOf(const PieceOf& of, const BatchRows& from, RowTile rows, float* packed) {
  const PackedContraction& contraction = *of.contraction;
  const BlockRange blocks = of.blocks;
  const TermPieces& pieces = *of.pieces;
  const View& view = contraction.sources[of.term];
  const int64_t block = of.piece / pieces.of_blocks * pieces.blocks;  // of the range
  const int64_t first_k = of.piece % pieces.of_blocks * pieces.depth;
  const int64_t depth = std::min(pieces.depth, contraction.term_depth - first_k);
  const int64_t block_floats = contraction.depth() * rows.count;
  const Piece part = {
      .features = {0, view.stride, depth},
      .neighbours = pieces.together(),
      .neighbour_step = pieces.terms > 1 ? contraction.term_depth * rows.count : block_floats,
      .to = packed + rows.first * blocks.count * contraction.depth() + block * block_floats +
            (static_cast<int64_t>(of.term) * contraction.term_depth + first_k) * rows.count};
  const int64_t groups = contraction.groups, width = contraction.source_width;
  const RowPlaces places = {from.x, from.row_of, groups, &view, blocks.first + block, first_k};
  const int64_t last = view.At(blocks.first + block, LastGroup(groups, rows), first_k + depth - 1) +
                       pieces.together() - 1;
  if (last >= width && view.stride != 1) {
    for (int64_t j = 0; j < part.neighbours; ++j) {
      View neighbour = view;
      neighbour.offset += j;
      RowPlaces of_neighbour = places;
      of_neighbour.view = &neighbour;
      GatherElements(of_neighbour, rows, width, depth, part.to + j * part.neighbour_step);
    }
  } else if (last >= width) {
    PaddedRows padded;
    PackPiece(padded.Copy(places, rows, depth, width), rows.count, part);
  } else if (groups == 1 && from.row_of == nullptr) {
    PackPiece(EvenRows{places.token(rows.first) + places.feature(0), from.x.stride}, rows.count,
              part);
  } else {
    RowStarts starts = {};
    for (int64_t r = 0; r < rows.count; ++r) {
      const int64_t row = rows.first + r;
      starts[static_cast<size_t>(r)] = places.token(row) + places.feature(row);
    }
    const bool side_by_side =
        groups > 1 && view.group == 1 && view.stride != 1 && part.neighbours == 1;
    if (side_by_side) return CopyGroups(starts, groups, rows, part);
    PackPiece(starts, rows.count, part);
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
  for (size_t term = 0; term < contraction.sources.size();) {
    const TermPieces of_terms = PiecesOf(contraction, blocks, term);
    pieces += of_terms.count;
    term += static_cast<size_t>(of_terms.terms);
  }
  return pieces;
}

void PackRowPiece(const PackedContraction& contraction, BlockRange blocks, ConstRows x,
                  RowTile rows, int64_t piece, float* packed, const int32_t* row_of) {
  size_t term = 0;
  TermPieces pieces = PiecesOf(contraction, blocks, term);
  while (piece >= pieces.count) {
    piece -= pieces.count;
    term += static_cast<size_t>(pieces.terms);
    pieces = PiecesOf(contraction, blocks, term);
  }
  const PieceOf of = {&contraction, blocks, term, &pieces, piece};
  PackPieceOf(of, {x, row_of}, rows, packed);
}

void PackRanges(std::span<const Range> ranges, ConstRows x, int64_t rows, float* packed) {
  for (int64_t i = 0; i < RowTileCount(rows); ++i) {
    const RowTile tile = RowTileAt(rows, i);
    for (const Range& range : ranges) {
      const EvenRows from = {x.data + tile.first * x.stride + range.first, x.stride};
      PackPiece(from, tile.count, {.features = {0, 1, range.count}, .to = packed});
      packed += range.count * tile.count;
    }
  }
}

void PackRowTile(const PackedContraction& contraction, BlockRange blocks, ConstRows x, RowTile rows,
                 float* packed, const int32_t* row_of) {
  for (size_t term = 0; term < contraction.sources.size();) {
    const TermPieces pieces = PiecesOf(contraction, blocks, term);
    for (int64_t piece = 0; piece < pieces.count; ++piece) {
      PackPieceOf({&contraction, blocks, term, &pieces, piece}, {x, row_of}, rows, packed);
    }
    term += static_cast<size_t>(pieces.terms);
  }
}

const float* RowAsPacked(const PackedContraction& contraction, BlockRange blocks,
                         const float* row) {
  const View& view = contraction.sources[0];
  const int64_t depth = contraction.term_depth;
  const bool whole = contraction.sources.size() == 1 && contraction.groups == 1 &&
                     view.stride == 1 && (view.block == depth || blocks.count == 1);
  const int64_t last = view.At(blocks.first + blocks.count - 1, 0, depth - 1);
  return whole && last < contraction.source_width ? row + view.At(blocks.first, 0, 0) : nullptr;
}

}  // namespace dyad::kernels
