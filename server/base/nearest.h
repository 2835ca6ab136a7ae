// What a misspelt name was probably meant to be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dyad {

// Letters to insert, drop or change until `a` is `b`. Case, dashes and underscores do not count:
// maxNewTokens and max-new-tokens are max_new_tokens. Cost: O(a * b).
int SpellingDistance(std::string_view a, std::string_view b);

// The nearest of `names`, the first of equals; empty if more than 2 letters and more than a third
// of them would have to change.
std::string NearestName(std::string_view word, const std::vector<std::string>& names);

}  // namespace dyad
