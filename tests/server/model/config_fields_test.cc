// What several networks read alike.
#include "server/model/config_fields.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using kernels::Activation;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::StatusIs;

Activation Named(const char* name) {
  const json keys = {{"act", name}};
  JsonFields fields(keys, "config.json");
  const Activation activation = ReadActivation(fields, "act", "relu");
  EXPECT_OK(fields.status());
  return activation;
}

TEST(ConfigFieldsTest, KnowsTheActivationsByTheirNames) {
  EXPECT_EQ(Named("relu"), Activation::kRelu);
  EXPECT_EQ(Named("gelu"), Activation::kGelu);
  EXPECT_EQ(Named("gelu_python"), Activation::kGelu);
  for (const char* name : {"gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_accurate"}) {
    EXPECT_EQ(Named(name), Activation::kGeluTanh) << name;
  }
  const json swish = {{"act", "swish"}};
  JsonFields fields(swish, "config.json");
  EXPECT_EQ(ReadActivation(fields, "absent", "gelu"), Activation::kGelu);
  EXPECT_OK(fields.status());
  ReadActivation(fields, "act", "relu");
  EXPECT_THAT(fields.status(), StatusIs(kInvalid, AllOf(HasSubstr("act is \"swish\""),
                                                        HasSubstr("expected relu, gelu"))));
}

TEST(ConfigFieldsTest, HeadsDivideTheHiddenSize) {
  const json keys = {{"num_attention_heads", 5}};
  JsonFields fields(keys, "config.json");
  RequireHeadsDivide(fields, 15, 5);
  EXPECT_OK(fields.status());
  RequireHeadsDivide(fields, 768, 5);
  EXPECT_THAT(fields.status(), StatusIs(kInvalid, HasSubstr("num_attention_heads is 5, expected a "
                                                            "divisor of hidden_size 768")));
}

TEST(ConfigFieldsTest, HeadsAreNotBlamedForAnotherFault) {
  const json keys = {{"hidden_size", "x"}};
  JsonFields fields(keys, "config.json");
  fields.Fault("hidden_size", "an integer");
  RequireHeadsDivide(fields, 768, 5);
  EXPECT_THAT(fields.status(), StatusIs(kInvalid, ::testing::Not(HasSubstr("divisor"))));
}

}  // namespace
}  // namespace dyad
