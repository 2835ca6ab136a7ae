// The JSON of headers and indexes.
#include "server/checkpoint/safetensors_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"
#include "server/checkpoint/safetensors.h"

namespace dyad {

std::string SafetensorsHeader(std::span<const TensorEntry> entries) {
  // transformers refuses a file that does not say whose tensors these are.
  nlohmann::json header = {{"__metadata__", {{"format", "pt"}}}};
  int64_t begin = 0;
  for (const TensorEntry& entry : entries) {
    const int64_t end = begin + entry.bytes();
    header[entry.name] = {{"dtype", SafetensorsName(entry.type)},
                          {"shape", entry.shape},
                          {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string length;
  for (size_t i = 0; i < 8; ++i) length.push_back(static_cast<char>(text.size() >> 8 * i));
  return length + text;
}

std::vector<Shard> PlanShards(std::vector<TensorEntry> entries, int64_t max_bytes) {
  std::vector<Shard> shards;
  int64_t room = 0;
  for (TensorEntry& entry : entries) {
    const int64_t bytes = entry.bytes();
    if (shards.empty() || bytes > room) {
      shards.emplace_back();
      room = max_bytes;
    }
    room -= std::min(room, bytes);
    shards.back().entries.push_back(std::move(entry));
  }
  if (shards.size() == 1) shards.front().file = "model.safetensors";
  for (size_t i = 0; i < shards.size(); ++i) {
    Shard& shard = shards[i];
    if (shards.size() > 1) {
      shard.file = absl::StrFormat("model-%05d-of-%05d.safetensors", i + 1, shards.size());
    }
    std::stable_sort(shard.entries.begin(), shard.entries.end(),
                     [](const TensorEntry& a, const TensorEntry& b) {
                       return StoredBytes(a.type) > StoredBytes(b.type);
                     });
  }
  return shards;
}

std::string ShardIndexText(std::span<const Shard> shards) {
  int64_t bytes = 0;
  nlohmann::json map = nlohmann::json::object();
  for (const Shard& shard : shards) {
    for (const TensorEntry& entry : shard.entries) {
      bytes += entry.bytes();
      map[entry.name] = shard.file;
    }
  }
  const nlohmann::json index = {{"metadata", {{"total_size", bytes}}},
                                {"weight_map", std::move(map)}};
  return index.dump(2) + "\n";
}

}  // namespace dyad
