// A JSON array of objects in the place of lines.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/json_line.h"

namespace dyad::client {

// What some programs put in front of UTF-8 is no text.
std::string_view WithoutByteOrderMark(std::string_view content);

// Whether JSON that starts like this is an array: its first character is a bracket.
bool BeginsJsonArray(std::string_view content);

// The items of a file's content, at most kMaxLineBytes. Errors: InvalidArgument with `name` and the
// place, for what is no array of objects.
absl::StatusOr<std::vector<Json>> ReadJsonArray(const std::string& name, std::string_view content);

}  // namespace dyad::client
