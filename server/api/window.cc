// Ends of windows go up by the stride; beginnings follow from them.
#include "server/api/window.h"

#include <algorithm>

namespace dyad {

std::vector<Window> WindowsOf(int32_t scored_from, int32_t end, const WindowShape& shape) {
  std::vector<Window> windows;
  int32_t scored = 1;
  for (int32_t window_end = std::min(shape.tokens, end);;) {
    const int32_t from = std::max(scored, scored_from);
    if (from < window_end) {
      windows.push_back({std::max(0, window_end - shape.tokens), window_end, from});
    }
    if (window_end == end) return windows;
    scored = window_end;
    window_end += std::min(shape.stride, end - window_end);
  }
}

}  // namespace dyad
