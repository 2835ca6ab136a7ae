// What a folder of safetensors files begins with and is listed by: the other direction of
// safetensors.h and shard_index.h. Bytes of tensors are for the caller to write, in the order that
// PlanShards gives, row-major and little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "server/checkpoint/stored_tensor.h"

namespace dyad {

// A tensor that will be written. REQUIRES: a valid name, and a shape whose bytes fit int64.
struct TensorEntry {
  std::string name;
  StoredType type = StoredType::kFloat32;
  std::vector<int64_t> shape;

  int64_t bytes() const { return ElementCount(shape).value_or(0) * StoredBytes(type); }
};

// The beginning of a file that holds these tensors, one behind the other: the length of the header
// and the header, a multiple of 8 bytes.
std::string SafetensorsHeader(std::span<const TensorEntry> entries);

struct Shard {
  std::string file;  // model.safetensors, or model-00001-of-00002.safetensors
  // Large elements first, so that every tensor begins at a multiple of its element's size.
  std::vector<TensorEntry> entries;
};

// Cuts tensors into files of at most `max_bytes` of data each, in their order; a larger tensor has
// a file of its own. REQUIRES: different names.
std::vector<Shard> PlanShards(std::vector<TensorEntry> entries, int64_t max_bytes);

// model.safetensors.index.json of several shards.
std::string ShardIndexText(std::span<const Shard> shards);

}  // namespace dyad
