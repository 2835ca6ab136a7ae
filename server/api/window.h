// Texts that are longer than the context, cut into pieces that overlap.
#pragma once

#include <cstdint>
#include <vector>

namespace dyad {

// Tokens [begin, end) of a text, of which those from scored_from on are scored.
struct Window {
  int32_t begin = 0;
  int32_t end = 0;
  int32_t scored_from = 0;  // [begin + 1, end]
};

// scoring.proto, ScoreWindow.
struct WindowShape {
  int32_t tokens = 0;  // >= 2
  int32_t stride = 0;  // [1, tokens)
};

// What is fed so that tokens [scored_from, end) are scored once each; windows that would score
// nothing of them are left out. REQUIRES: 1 <= scored_from <= end. Cost: O(windows).
std::vector<Window> WindowsOf(int32_t scored_from, int32_t end, const WindowShape& shape);

}  // namespace dyad
