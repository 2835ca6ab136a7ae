// What flags of commands may say: words, ranges, lists of counts. Messages name flag, value and
// limit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace dyad::bench {

template <typename Value>
struct Word {
  std::string_view text;
  Value value;
};

// The value of --`name`, whose text is one of at least two words.
template <typename Value>
absl::StatusOr<Value> ChooseWord(std::string_view name, const std::string& text,
                                 const std::vector<Word<Value>>& words) {
  std::string known;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i].text == text) return words[i].value;
    const bool last = i + 1 == words.size();
    absl::StrAppend(&known, i == 0 ? "" : last ? " or " : ", ", std::string(words[i].text));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--", std::string(name), " is '", text, "'; it must be ", known));
}

struct Range {
  double least = 0, most = 0;
};

template <typename Flag>
absl::Status CheckRange(std::string_view name, const Flag& flag, Range range) {
  const auto value = absl::GetFlag(flag);
  const auto number = static_cast<double>(value);
  if (number >= range.least && number <= range.most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", std::string(name), " is ", value,
                                                 "; it must be in [", range.least, ", ", range.most,
                                                 "]"));
}

// Each of `texts` in [1, most].
inline absl::StatusOr<std::vector<int64_t>> ParseCounts(std::string_view name,
                                                        const std::vector<std::string>& texts,
                                                        int64_t most) {
  std::vector<int64_t> counts;
  for (const std::string& text : texts) {
    int64_t count = 0;
    if (!absl::SimpleAtoi(text, &count) || count < 1 || count > most) {
      return absl::InvalidArgumentError(absl::StrCat("--", std::string(name), " has '", text,
                                                     "'; each must be in [1, ", most, "]"));
    }
    counts.push_back(count);
  }
  return counts;
}

}  // namespace dyad::bench
