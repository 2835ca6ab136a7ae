// From tensors to tensors over a fake model; the bits are those of Score.
#include "server/kserve/infer.h"

#include "absl/synchronization/notification.h"
#include "server/api/request_error.h"
#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Request = inference::ModelInferRequest;
using Response = inference::ModelInferResponse;

Request Asking(const std::vector<std::pair<std::string, std::vector<std::string>>>& inputs) {
  Request request;
  request.set_model_name("bytes");
  request.set_id("mine");
  for (const auto& [name, texts] : inputs) {
    Request::InferInputTensor& tensor = *request.add_inputs();
    tensor.set_name(name);
    tensor.set_datatype("BYTES");
    tensor.add_shape(std::ssize(texts));
    tensor.mutable_contents()->mutable_bytes_contents()->Add(texts.begin(), texts.end());
  }
  return request;
}

class InferTest : public ::testing::Test {
 protected:
  absl::StatusOr<Response> Infer(const Request& request) {
    Call call(stack_.state, {.method = "S/M", .peer = "p"});
    absl::StatusOr<InferPlan> plan = PlanInfer(request, call);
    if (!plan.ok()) return plan.status();
    absl::Notification ended;
    absl::StatusOr<Response> response = absl::UnknownError("");
    InferAnswer answer(*std::move(plan), call, [&](absl::StatusOr<Response> given) {
      response = std::move(given);
      ended.Notify();
    });
    answer.Start();
    ended.WaitForNotification();
    return response;
  }

  v1::ScoreResponse Score(const v1::ScoreRequest& request) {
    Call call(stack_.state, {.method = "S/M", .peer = "p"});
    auto plan = PlanScore(request, call);
    absl::Notification ended;
    v1::ScoreResponse response;
    ScoreAnswer answer(plan.value(), call, [&](const absl::StatusOr<ScorePieces>& pieces) {
      for (const std::string& piece : pieces.value()) response.MergeFromString(piece);
      ended.Notify();
    });
    answer.Start();
    ended.WaitForNotification();
    return response;
  }

  EngineStack stack_;
};

TEST_F(InferTest, TextsAreScored) {
  Request request = Asking({{"text", {"two", "three"}}});
  (*request.mutable_parameters())["convention"].set_string_param("CONDITIONAL");
  const auto response = Infer(request);
  ASSERT_OK(response);
  EXPECT_EQ(response->id(), "mine");
  EXPECT_EQ(response->model_name(), "bytes");
  EXPECT_EQ(response->model_version(), "d1");
  v1::ScoreRequest score;
  score.set_model("bytes");
  score.set_convention(v1::CONVENTION_CONDITIONAL);
  score.add_items()->set_text("two");
  score.add_items()->set_text("three");
  const v1::ScoreResponse expected = Score(score);
  ASSERT_EQ(response->outputs_size(), 3);
  EXPECT_EQ(response->outputs(0).name(), "sum");
  EXPECT_THAT(response->outputs(0).contents().fp64_contents(),
              ElementsAre(expected.scores(0).sum(), expected.scores(1).sum()));
  EXPECT_THAT(response->outputs(1).contents().fp64_contents(),
              ElementsAre(expected.scores(0).mean(), expected.scores(1).mean()));
  EXPECT_THAT(response->outputs(2).contents().int_contents(), ElementsAre(3, 5));
}

TEST_F(InferTest, AContextStandsInFront) {
  const auto response = Infer(Asking({{"text", {"two"}}, {"context", {"one "}}}));
  ASSERT_OK(response);
  v1::ScoreRequest score;
  score.set_model("bytes");
  score.add_items()->set_text("two");
  score.mutable_items(0)->set_context_text("one ");
  EXPECT_THAT(response->outputs(0).contents().fp64_contents(),
              ElementsAre(Score(score).scores(0).sum()));
}

TEST_F(InferTest, PairsAreCompared) {
  Request request = Asking({{"good", {"two", "same"}}, {"bad", {"owt", "same"}}});
  const auto response = Infer(request);
  ASSERT_OK(response);
  v1::ScoreRequest score;
  score.set_model("bytes");
  score.add_items()->set_text("two");
  score.add_items()->set_text("owt");
  const v1::ScoreResponse expected = Score(score);
  const double margin = expected.scores(0).sum() - expected.scores(1).sum();
  EXPECT_THAT(response->outputs(0).contents().fp64_contents(), ElementsAre(margin, 0));
  EXPECT_THAT(response->outputs(1).contents().bool_contents(), ElementsAre(margin >= 0, true));
  EXPECT_THAT(response->outputs(2).contents().bool_contents(), ElementsAre(margin == 0, true));
}

TEST_F(InferTest, TextsAreContinued) {
  Request request =
      Asking({{"text_input", {"ab", "abc"}}, {"sampling_parameters", {R"({"temperature": 0})"}}});
  (*request.mutable_parameters())["max_tokens"].set_int64_param(4);
  (*request.mutable_parameters())["ignore_eos"].set_bool_param(true);
  const auto response = Infer(request);
  ASSERT_OK(response);
  ASSERT_EQ(response->outputs_size(), 4);
  EXPECT_THAT(response->outputs(0).contents().bytes_contents(0), HasSubstr("ab"));
  EXPECT_THAT(response->outputs(1).contents().bytes_contents(), ElementsAre("length", "length"));
  EXPECT_THAT(response->outputs(2).contents().uint_contents(), ElementsAre(3, 4));
  EXPECT_THAT(response->outputs(3).contents().uint_contents(), ElementsAre(4, 4));
  (*request.mutable_parameters())["exclude_input_in_output"].set_bool_param(true);
  const auto bare = Infer(request);
  ASSERT_OK(bare);
  EXPECT_EQ("ab" + bare->outputs(0).contents().bytes_contents(0),
            response->outputs(0).contents().bytes_contents(0));
  // The same prompt as ids.
  Request ids = request;
  ids.clear_inputs();
  auto& tensor = *ids.add_inputs();
  tensor.set_name("input_ids");
  tensor.set_datatype("INT64");
  for (const int64_t size : {1, 3}) tensor.add_shape(size);
  for (const int64_t id : {256, 97, 98}) tensor.mutable_contents()->add_int64_contents(id);
  (*ids.mutable_parameters())["temperature"].set_double_param(0);
  const auto of_ids = Infer(ids);
  ASSERT_OK(of_ids);
  EXPECT_EQ(of_ids->outputs(0).contents().bytes_contents(0),
            bare->outputs(0).contents().bytes_contents(0));
}

TEST_F(InferTest, WhatIsAskedForComesAsItWasAsked) {
  Request request = Asking({{"text", {"a", "b"}}});
  request.clear_inputs();
  auto& tensor = *request.add_inputs();
  tensor.set_name("text");
  tensor.set_datatype("BYTES");
  tensor.add_shape(1);
  request.add_raw_input_contents(std::string("\1\0\0\0a", 5));
  request.add_outputs()->set_name("scored_tokens");
  const auto response = Infer(request);
  ASSERT_OK(response);
  ASSERT_EQ(response->outputs_size(), 1);
  v1::ScoreRequest score;
  score.set_model("bytes");
  score.add_items()->set_text("a");
  const int32_t expected = Score(score).scores(0).scored_tokens();
  EXPECT_THAT(response->raw_output_contents(),
              ElementsAre(std::string(reinterpret_cast<const char*>(&expected), 4)));
}

TEST_F(InferTest, WhatIsWrongIsNamed) {
  struct Row {
    Request request;
    std::string field;
  };
  const auto with = [](Request request, const std::string& name, const std::string& value) {
    (*request.mutable_parameters())[name].set_string_param(value);
    return request;
  };
  const auto wanting = [](Request request, const std::string& name) {
    request.add_outputs()->set_name(name);
    return request;
  };
  Request version = Asking({{"text", {"a"}}});
  version.set_model_version("2");
  Request streamed = Asking({{"text_input", {"a"}}});
  (*streamed.mutable_parameters())["stream"].set_bool_param(true);
  for (const Row& row : std::vector<Row>{
           {Asking({}), "input_ids"},
           {version, "model_version"},
           {streamed, "stream"},
           {Asking({{"text", {}}}), "text"},
           {Asking({{"text", {"a"}}, {"good", {"a"}}, {"bad", {"b"}}}), "text"},
           {Asking({{"good", {"a"}}}), "bad"},
           {Asking({{"context", {"a"}}}), "text"},
           {Asking({{"good", {"a"}}, {"bad", {"a", "b"}}}), "bad"},
           {Asking({{"text", {"a", std::string(2000, 'x')}}}), "text[1]"},
           {Asking({{"good", {"a"}}, {"bad", {std::string(2000, 'x')}}}), "bad[0]"},
           {Asking({{"text_input", {"a", std::string(2000, 'x')}}}), "text_input[1]"},
           {with(Asking({{"text", {"a"}}}), "convention", "X"), "convention"},
           {with(Asking({{"text", {"a"}}}), "top_p", "1"), "top_p"},
           {with(Asking({{"text_input", {"a"}}}), "max_tokns", "1"), "max_tokns"},
           {with(Asking({{"text_input", {"a"}}}), "prompt", "1"), "prompt"},
           {with(Asking({{"text_input", {"a"}}}), "sampling_parameters", "["),
            "sampling_parameters"},
           {Asking({{"text_input", {"a"}}, {"sampling_parameters", {"{\"n\": 2}"}}}), "n"},
           {wanting(Asking({{"text", {"a"}}}), "margin"), "margin"},
           {wanting(wanting(Asking({{"text", {"a"}}}), "sum"), "sum"), "sum"}}) {
    const absl::Status status = Infer(row.request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument)
        << row.request.ShortDebugString() << status;
    EXPECT_THAT(FieldsOf(status), ElementsAre(row.field))
        << row.request.ShortDebugString() << status;
  }
  Request none = Asking({{"text", {"a"}}});
  none.set_model_name("none");
  EXPECT_EQ(Infer(none).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace dyad
