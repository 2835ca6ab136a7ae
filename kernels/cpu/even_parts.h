// Things cut into neighbouring parts whose sizes differ by one at most.
#pragma once

#include <cstdint>

namespace dyad::kernels {

// Things [first, first + count).
struct Part {
  int64_t first = 0;
  int64_t count = 0;
};

// Parts of at most `most` that `count` things take.
inline int64_t PartCount(int64_t count, int64_t most) { return (count + most - 1) / most; }

// Part `index` of `parts` of `count` things.
inline Part PartAt(int64_t count, int64_t parts, int64_t index) {
  const int64_t first = index * count / parts;
  return {first, (index + 1) * count / parts - first};
}

}  // namespace dyad::kernels
