// What a loader may do with the tensors of a file.
#pragma once

#include <cstddef>
#include <cstring>
#include <vector>

#include "server/checkpoint/stored_tensor.h"
#include "tests/fuzz/fuzz_input.h"

namespace dyad::testing {

// Copies each; one that lies outside its file makes the sanitizer speak.
inline void Touch(const TensorMap& tensors, size_t file_bytes) {
  for (const auto& [name, tensor] : tensors) {
    Require(tensor.shape.size() == tensor.strides.size(), "a stride for each dimension");
    Require(tensor.elements() * StoredBytes(tensor.type) <= static_cast<int64_t>(file_bytes),
            "a copy is no larger than the file");
    Require(tensor.span_bytes() <= static_cast<int64_t>(file_bytes), "a tensor is in its file");
    std::vector<std::byte> copy(static_cast<size_t>(tensor.span_bytes()));
    if (!copy.empty()) std::memcpy(copy.data(), tensor.data, copy.size());
  }
}

}  // namespace dyad::testing
