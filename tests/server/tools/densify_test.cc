// Folders: what is written, copied, refused and cleared away.
#include "server/tools/densify.h"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/devices.h"
#include "nlohmann/json.hpp"
#include "server/model/load_model.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::ScratchFolder;
using testing::StatusIs;

class DensifyTest : public ::testing::Test {
 protected:
  absl::StatusOr<DensifyResult> Densify(const std::string& fixture, const std::string& out,
                                        Screen screen = Screen::kOther) {
    return DensifyFolder((testing::FixturesDir() / fixture).string(), (folder_ / out).string(),
                         options_, {.in = in_, .out = text_, .err = text_, .err_screen = screen});
  }
  size_t Entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_.path()), {}));
  }

  const ScratchFolder folder_;
  DensifyOptions options_ = {.device = [] { return kernels::MakeCpuDevice({}); }};
  std::istringstream in_;
  std::ostringstream text_;
};

TEST_F(DensifyTest, WhatIsWrittenLoadsAndIsDense) {
  options_.max_shard_bytes = 40'000;
  const auto done = Densify("opt-mixed", "out/");
  ASSERT_OK(done);
  EXPECT_GT(done->weight_files, 3);
  EXPECT_TRUE(fs::exists(folder_ / "out/model.safetensors.index.json"));
  EXPECT_EQ(Entries(), 1u);  // no OUT.partial
  const auto device = kernels::MakeCpuDevice({});
  const auto info = InspectModel((folder_ / "out").string(), {}, *device);
  ASSERT_OK(info);
  EXPECT_EQ(info->parameters, info->dense_equivalent_parameters);
  for (const LinearInfo& layer : info->layers) EXPECT_EQ(layer.kind, "dense") << layer.name;
  const auto config = nlohmann::json::parse(testing::ReadWhole(folder_ / "out/config.json"));
  EXPECT_EQ(config["architectures"], nlohmann::json({"OPTForCausalLM"}));
}

TEST_F(DensifyTest, TokenizerAndGenerationConfigAreCopied) {
  const std::string in = (folder_ / "in").string();
  fs::copy(testing::FixturesDir() / "opt-lowrank", in);
  folder_.Write("in/tokenizer.json", "{\"any\": 1}");
  folder_.Write("in/merges.txt", "a b\n");
  folder_.Write("in/generation_config.json", "{}");
  folder_.Write("in/notes.txt", "of somebody");
  ASSERT_OK(DensifyFolder(in, (folder_ / "out").string(), options_,
                          {.in = in_, .out = text_, .err = text_}));
  EXPECT_EQ(testing::ReadWhole(folder_ / "out/tokenizer.json"), "{\"any\": 1}");
  EXPECT_EQ(testing::ReadWhole(folder_ / "out/merges.txt"), "a b\n");
  EXPECT_TRUE(fs::exists(folder_ / "out/generation_config.json"));
  EXPECT_FALSE(fs::exists(folder_ / "out/notes.txt"));
  EXPECT_FALSE(fs::exists(folder_ / "out/expected.safetensors"));
}

TEST_F(DensifyTest, WhatIsThereIsRefusedAndStays) {
  fs::create_directory(folder_ / "out");
  EXPECT_THAT(Densify("opt-lowrank", "out"),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("/out': is there")));
  fs::create_symlink("nowhere", folder_ / "link");
  EXPECT_THAT(Densify("opt-lowrank", "link"),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("link")));
  // What a killed run leaves.
  fs::create_directory(folder_ / "new.partial");
  EXPECT_THAT(Densify("opt-lowrank", "new"),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       AllOf(HasSubstr("/new.partial': is there"), HasSubstr("remove it"))));
  EXPECT_EQ(Entries(), 3u);
}

TEST_F(DensifyTest, AFailedRunLeavesNothing) {
  EXPECT_THAT(Densify("opt-lowrank", "none/out"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/none")));
  EXPECT_THAT(Densify("bad/nan-weight", "out"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("finite")));
  EXPECT_EQ(Entries(), 0u);
}

// As a full disk does, this lets a write end early and the next one fail.
TEST_F(DensifyTest, AFileThatCannotGrowIsAnError) {
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit little = {.rlim_cur = 100'000, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &little);
  const absl::Status status = Densify("opt-lowrank", "out").status();
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("out.partial/model.safetensors'"), HasSubstr("cannot write it")));
  EXPECT_EQ(Entries(), 0u);
}

TEST_F(DensifyTest, SaysHowFarItIsOnATerminal) {
  ASSERT_OK(Densify("opt-lowrank", "out", Screen::kTerminal));
  EXPECT_THAT(text_.str(), AllOf(HasSubstr("100.0 %"), HasSubstr(" kB ")));
}

}  // namespace
}  // namespace dyad
