// A square of 4 x 4 numbers, transposed in registers.
#pragma once

#include <cstdint>
#include <cstring>

namespace dyad::kernels {

inline constexpr int64_t kSquare = 4;

// Four floats, which every processor of 64 bits shuffles in registers.
using Four = float __attribute__((vector_size(16)));

inline Four LoadFour(const float* from) {
  Four four;
  std::memcpy(&four, from, sizeof(four));
  return four;
}
inline void StoreFour(Four four, float* to) { std::memcpy(to, &four, sizeof(four)); }

// Rows of a matrix.
struct EvenRows {
  const float* first;
  int64_t stride;

  const float* operator[](int64_t row) const { return first + row * stride; }
};

// Four rows of four numbers, rows[first + r][at + j], as four columns. Rows: EvenRows, or pointers.
struct Square {
  Four columns[kSquare];
};
template <typename Rows>
inline Square TransposeSquare(const Rows& rows, int64_t first, int64_t at) {
  const Four a = LoadFour(rows[first] + at), b = LoadFour(rows[first + 1] + at);
  const Four c = LoadFour(rows[first + 2] + at), d = LoadFour(rows[first + 3] + at);
  const Four ab01 = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const Four ab23 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Four cd01 = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Four cd23 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  return {{__builtin_shufflevector(ab01, cd01, 0, 1, 4, 5),
           __builtin_shufflevector(ab01, cd01, 2, 3, 6, 7),
           __builtin_shufflevector(ab23, cd23, 0, 1, 4, 5),
           __builtin_shufflevector(ab23, cd23, 2, 3, 6, 7)}};
}

}  // namespace dyad::kernels
