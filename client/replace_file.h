// Files that are whole or not there.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace dyad::client {

// Writes `text` beside the file, then gives it the file's name; an old file stays until then.
// Errors: those of NewFile (server/base/new_file.h); InvalidArgument where the path is a folder or
// a device; the system's. What was written is removed then.
absl::Status ReplaceFile(const std::string& path, std::string_view text);

}  // namespace dyad::client
