// The digest of some files of a folder, as of a model's or its tokenizer's: what
// `sha256sum FILES… | sha256sum` prints, names sorted, run in the folder.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace dyad {

// `files` relative to `folder`; sorted here (bytewise).
// Returns 64 hex digits. Cost: reads every byte once, in pieces; takes 1 MiB of memory.
absl::StatusOr<std::string> FilesDigest(const std::string& folder, std::vector<std::string> files);

}  // namespace dyad
