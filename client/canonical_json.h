// One text for each JSON value, so that a digest of it can be taken anywhere: the text that
// Python's json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) gives.
#pragma once

#include <string>

#include "client/json_line.h"

namespace dyad::client {

// Keys in the order of their bytes, no blanks, UTF-8. A float is the shortest decimal that reads
// back to it, as Python writes it: 1.0, 1e-05, 1e+16. Bytes that are no UTF-8 become U+FFFD.
std::string CanonicalJson(const Json& value);

}  // namespace dyad::client
