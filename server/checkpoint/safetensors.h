// The safetensors format: 8 bytes little-endian header length, a JSON header
// {"name": {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, …, "__metadata__": {..}},
// then the data that the offsets count from.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/checkpoint/stored_tensor.h"

namespace dyad {

inline constexpr size_t kMaxSafetensorsHeader =
    100'000'000;  // bytes; the reference library's bound

// The tensors of one file; they point into `bytes`. `file` is for messages.
//
// Checked: header within the file and kMaxSafetensorsHeader, every field present once, known
// dtypes, at most kMaxTensors names, each once; every shape times its element size equals its
// data_offsets span; the spans lie in the file, overlap nowhere and leave nothing out (as the
// reference library demands). Cost: reads the header only; memory for the table only. Errors:
// InvalidArgument, or DataLoss where the file ends early: file, tensor, found, expected.
absl::StatusOr<TensorMap> ReadSafetensors(std::span<const std::byte> bytes, std::string_view file);

// What the format calls a type: "F32".
std::string_view SafetensorsName(StoredType type);

}  // namespace dyad
