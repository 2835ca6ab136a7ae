// What the input of a run is: {"name", "sha256", "bytes"}, for the run's header.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/json_line.h"

namespace dyad::client {

// The file as it lies there: the digest is what sha256sum prints. Of what can be read only once
// ("-", pipes) the name alone. Errors: the system's, naming the path. Cost: reads it once.
absl::StatusOr<Json> DescribeFile(const std::string& path);

// The files of a folder, relative to it: what `sha256sum FILES… | sha256sum` prints there, names
// sorted (bytewise). Errors: as DescribeFile.
absl::StatusOr<Json> DescribeFolder(const std::string& path, std::vector<std::string> files);

// What stands on the command line.
Json DescribeArguments(std::string_view text);

}  // namespace dyad::client
