// Checkpoint folders: which files are read, that formats agree, and that damage is named.
#include "server/checkpoint/checkpoint.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"
#include "tests/support/unreadable.h"

namespace dyad {
namespace {

namespace fs = std::filesystem;
using ::dyad::testing::FixturesDir;
using ::dyad::testing::MakeSafetensors;
using ::dyad::testing::MakeTorchFile;
using ::dyad::testing::ReadWhole;
using ::dyad::testing::ScratchFolder;
using ::dyad::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace pickle = ::dyad::testing::pickle;

// One uint8 tensor of 4 elements in either format.
std::string OneTensor(const std::string& name) {
  return MakeSafetensors(R"({")" + name + R"(":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
                         "1234");
}
std::string OneTorchTensor(const std::string& name) {
  return MakeTorchFile(
      pickle::Whole(pickle::StateDict(
          {{.name = name, .type = "ByteStorage", .elements = 4, .shape = {4}, .strides = {1}}})),
      {{"0", "1234"}});
}
std::string Index(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string json;
  for (const auto& [tensor, shard] : entries) {
    json += (json.empty() ? "\"" : ",\"") + tensor + "\":\"" + shard + "\"";
  }
  return "{\"weight_map\":{" + json + "}}";
}

std::string Bytes(const StoredTensor& tensor) {
  EXPECT_TRUE(tensor.contiguous());
  return {reinterpret_cast<const char*>(tensor.data), static_cast<size_t>(tensor.span_bytes())};
}

// ---- Fixtures

void ExpectSameWeights(const std::string& one, const std::string& other) {
  const auto a = Checkpoint::Open((FixturesDir() / one).string());
  const auto b = Checkpoint::Open((FixturesDir() / other).string());
  ASSERT_OK(a);
  ASSERT_OK(b);
  int compared = 0;
  for (const auto& [name, tensor] : (*b)->tensors()) {
    ASSERT_TRUE((*a)->tensors().contains(name)) << name;
    const StoredTensor& same = (*a)->tensors().at(name);
    EXPECT_EQ(same.type, tensor.type) << name;
    EXPECT_EQ(same.shape, tensor.shape) << name;
    EXPECT_EQ(Bytes(same), Bytes(tensor)) << name;
    ++compared;
  }
  EXPECT_GT(compared, 25);
}

TEST(CheckpointFixtureTest, BinAndSafetensorsOfOneModelAgree) {
  ExpectSameWeights("opt-dyad-it4", "opt-dyad-it4-nokey");
}

TEST(CheckpointFixtureTest, BinAndItsShardsAgree) {
  ExpectSameWeights("neox-dyad-it4", "neox-dyad-it4-nokey");
}

TEST(CheckpointFixtureTest, EveryUndamagedFolderOpens) {
  int opened = 0;
  for (const fs::path& parent : {FixturesDir(), FixturesDir() / "bad_base"}) {
    for (const auto& entry : fs::directory_iterator(parent)) {
      if (!fs::exists(entry.path() / "config.json")) continue;
      const auto checkpoint = Checkpoint::Open(entry.path().string());
      EXPECT_OK(checkpoint) << entry.path();
      if (!checkpoint.ok()) continue;
      EXPECT_GT((*checkpoint)->tensors().size(), 10u);
      for (const auto& [name, tensor] : (*checkpoint)->tensors()) {
        EXPECT_EQ(tensor.shape.size(), tensor.strides.size());
        volatile std::byte touched = tensor.data[tensor.span_bytes() - 1];
        static_cast<void>(touched);
      }
      ++opened;
    }
  }
  EXPECT_GE(opened, 10);
}

TEST(CheckpointFixtureTest, OldBuffersKeepTheirTypes) {
  const auto bytes = Checkpoint::Open((FixturesDir() / "neox-dense").string());
  const auto bools = Checkpoint::Open((FixturesDir() / "neox-dyad-it4").string());
  ASSERT_OK(bytes);
  ASSERT_OK(bools);
  const std::string mask = "gpt_neox.layers.0.attention.bias";
  EXPECT_EQ((*bytes)->tensors().at(mask).type, StoredType::kUint8);
  EXPECT_EQ((*bools)->tensors().at(mask).type, StoredType::kBool);
}

struct Damage {
  std::string folder;
  absl::StatusCode code;
  std::vector<std::string> words;  // of the message
};

const std::vector<Damage>& Damages() {
  static const std::string bin = "'pytorch_model.bin': ";
  static const std::string st = "'model.safetensors': ";
  static const std::string index = "'model.safetensors.index.json': ";
  static const std::string fc1 = "tensor 'model.decoder.layers.0.fc1.weight'";
  static const std::vector<Damage> damages = {
      {"bin-exec-builtin", kInvalid, {bin, "global '__builtin__.eval'", "expected"}},
      {"bin-exec-global", kInvalid, {bin, "global 'posix.system'", "expected"}},
      {"bin-huge-stride",
       kInvalid,
       {bin, "tensor 'model.decoder.embed_tokens.weight'", "points outside"}},
      {"bin-legacy", kInvalid, {bin, "legacy format", "expected its zip format"}},
      {"bin-no-data-pkl", kInvalid, {bin, "holds no data.pkl"}},
      {"bin-not-a-dict", kInvalid, {bin, "holds a list, expected a dict"}},
      {"bin-path-traversal", kInvalid, {bin, "'../../evil.txt' leaves the archive"}},
      {"bin-pickle-truncated", kDataLoss, {bin, "pickle ends inside"}},
      {"bin-storage-missing",
       kInvalid,
       {bin, "k_proj.bias'", "'archive/data/3' is not in the zip"}},
      {"bin-storage-short",
       kDataLoss,
       {bin, "k_proj.bias'", "has 8 bytes, expected 16 elements of float32"}},
      {"bin-truncated-zip", kDataLoss, {bin, "no end record"}},
      {"index-absolute", kInvalid, {index, fc1, "'/absolute/shard.safetensors'"}},
      {"index-dotdot", kInvalid, {index, fc1, "'../../bad_base/safetensors/model.safetensors'"}},
      {"index-missing-shard",
       kNotFound,
       {index, fc1, "'model-00002-of-00002.safetensors' is not in"}},
      {"index-tensor-not-in-shard",
       kInvalid,
       {index, fc1, "not in its shard 'model-00001-of-00002"}},
      {"no-weights", kNotFound, {"no weight file, expected model.safetensors"}},
      {"st-bad-dtype", kInvalid, {st, fc1, "'F31', expected F32"}},
      {"st-empty", kDataLoss, {st, "has 0 bytes, expected at least the 8"}},
      {"st-header-deep-nesting", kInvalid, {st, "nested 9 deep"}},
      {"st-header-longer-than-file", kInvalid, {st, "1152921504606846976 bytes, expected at most"}},
      {"st-header-not-json", kInvalid, {st, "is not JSON at line 1, column 2"}},
      {"st-negative-shape", kInvalid, {st, fc1, "shape holds the number -", "integers >= 0"}},
      {"st-offset-beyond-file",
       kDataLoss,
       {st, fc1, "end at 1099511638144, expected at most 12736"}},
      {"st-offsets-reversed", kInvalid, {st, fc1, "[10368, 8320], expected begin <= end"}},
      {"st-overlap", kInvalid, {st, fc1, "begin at 8256, expected 8320"}},
      {"st-shape-overflow", kInvalid, {st, fc1, "more than 2^63 - 1 bytes, expected"}},
      {"st-size-mismatch", kInvalid, {st, fc1, "span 2048 bytes, expected"}},
      {"st-truncated-data", kDataLoss, {st, "fc2.weight'", "end at 12544, expected at most 11736"}},
      {"st-truncated-length", kDataLoss, {st, "has 5 bytes, expected at least the 8"}},
  };
  return damages;
}

TEST(CheckpointFixtureTest, EveryDamageIsRefusedAndNamed) {
  for (const Damage& damage : Damages()) {
    const auto checkpoint = Checkpoint::Open((FixturesDir() / "bad" / damage.folder).string());
    for (const std::string& words : damage.words) {
      EXPECT_THAT(checkpoint, StatusIs(damage.code, HasSubstr(words))) << damage.folder;
    }
  }
}

TEST(CheckpointFixtureTest, NoDamageIsLeftOut) {
  std::set<std::string> expected;
  for (const Damage& damage : Damages()) expected.insert(damage.folder);
  for (const auto& entry : fs::directory_iterator(FixturesDir() / "bad")) {
    const std::string name = entry.path().filename();
    const bool of_files = name.starts_with("bin-") || name.starts_with("st-") ||
                          name.starts_with("index-") || name.starts_with("no-");
    EXPECT_TRUE(!of_files || expected.contains(name)) << name;
  }
}

// ---- Which files

TEST(CheckpointTest, PrefersSafetensorsAndSingleFiles) {
  const ScratchFolder folder;
  // From the last choice to the first: each that is added takes over.
  folder.Write("x.pth", OneTorchTensor("from_pth"));
  const auto expect = [&folder](const std::string& tensor, const std::string& file) {
    const auto checkpoint = Checkpoint::Open(folder.path());
    ASSERT_OK(checkpoint);
    EXPECT_TRUE((*checkpoint)->tensors().contains(tensor)) << tensor;
    EXPECT_THAT((*checkpoint)->files(), ElementsAre(file));
  };
  expect("from_pth", "x.pth");
  folder.Write("shard.bin", OneTorchTensor("from_bin_index"));
  folder.Write("pytorch_model.bin.index.json", Index({{"from_bin_index", "shard.bin"}}));
  expect("from_bin_index", "shard.bin");
  folder.Write("pytorch_model.bin", OneTorchTensor("from_bin"));
  expect("from_bin", "pytorch_model.bin");
  folder.Write("shard.safetensors", OneTensor("from_index"));
  folder.Write("model.safetensors.index.json", Index({{"from_index", "shard.safetensors"}}));
  expect("from_index", "shard.safetensors");
  folder.Write("model.safetensors", OneTensor("from_safetensors"));
  expect("from_safetensors", "model.safetensors");
}

TEST(CheckpointTest, ABrokenFirstChoiceIsNotPassedOver) {
  const ScratchFolder folder;
  folder.Write("pytorch_model.bin", OneTorchTensor("a"));
  fs::create_symlink("nowhere", folder / "model.safetensors");
  EXPECT_THAT(Checkpoint::Open(folder.path()),
              StatusIs(kNotFound, HasSubstr("'model.safetensors'")));
}

TEST(CheckpointTest, RefusesSeveralPth) {
  const ScratchFolder folder;
  folder.Write("b.pth", OneTorchTensor("a"));
  folder.Write("a.pth", OneTorchTensor("a"));
  EXPECT_THAT(Checkpoint::Open(folder.path()),
              StatusIs(kInvalid, HasSubstr("holds 'a.pth' and 'b.pth', expected exactly one")));
}

TEST(CheckpointTest, RefusesAFolderThatIsNone) {
  const ScratchFolder folder;
  folder.Write("file", "x");
  EXPECT_THAT(Checkpoint::Open(folder.path() + "/absent"),
              StatusIs(kNotFound, HasSubstr("no such folder")));
  EXPECT_THAT(Checkpoint::Open(folder.path() + "/file"),
              StatusIs(kInvalid, HasSubstr("is a file; expected the folder of it")));
}

// The next kind of file is not tried, and a folder is not empty, where a file cannot be read.
TEST(CheckpointTest, FilesThatCannotBeReadAreNotAbsent) {
  const ScratchFolder parent;
  for (const char* file : {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                           "pytorch_model.bin.index.json", "a.pth"}) {
    for (const testing::Unreadable& way : testing::kUnreadable) {
      const fs::path folder = parent / absl::StrCat(way.name, "-", file);
      fs::create_directory(folder);
      if (file != std::string("a.pth")) std::ofstream(folder / "b.pth") << OneTorchTensor("a");
      way.make(folder / file);
      const testing::WithoutRights nobody;
      const auto checkpoint = Checkpoint::Open(folder.string());
      ASSERT_FALSE(checkpoint.ok()) << folder;
      EXPECT_THAT(std::string(checkpoint.status().message()),
                  ::testing::AllOf(HasSubstr(file), HasSubstr(way.reason)));
    }
  }
  for (const testing::Unreadable& way : testing::kUnreadable) {
    const fs::path folder = parent / absl::StrCat(way.name, "-shard");
    fs::create_directory(folder);
    std::ofstream(folder / "model.safetensors.index.json") << Index({{"a", "s.safetensors"}});
    way.make(folder / "s.safetensors");
    const testing::WithoutRights nobody;
    EXPECT_THAT(std::string(Checkpoint::Open(folder.string()).status().message()),
                ::testing::AllOf(HasSubstr("s.safetensors"), HasSubstr(way.reason)));
  }
}

TEST(CheckpointTest, FilesMayBeLinksAsInAModelCache) {
  const ScratchFolder folder;
  fs::create_directories(folder / "snapshot");
  folder.Write("blob", OneTensor("a"));
  fs::create_symlink("../blob", folder / "snapshot/model.safetensors");
  const auto checkpoint = Checkpoint::Open((folder / "snapshot").string());
  ASSERT_OK(checkpoint);
  EXPECT_EQ(Bytes((*checkpoint)->tensors().at("a")), "1234");
}

// ---- Shards

TEST(CheckpointTest, ShardsMakeOneCheckpoint) {
  const ScratchFolder folder;
  folder.Write("2.safetensors", OneTensor("b"));
  folder.Write("1.safetensors", OneTensor("a"));
  folder.Write("model.safetensors.index.json",
               Index({{"a", "1.safetensors"}, {"b", "2.safetensors"}}));
  const auto checkpoint = Checkpoint::Open(folder.path());
  ASSERT_OK(checkpoint);
  EXPECT_EQ((*checkpoint)->tensors().size(), 2u);
  EXPECT_EQ((*checkpoint)->tensors().at("b").file, "2.safetensors");
  EXPECT_THAT((*checkpoint)->files(), ElementsAre("1.safetensors", "2.safetensors"));
}

TEST(CheckpointTest, TensorsThatTheIndexDoesNotListAreTaken) {
  const ScratchFolder folder;
  folder.Write("1.bin", MakeTorchFile(
                            pickle::Whole(pickle::StateDict({{.name = "a", .elements = 1},
                                                             {.name = "unlisted", .elements = 1}})),
                            {{"0", "1234"}}));
  folder.Write("pytorch_model.bin.index.json", Index({{"a", "1.bin"}}));
  const auto checkpoint = Checkpoint::Open(folder.path());
  ASSERT_OK(checkpoint);
  EXPECT_TRUE((*checkpoint)->tensors().contains("unlisted"));
}

TEST(CheckpointTest, RefusesATensorInTwoShards) {
  const ScratchFolder folder;
  folder.Write("1.safetensors", OneTensor("a"));
  folder.Write("2.safetensors", OneTensor("a"));
  folder.Write("model.safetensors.index.json",
               Index({{"a", "1.safetensors"}, {"b", "2.safetensors"}}));
  EXPECT_THAT(
      Checkpoint::Open(folder.path()),
      StatusIs(kInvalid, HasSubstr("'2.safetensors': tensor 'a' is also in '1.safetensors'")));
}

TEST(CheckpointTest, RefusesATensorInAnotherShardThanTheIndexSays) {
  const ScratchFolder folder;
  folder.Write("1.bin",
               MakeTorchFile(pickle::Whole(pickle::StateDict(
                                 {{.name = "a", .elements = 1}, {.name = "b", .elements = 1}})),
                             {{"0", "1234"}}));
  folder.Write("2.bin", OneTorchTensor("c"));
  const auto write_index = [&folder](const std::string& shard_of_b) {
    folder.Write("pytorch_model.bin.index.json",
                 Index({{"a", "1.bin"}, {"b", shard_of_b}, {"c", "2.bin"}}));
  };
  write_index("1.bin");
  EXPECT_OK(Checkpoint::Open(folder.path()));
  write_index("2.bin");
  EXPECT_THAT(Checkpoint::Open(folder.path()),
              StatusIs(kInvalid, HasSubstr("tensor 'b' is not in its shard '2.bin'")));
}

TEST(CheckpointTest, ErrorsOfAShardNameTheShard) {
  const ScratchFolder folder;
  folder.Write("1.safetensors", OneTensor("a").substr(0, 20));
  folder.Write("model.safetensors.index.json", Index({{"a", "1.safetensors"}}));
  EXPECT_THAT(Checkpoint::Open(folder.path()), StatusIs(kDataLoss, HasSubstr("'1.safetensors': ")));
}

TEST(CheckpointTest, ReleasedTensorsStayReadable) {
  const ScratchFolder folder;
  const std::string data(1 << 20, 'w');
  folder.Write("model.safetensors",
               MakeSafetensors(
                   R"({"a":{"dtype":"U8","shape":[1048576],"data_offsets":[0,1048576]}})", data));
  const auto checkpoint = Checkpoint::Open(folder.path());
  ASSERT_OK(checkpoint);
  const StoredTensor& tensor = (*checkpoint)->tensors().at("a");
  EXPECT_EQ(Bytes(tensor), data);
  (*checkpoint)->Release(tensor);
  EXPECT_EQ(Bytes(tensor), data);
  StoredTensor foreign = tensor;
  foreign.file = "another";
  (*checkpoint)->Release(foreign);
}

}  // namespace
}  // namespace dyad
