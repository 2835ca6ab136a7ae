// What is written is what the reader reads; shards are bounded.
#include "server/checkpoint/safetensors_writer.h"

#include <cstring>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/checkpoint/checkpoint.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::ElementsAre;
using testing::ScratchFolder;

// Numbered bytes for every tensor of a shard.
void WriteShard(const ScratchFolder& folder, const Shard& shard) {
  std::string text = SafetensorsHeader(shard.entries);
  EXPECT_EQ(text.size() % 8, 0u);
  for (const TensorEntry& entry : shard.entries) {
    for (int64_t i = 0; i < entry.bytes(); ++i) {
      text.push_back(static_cast<char>(static_cast<size_t>(i) + entry.name.size()));
    }
  }
  folder.Write(shard.file, text);
}

std::vector<std::string> FilesOf(const std::vector<Shard>& shards) {
  std::vector<std::string> names;
  for (const Shard& shard : shards) {
    std::string text = shard.file + ":";
    for (const TensorEntry& entry : shard.entries) text += " " + entry.name;
    names.push_back(text);
  }
  return names;
}

const std::vector<TensorEntry>& Entries() {
  static const auto& entries = *new std::vector<TensorEntry>{
      {"a.half", StoredType::kFloat16, {3}},   {"b", StoredType::kFloat32, {2, 3}},
      {"c.\"quoted\"", StoredType::kBool, {}}, {"d", StoredType::kFloat64, {1}},
      {"empty", StoredType::kInt64, {0, 4}},   {"brain", StoredType::kBfloat16, {2}}};
  return entries;
}

TEST(SafetensorsWriterTest, TheReaderReadsWhatWasWritten) {
  for (const int64_t max_bytes : {int64_t{1} << 30, int64_t{24}, int64_t{1}}) {
    const ScratchFolder folder;
    const std::vector<Shard> shards = PlanShards(Entries(), max_bytes);
    for (const Shard& shard : shards) WriteShard(folder, shard);
    if (shards.size() > 1) folder.Write("model.safetensors.index.json", ShardIndexText(shards));
    const auto checkpoint = Checkpoint::Open(folder.path());
    ASSERT_OK(checkpoint);
    EXPECT_EQ((*checkpoint)->files().size(), shards.size());
    ASSERT_EQ((*checkpoint)->tensors().size(), Entries().size());
    for (const TensorEntry& entry : Entries()) {
      const StoredTensor& tensor = (*checkpoint)->tensors().at(entry.name);
      EXPECT_EQ(tensor.type, entry.type);
      EXPECT_EQ(tensor.shape, entry.shape);
      for (int64_t i = 0; i < entry.bytes(); ++i) {
        EXPECT_EQ(static_cast<size_t>(tensor.data[i]), static_cast<size_t>(i) + entry.name.size());
      }
    }
  }
}

TEST(SafetensorsWriterTest, ShardsAreBoundedAndKeepTheOrder) {
  EXPECT_THAT(FilesOf(PlanShards(Entries(), 1000)),
              ElementsAre("model.safetensors: d empty b a.half brain c.\"quoted\""));
  // 6 and 24 bytes fit into 30; 1, 8, 0 and 4 into the next.
  EXPECT_THAT(FilesOf(PlanShards(Entries(), 30)),
              ElementsAre("model-00001-of-00002.safetensors: b a.half",
                          "model-00002-of-00002.safetensors: d empty brain c.\"quoted\""));
  // A tensor that is larger than a shard has one of its own.
  EXPECT_THAT(
      FilesOf(PlanShards(Entries(), 9)),
      ElementsAre("model-00001-of-00004.safetensors: a.half", "model-00002-of-00004.safetensors: b",
                  "model-00003-of-00004.safetensors: d empty c.\"quoted\"",
                  "model-00004-of-00004.safetensors: brain"));
}

}  // namespace
}  // namespace dyad
