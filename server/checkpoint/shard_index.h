// The index of a sharded checkpoint: {"metadata": …, "weight_map": {"tensor": "shard file", …}}.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace dyad {

inline constexpr size_t kMaxIndexBytes = size_t{1} << 26;
inline constexpr size_t kMaxShards = 4096;

// Tensor name -> plain name of the file that holds it; at least one.
using ShardIndex = std::map<std::string, std::string, std::less<>>;

// `file` is for messages. Shards that are not plain file names (paths, "..") are refused; whether
// they exist is not looked at. Errors: InvalidArgument: file, tensor or key, found, expected.
absl::StatusOr<ShardIndex> ReadShardIndex(std::string_view json, std::string_view file);

}  // namespace dyad
