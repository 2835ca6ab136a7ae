// What goes, what changes, what stays.
#include "server/model/stock_config.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/model/config.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

TEST(StockConfigTest, KeysOfStructuresGo) {
  const auto text = StockConfig(R"({"model_type": "sparse_opt", "hidden_size": 24, "unknown": [1],
      "architectures": ["SparseOPTForCausalLM"], "dyad_dim": 4, "lm_dyad_dim": 8,
      "auto_map": {"AutoConfig": "code.Config"}, "torch_dtype": "float16",
      "structured_linear": {"model.decoder.layers.*.fc1": {"kind": "dyad"}},
      "truncation_ranks": {}})",
                                "");
  ASSERT_OK(text);
  EXPECT_EQ(nlohmann::json::parse(*text), nlohmann::json({{"model_type", "opt"},
                                                          {"hidden_size", 24},
                                                          {"unknown", {1}},
                                                          {"architectures", {"OPTForCausalLM"}},
                                                          {"torch_dtype", "float16"}}));
  EXPECT_OK(ParseConfig(*text));
}

TEST(StockConfigTest, TheTypeIsThatOfWhatIsWritten) {
  const auto text = StockConfig(R"({"model_type": "gpt_neox", "dtype": "bfloat16"})", "float32");
  ASSERT_OK(text);
  EXPECT_EQ(nlohmann::json::parse(*text), nlohmann::json({{"model_type", "gpt_neox"},
                                                          {"architectures", {"GPTNeoXForCausalLM"}},
                                                          {"dtype", "float32"},
                                                          {"torch_dtype", "float32"}}));
}

TEST(StockConfigTest, WhatIsNoConfigIsRefused) {
  EXPECT_THAT(StockConfig(R"({"model_type": "llama"})", ""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'llama'")));
  EXPECT_FALSE(StockConfig("no JSON", "").ok());
}

}  // namespace
}  // namespace dyad
