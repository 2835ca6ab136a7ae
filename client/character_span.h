// Spans of a text, counted in characters by people and in bytes by the server.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/json_line.h"
#include "dyad/v1/scoring.pb.h"

namespace dyad::client {

// Characters (code points) before byte `byte` of valid UTF-8; a byte behind the end counts as the
// end.
int CharactersBefore(std::string_view text, int byte);

// The spans that a cell gives: "12:18" (characters, from 0, the last one not in it),
// {"text": "cats", "nth": 2} (its second occurrence; 1 if not given), or a list of such; a string
// may also be the JSON of one. Errors: InvalidArgument naming span and text.
absl::StatusOr<std::vector<v1::ByteSpan>> SpansOf(const Json& cell, std::string_view text);

}  // namespace dyad::client
