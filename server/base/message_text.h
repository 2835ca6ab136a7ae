// Texts of messages, and what may stand in them.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace dyad {

// For Abseil as Debian builds it, whose string_view is a class of its own.
inline absl::string_view AbslView(std::string_view text) { return {text.data(), text.size()}; }

template <typename Part>
decltype(auto) TextPart(const Part& part) {
  if constexpr (std::is_same_v<Part, std::string_view>) {
    return AbslView(part);
  } else {
    return (part);
  }
}

// absl::StrCat that takes std::string_view too.
template <typename... Parts>
std::string Text(const Parts&... parts) {
  return absl::StrCat(TextPart(parts)...);
}

// 'text' from a file of unknown origin, fit for one line of a message or log: everything but
// printable ASCII escaped, cut after 200 bytes.
inline std::string Quoted(std::string_view text) {
  constexpr size_t kLongest = 200;
  return absl::StrCat("'", absl::CHexEscape(AbslView(text.substr(0, kLongest))),
                      text.size() > kLongest ? "'..." : "'");
}

}  // namespace dyad
