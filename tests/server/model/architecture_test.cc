// The table of networks: found by every model_type, and each row's reader and loader fit together.
#include "server/model/architecture.h"

#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/server/model/loading.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::AllOf;
using testing::FakeCheckpoint;
using ::testing::HasSubstr;
using testing::Loading;
using testing::StatusIs;

TEST(ArchitectureTest, EveryModelTypeFindsItsRow) {
  std::set<std::string_view> types, names;
  for (const Architecture& row : Architectures()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_FALSE(row.model_types.empty()) << row.name;
    for (const std::string_view type : row.model_types) {
      EXPECT_TRUE(types.insert(type).second) << type;
      const auto found = FindArchitecture(type);
      ASSERT_OK(found);
      EXPECT_EQ(*found, &row) << type;
    }
  }
  EXPECT_THAT(names, ::testing::ElementsAre("gpt_neox", "opt"));
  EXPECT_THAT(types, ::testing::ElementsAre("gpt_neox", "opt", "sparse_gpt_neox", "sparse_opt"));
}

TEST(ArchitectureTest, RefusesOtherTypesAndNamesThoseThereAre) {
  EXPECT_THAT(FindArchitecture("mamba"),
              StatusIs(kInvalid, AllOf(HasSubstr("model_type is 'mamba'"),
                                       HasSubstr("opt, sparse_opt, gpt_neox, sparse_gpt_neox"))));
  EXPECT_THAT(FindArchitecture(""), StatusIs(kInvalid, HasSubstr("model_type is missing")));
}

// With the defaults of transformers and no tensor at all, a loader must get as far as missing one.
TEST(ArchitectureTest, WhatARowReadsItCanLoad) {
  const nlohmann::json no_keys = nlohmann::json::object();
  for (const Architecture& row : Architectures()) {
    JsonFields fields(no_keys, "config.json");
    const NetworkConfig config = row.read(fields);
    EXPECT_OK(fields.status()) << row.name;
    EXPECT_GT(config.vocab_size, row.eos_id) << row.name;
    const FakeCheckpoint empty;
    Loading loading(empty, LoadPass::kCheck);
    EXPECT_THAT(row.load(config, loading.context).status(),
                StatusIs(kInvalid, HasSubstr("tensor " + std::string(row.tensor_root))));
  }
}

}  // namespace
}  // namespace dyad
