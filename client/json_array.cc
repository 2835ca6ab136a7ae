// Read whole: an array has no end before its last character.
#include "client/json_array.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace dyad::client {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

absl::Status ArrayFault(const std::string& name, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", what));
}

}  // namespace

std::string_view WithoutByteOrderMark(std::string_view content) {
  if (content.starts_with(kByteOrderMark)) content.remove_prefix(kByteOrderMark.size());
  return content;
}

bool BeginsJsonArray(std::string_view content) {
  content = WithoutByteOrderMark(content);
  const size_t first = content.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && content[first] == '[';
}

absl::StatusOr<std::vector<Json>> ReadJsonArray(const std::string& name, std::string_view content) {
  if (content.size() > kMaxLineBytes) {
    return ArrayFault(name, absl::StrCat("a JSON array of more than ", kMaxLineBytes,
                                         " bytes; lines of JSON may be more"));
  }
  absl::StatusOr<Json> array = ParseJson(WithoutByteOrderMark(content));
  if (!array.ok()) return ArrayFault(name, std::string(array.status().message()));
  std::vector<Json> items;
  for (Json& item : *array) {
    items.push_back(std::move(item));
    if (items.back().is_object()) continue;
    return ArrayFault(name, absl::StrCat("item ", items.size(), ": must be a JSON object, found: ",
                                         items.back().type_name()));
  }
  return items;
}

}  // namespace dyad::client
