// Bodies of /v2 to messages and back.
#include "server/kserve/infer_json.h"

#include "server/api/request_error.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

TEST(InferJsonTest, ABodyIsRead) {
  const auto request = ReadInferJson(json::parse(R"({
    "id": "7", "parameters": {"a": 1, "b": -1, "c": 0.5, "d": "x", "e": true},
    "inputs": [{"name": "t", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]},
               {"name": "i", "shape": [1, 2], "datatype": "INT32", "data": [[1, -2]]},
               {"name": "l", "shape": [1], "datatype": "INT64", "data": [3000000000]},
               {"name": "f", "shape": [1], "datatype": "BOOL", "data": [false]}],
    "outputs": [{"name": "o", "parameters": {"binary_data": false}}]})"));
  ASSERT_OK(request);
  EXPECT_EQ(request->id(), "7");
  EXPECT_EQ(request->parameters().at("a").uint64_param(), 1u);
  EXPECT_EQ(request->parameters().at("b").int64_param(), -1);
  EXPECT_EQ(request->parameters().at("c").double_param(), 0.5);
  EXPECT_EQ(request->parameters().at("d").string_param(), "x");
  EXPECT_TRUE(request->parameters().at("e").bool_param());
  EXPECT_THAT(request->inputs(0).contents().bytes_contents(), ElementsAre("a", "b"));
  EXPECT_THAT(request->inputs(1).contents().int_contents(), ElementsAre(1, -2));
  EXPECT_THAT(request->inputs(1).shape(), ElementsAre(1, 2));
  EXPECT_THAT(request->inputs(2).contents().int64_contents(), ElementsAre(3000000000));
  EXPECT_THAT(request->inputs(3).contents().bool_contents(), ElementsAre(false));
  EXPECT_EQ(request->outputs(0).name(), "o");
}

TEST(InferJsonTest, WhatIsWrongIsNamed) {
  for (const auto& [body, field] : std::vector<std::pair<const char*, const char*>>{
           {R"({"input": []})", "input"},
           {R"({"id": 7})", "id"},
           {R"({"inputs": {}})", "inputs"},
           {R"({"inputs": ["a"]})", "inputs[0]"},
           {R"({"inputs": [{"name": 1}]})", "inputs[0].name"},
           {R"({"inputs": [{"nam": "a"}]})", "inputs[0].nam"},
           {R"({"inputs": [{"shape": [-1]}]})", "inputs[0].shape"},
           {R"({"inputs": [{"shape": 1}]})", "inputs[0].shape"},
           {R"({"inputs": [{"name": "a"}]})", "inputs[0].data"},
           {R"({"inputs": [{"datatype": "FP32", "data": [1]}]})", "inputs[0].data"},
           {R"({"inputs": [{"datatype": "BYTES", "data": [1]}]})", "inputs[0].data"},
           {R"({"inputs": [{"datatype": "INT32", "data": [2147483648]}]})", "inputs[0].data"},
           {R"({"inputs": [{"datatype": "INT64", "data": [18446744073709551615]}]})",
            "inputs[0].data"},
           {R"({"inputs": [{"datatype": "BOOL", "data": [1]}]})", "inputs[0].data"},
           {R"({"outputs": [{"name": "a", "shape": [1]}]})", "outputs[0].shape"},
           {R"({"parameters": []})", "parameters"},
           {R"({"parameters": {"a": []}})", "parameters.a"}}) {
    const absl::Status status = ReadInferJson(json::parse(body)).status();
    EXPECT_THAT(FieldsOf(status), ElementsAre(field)) << body << status;
  }
}

TEST(InferJsonTest, AnAnswerIsWritten) {
  inference::ModelInferResponse response;
  response.set_model_name("m");
  response.set_model_version("v");
  auto& tensor = *response.add_outputs();
  tensor.set_name("sum");
  tensor.set_datatype("FP64");
  tensor.add_shape(1);
  tensor.mutable_contents()->add_fp64_contents(-0.1);
  EXPECT_EQ(InferJson(response).dump(),
            R"({"model_name":"m","model_version":"v","outputs":[{"name":"sum","datatype":"FP64",)"
            R"("shape":[1],"data":[-0.1]}]})");
}

}  // namespace
}  // namespace dyad
