// Tensors as lists and as raw bytes, and what is wrong with them.
#include "server/kserve/tensors.h"

#include "server/api/request_error.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Request = inference::ModelInferRequest;

Request::InferInputTensor& Add(Request& request, const std::string& name, const std::string& type,
                               const std::vector<int64_t>& shape) {
  Request::InferInputTensor& tensor = *request.add_inputs();
  tensor.set_name(name);
  tensor.set_datatype(type);
  tensor.mutable_shape()->Add(shape.begin(), shape.end());
  return tensor;
}

TEST(TensorsTest, ListsAndRawBytesAreRead) {
  Request lists;
  auto* texts = Add(lists, "t", "BYTES", {2}).mutable_contents();
  texts->add_bytes_contents("a");
  texts->add_bytes_contents("");
  Add(lists, "ids", "INT64", {1, 2}).mutable_contents()->add_int64_contents(7);
  lists.mutable_inputs(1)->mutable_contents()->add_int64_contents(-1);
  Add(lists, "flag", "BOOL", {1}).mutable_contents()->add_bool_contents(true);
  Request raw;
  Add(raw, "t", "BYTES", {2});
  Add(raw, "ids", "INT32", {2});
  Add(raw, "flag", "BOOL", {1});
  raw.add_raw_input_contents(std::string("\1\0\0\0a\0\0\0\0", 9));
  raw.add_raw_input_contents(std::string("\7\0\0\0\377\377\377\377", 8));
  raw.add_raw_input_contents(std::string("\1", 1));
  for (const Request& request : {lists, raw}) {
    const auto inputs = InputTensors::Read(request);
    ASSERT_OK(inputs);
    EXPECT_THAT(inputs->Texts("t").value(), ElementsAre("a", ""));
    EXPECT_THAT(inputs->Ids("ids").value(), ElementsAre(7, -1));
    EXPECT_TRUE(inputs->Flag("flag").value());
    EXPECT_FALSE(inputs->Has("x"));
    EXPECT_FALSE(inputs->Texts("ids").ok());
    EXPECT_FALSE(inputs->Ids("t").ok());
    EXPECT_FALSE(inputs->Flag("ids").ok());
    EXPECT_THAT(FieldsOf(inputs->CheckNames({"t", "ids"})), ElementsAre("flag"));
  }
}

TEST(TensorsTest, WhatIsWrongIsNamedByTheTensor) {
  struct Row {
    std::function<void(Request&)> make;
    std::string field;
    std::string says;
  };
  const auto text = [](Request& request, const std::vector<int64_t>& shape) {
    Add(request, "t", "BYTES", shape).mutable_contents()->add_bytes_contents("a");
  };
  for (const Row& row : std::vector<Row>{
           {[&](Request& r) { text(r, {2}); }, "t", "has 1 elements"},
           {[&](Request& r) { text(r, {-1}); }, "t", "sizes"},
           {[&](Request& r) {
              text(r, {1 << 30, 1 << 30, 1 << 30});
            },
            "t", "sizes"},
           {[&](Request& r) { text(r, {1}), text(r, {1}); }, "t", "once"},
           {[&](Request& r) { Add(r, "t", "FP32", {0}); }, "t", "must be BYTES"},
           {[&](Request& r) {
              Add(r, "t", "INT32", {1}).mutable_contents()->add_int64_contents(1);
            },
            "t", "another datatype"},
           {[&](Request& r) { text(r, {1}), r.add_raw_input_contents("x"); }, "t", "beside"},
           {[&](Request& r) {
              text(r, {1}), r.add_raw_input_contents(""), r.add_raw_input_contents("");
            },
            "raw_input_contents", "one for each"},
           {[&](Request& r) { Add(r, "t", "BYTES", {1}), r.add_raw_input_contents("\1\1\1\1"); },
            "t", "cut short"},
           {[&](Request& r) { Add(r, "t", "INT64", {1}), r.add_raw_input_contents("1234567"); },
            "t", "cut short"},
           {[&](Request& r) {
              Add(r, "t", "BYTES", {1}).mutable_contents()->add_bytes_contents("\xff");
            },
            "t[0]", "UTF-8"},
           {[&](Request& r) {
              text(r, {1});
              (*r.mutable_inputs(0)->mutable_parameters())["binary_data_size"].set_int64_param(1);
            },
            "t.parameters", "binary_data_size"}}) {
    Request request;
    row.make(request);
    const absl::Status status = InputTensors::Read(request).status();
    EXPECT_THAT(FieldsOf(status), ElementsAre(row.field)) << request.ShortDebugString();
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.says));
  }
}

TEST(TensorsTest, AnswersAreWrittenBothWays) {
  inference::ModelInferResponse lists;
  inference::ModelInferResponse raw;
  for (auto* response : {&lists, &raw}) {
    OutputTensors outputs(*response,
                          response == &raw ? OutputTensors::As::kRaw : OutputTensors::As::kLists);
    outputs.AddTexts("t", {"ab", ""});
    outputs.AddDoubles("d", {-1.5});
    outputs.AddInts("i", {-2});
    outputs.AddCounts("c", {3});
    outputs.AddFlags("f", {true, false});
    ASSERT_EQ(response->outputs_size(), 5);
    EXPECT_EQ(response->outputs(0).datatype(), "BYTES");
    EXPECT_THAT(response->outputs(4).shape(), ElementsAre(2));
  }
  EXPECT_THAT(lists.outputs(0).contents().bytes_contents(), ElementsAre("ab", ""));
  EXPECT_THAT(lists.outputs(1).contents().fp64_contents(), ElementsAre(-1.5));
  EXPECT_THAT(lists.outputs(2).contents().int_contents(), ElementsAre(-2));
  EXPECT_THAT(lists.outputs(3).contents().uint_contents(), ElementsAre(3));
  EXPECT_THAT(lists.outputs(4).contents().bool_contents(), ElementsAre(true, false));
  EXPECT_EQ(lists.raw_output_contents_size(), 0);
  EXPECT_THAT(
      raw.raw_output_contents(),
      ElementsAre(std::string("\2\0\0\0ab\0\0\0\0", 10), std::string("\0\0\0\0\0\0\370\277", 8),
                  "\376\377\377\377", std::string("\3\0\0\0", 4), std::string("\1\0", 2)));
}

}  // namespace
}  // namespace dyad
