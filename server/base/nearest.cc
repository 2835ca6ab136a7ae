// Levenshtein's distance, row by row.
#include "server/base/nearest.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/ascii.h"

namespace dyad {
namespace {

std::string Letters(std::string_view word) {
  std::string letters;
  for (const char c : word) {
    if (c != '-' && c != '_') letters += absl::ascii_tolower(static_cast<unsigned char>(c));
  }
  return letters;
}

}  // namespace

int SpellingDistance(std::string_view a, std::string_view b) {
  const std::string from = Letters(a), to = Letters(b);
  std::vector<int> row(to.size() + 1);  // of the beginnings of `to`, for one beginning of `from`
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < from.size(); ++i) {
    int diagonal = row[0]++;
    for (size_t j = 0; j < to.size(); ++j) {
      const int changed = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string NearestName(std::string_view word, const std::vector<std::string>& names) {
  std::string nearest;
  int least = 0;
  for (const std::string& name : names) {
    const int distance = SpellingDistance(word, name);
    const auto letters = static_cast<int>(std::max(word.size(), name.size()));
    if (distance > std::max(2, letters / 3)) continue;
    if (!nearest.empty() && distance >= least) continue;
    nearest = name;
    least = distance;
  }
  return nearest;
}

}  // namespace dyad
