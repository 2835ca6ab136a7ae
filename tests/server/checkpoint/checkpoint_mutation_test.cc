// Random damage to good files: a reader returns tensors that lie inside the file, or an error. It
// never crashes, never reads outside (run it with the address sanitizer) and never takes much
// memory. Seeded, so that a failure comes back.
#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/checkpoint/safetensors.h"
#include "server/checkpoint/shard_index.h"
#include "server/checkpoint/torch_file.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/paths.h"

namespace dyad {
namespace {

using ::dyad::testing::FixturesDir;
using ::dyad::testing::HeapBytes;
using ::dyad::testing::Patch;
using ::dyad::testing::ReadWhole;

using Random = std::mt19937;

size_t Below(Random& random, size_t bound) { return bound == 0 ? 0 : random() % bound; }

// One to four edits inside [begin, end): flipped bits, bytes that mean something to the formats,
// numbers at the edges of their ranges, removed, doubled and exchanged pieces; sometimes a cut.
std::string Damaged(std::string bytes, size_t begin, size_t end, Random& random) {
  static constexpr unsigned char kTelling[] = {0x00, 0xff, 0x7f, 0x80, '(', ')', '.',
                                               't',  'u',  'R',  'Q',  'b', 'c', 'q',
                                               'h',  'K',  'X',  '{',  '[', '"'};
  const size_t edits = 1 + Below(random, 4);
  for (size_t i = 0; i < edits && begin < end && end <= bytes.size(); ++i) {
    const size_t at = begin + Below(random, end - begin);
    const size_t room = std::min<size_t>(bytes.size() - at, 1 + Below(random, 8));
    switch (Below(random, 7)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << Below(random, 8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(kTelling[Below(random, std::size(kTelling))]);
        break;
      case 2:
        bytes.replace(at, room, std::string(room, '\xff'));
        break;
      case 3:
        bytes.replace(at, room, std::string(room, '\0'));
        break;
      case 4:
        bytes.erase(at, room);
        end -= std::min(end - begin, room);
        break;
      case 5:
        bytes.insert(at, bytes.substr(at, room));
        break;
      case 6:
        bytes[at] = bytes[begin + Below(random, end - begin)];
        break;
    }
  }
  if (Below(random, 10) == 0) bytes.resize(Below(random, bytes.size() + 1));
  return bytes;
}

// Everything that a loader may do with tensors; a bad one makes the sanitizer speak.
void Touch(const TensorMap& tensors, size_t file_bytes) {
  for (const auto& [name, tensor] : tensors) {
    ASSERT_EQ(tensor.shape.size(), tensor.strides.size());
    ASSERT_LE(tensor.elements() * StoredBytes(tensor.type), static_cast<int64_t>(file_bytes))
        << name;
    ASSERT_LE(tensor.span_bytes(), static_cast<int64_t>(file_bytes)) << name;
    std::vector<std::byte> copy(static_cast<size_t>(tensor.span_bytes()));
    if (!copy.empty()) std::memcpy(copy.data(), tensor.data, copy.size());
  }
}

struct Tally {
  int good = 0;
  int refused = 0;
};

using Reader = absl::StatusOr<TensorMap> (*)(std::span<const std::byte>, std::string_view);

void Try(const std::string& bytes, Reader reader, Tally& tally) {
  const HeapBytes heap(bytes);
  const auto tensors = reader(heap.view(), "mutant");
  if (!tensors.ok()) {
    EXPECT_FALSE(tensors.status().message().empty());
    EXPECT_EQ(tensors.status().message().find('\n'), absl::string_view::npos);
    ++tally.refused;
    return;
  }
  ++tally.good;
  Touch(*tensors, bytes.size());
}

TEST(CheckpointMutationTest, TorchFiles) {
  const std::string good = ReadWhole(FixturesDir() / "bad_base" / "bin" / "pytorch_model.bin");
  ASSERT_GT(good.size(), 10'000u);
  const size_t directory = good.find("PK\1\2");
  ASSERT_NE(directory, good.npos);
  const size_t pickle_end = good.find("PK\7\10");
  Random random(20'240'501);
  Tally tally;
  for (int i = 0; i < 3'000; ++i) {
    Try(Damaged(good, 0, pickle_end, random), &ReadTorchFile, tally);           // the pickle
    Try(Damaged(good, directory, good.size(), random), &ReadTorchFile, tally);  // the directory
    Try(Damaged(good, 0, good.size(), random), &ReadTorchFile, tally);
  }
  EXPECT_GT(tally.refused, 1'000);
  EXPECT_GT(tally.good, 100);
}

// The same with an archive around the damaged pickle that stays well-formed, which reaches deeper.
TEST(CheckpointMutationTest, PicklesInGoodArchives) {
  namespace pickle = ::dyad::testing::pickle;
  std::vector<pickle::Tensor> tensors;
  for (int i = 0; i < 4; ++i) {
    tensors.push_back({.name = "layers." + std::to_string(i),
                       .elements = 24,
                       .shape = {2, 3, 4},
                       .strides = {12, 4, 1}});
  }
  const std::string good =
      pickle::Whole("}" + pickle::String("state_dict") + pickle::StateDict(tensors) + "s");
  Random random(7);
  Tally tally;
  for (int i = 0; i < 6'000; ++i) {
    const std::string mutant = Damaged(good, 0, good.size(), random);
    Try(::dyad::testing::MakeTorchFile(mutant, {{"0", std::string(96, 'x')}}), &ReadTorchFile,
        tally);
  }
  EXPECT_GT(tally.refused, 1'000);
  EXPECT_GT(tally.good, 20);
}

TEST(CheckpointMutationTest, Safetensors) {
  const std::string good =
      ReadWhole(FixturesDir() / "bad_base" / "safetensors" / "model.safetensors");
  ASSERT_GT(good.size(), 10'000u);
  uint64_t header = 0;
  std::memcpy(&header, good.data(), sizeof(header));
  Random random(11);
  Tally tally;
  for (int i = 0; i < 4'000; ++i) {
    Try(Damaged(good, 0, 8, random), &ReadSafetensors, tally);
    Try(Damaged(good, 8, 8 + header, random), &ReadSafetensors, tally);
    Try(Damaged(good, 8 + header, good.size(), random), &ReadSafetensors, tally);
  }
  EXPECT_GT(tally.refused, 1'000);
  EXPECT_GT(tally.good, 100);
}

TEST(CheckpointMutationTest, Indices) {
  const std::string good =
      R"({"metadata": {"total_size": 123}, "weight_map": {"a.b": "x-1.bin", "c.d": "x-2.bin"}})";
  Random random(13);
  Tally tally;
  for (int i = 0; i < 10'000; ++i) {
    const auto index = ReadShardIndex(Damaged(good, 0, good.size(), random), "mutant");
    ++(index.ok() ? tally.good : tally.refused);
    if (!index.ok()) continue;
    for (const auto& [tensor, shard] : *index) ASSERT_EQ(shard.find('/'), shard.npos) << shard;
  }
  EXPECT_GT(tally.refused, 1'000);
  EXPECT_GT(tally.good, 100);
}

}  // namespace
}  // namespace dyad
