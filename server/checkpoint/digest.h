// A model's digest: what `sha256sum config.json FILES… | sha256sum` prints, names sorted, run in
// the folder.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace dyad {

// `files` relative to `folder`, config.json included by the caller; sorted here (bytewise).
// Returns 64 hex digits. Cost: reads every byte once, in pieces; takes 1 MiB of memory.
absl::StatusOr<std::string> ModelDigest(const std::string& folder, std::vector<std::string> files);

}  // namespace dyad
