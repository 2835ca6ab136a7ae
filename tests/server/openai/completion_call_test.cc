// Completions over a socket: whole, streamed, refused, left.
#include "server/openai/completion_call.h"

#include "absl/strings/str_split.h"
#include "tests/server/routes/door_fixture.h"
#include "tests/support/eventually.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Json = nlohmann::json;

Json Body(const Json& more = {}) {
  Json body = {
      {"model", "bytes"}, {"prompt", "q"}, {"max_tokens", 5}, {"seed", 3}, {"ignore_eos", true}};
  body.update(more.is_null() ? Json::object() : more);
  return body;
}

// The JSON of each event; "[DONE]" as a string.
std::vector<Json> EventsOf(const HttpAnswer& answer) {
  std::vector<Json> events;
  for (const std::string& event :
       std::vector<std::string>(absl::StrSplit(answer.body, "\n\n", absl::SkipEmpty()))) {
    if (event.starts_with(":")) continue;
    EXPECT_THAT(event, StartsWith("data: "));
    const std::string data = event.substr(6);
    events.push_back(data == "[DONE]" ? Json(data) : Json::parse(data));
  }
  return events;
}

TEST(CompletionCallTest, AnswersAsTheApiDoes) {
  DoorStack stack;
  const HttpAnswer answer = stack.Complete(Body());
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_TRUE(answer.HasField("Content-Type: application/json"));
  EXPECT_TRUE(answer.HasField("x-dyad-model-digest: d1"));
  const Json json = answer.json();
  EXPECT_THAT(json["id"].get<std::string>(), StartsWith("cmpl-"));
  EXPECT_EQ(json["object"], "text_completion");
  EXPECT_GT(json["created"], 1700000000);
  EXPECT_EQ(json["model"], "bytes");
  EXPECT_EQ(json["system_fingerprint"], "dyad-d1-fast");
  EXPECT_EQ(json["dyad"].dump(), R"({"arithmetic":"fast","model_digest":"d1","seed":3})");
  EXPECT_EQ(json["usage"]["prompt_tokens"], 2);
  EXPECT_EQ(json["usage"]["completion_tokens"], 5);
  EXPECT_EQ(json["usage"]["total_tokens"], 7);
  EXPECT_TRUE(json["usage"]["prompt_tokens_details"].contains("cached_tokens"));
  ASSERT_EQ(json["choices"].size(), 1u);
  EXPECT_EQ(json["choices"][0]["finish_reason"], "length");
  EXPECT_TRUE(json["choices"][0]["logprobs"].is_null());
  const RpcRecord record = stack.observer.Await(0);
  EXPECT_EQ(record.method, "/v1/completions");
  EXPECT_EQ(record.http_status, 200);
  EXPECT_EQ(record.generated_tokens, 5);
}

// The shape in which lm-evaluation-harness asks.
TEST(CompletionCallTest, ScoresPrompts) {
  DoorStack stack;
  const Json ask = {{"prompt", {{kEnd, 'a', 'b'}, {kEnd, 'c'}}},
                    {"temperature", 0},
                    {"logprobs", 1},
                    {"echo", true}};
  Json one = Body(ask);
  one["max_tokens"] = 1;
  Json none = Body(ask);
  none["max_tokens"] = 0;
  const Json longer = stack.Complete(one).json();
  const Json scored = stack.Complete(none).json();
  for (int i = 0; i < 2; ++i) {
    const Json& with_one = longer["choices"][i]["logprobs"];
    const Json& alone = scored["choices"][i]["logprobs"];
    const size_t k = i == 0 ? 3 : 2;
    for (const char* array : {"tokens", "token_logprobs", "top_logprobs", "text_offset"}) {
      EXPECT_EQ(alone[array].size(), k) << array;
      EXPECT_EQ(with_one[array].size(), k + 1) << array;
      for (size_t j = 0; j < k; ++j) EXPECT_EQ(alone[array][j], with_one[array][j]);
    }
    EXPECT_TRUE(alone["token_logprobs"][0].is_null());
    EXPECT_EQ(scored["choices"][i]["index"], i);
    EXPECT_EQ(scored["choices"][i]["finish_reason"], "length");
  }
  EXPECT_EQ(scored["usage"]["completion_tokens"], 0);
  EXPECT_EQ(scored["usage"]["prompt_tokens"], 5);
}

TEST(CompletionCallTest, StreamedPiecesJoinedAreTheWhole) {
  DoorStack stack;
  const Json ask = {{"n", 2}, {"logprobs", 1}, {"echo", true}, {"max_tokens", 20}};
  const Json whole = stack.Complete(Body(ask)).json();
  Json streamed = Body(ask);
  streamed["stream"] = true;
  streamed["stream_options"] = {{"include_usage", true}};
  const HttpAnswer answer = stack.Complete(streamed);
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.HasField("Content-Type: text/event-stream; charset=utf-8"));
  std::vector<Json> events = EventsOf(answer);
  ASSERT_GT(events.size(), 3u);
  EXPECT_EQ(events.back(), "[DONE]");
  events.pop_back();
  EXPECT_TRUE(events.back()["choices"].empty());
  EXPECT_EQ(events.back()["usage"]["completion_tokens"], whole["usage"]["completion_tokens"]);
  events.pop_back();
  std::vector<std::string> texts(2);
  std::vector<Json> values(2, Json::array());
  std::vector<Json> reasons(2);
  for (const Json& event : events) {
    EXPECT_TRUE(event["usage"].is_null());
    const Json& choice = event["choices"][0];
    const auto index = choice["index"].get<size_t>();
    texts[index] += choice["text"].get<std::string>();
    for (const Json& value : choice["logprobs"]["token_logprobs"]) values[index].push_back(value);
    if (!choice["finish_reason"].is_null()) reasons[index] = choice["finish_reason"];
  }
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(texts[i], whole["choices"][i]["text"]);
    EXPECT_EQ(values[i], whole["choices"][i]["logprobs"]["token_logprobs"]);
    EXPECT_EQ(reasons[i], whole["choices"][i]["finish_reason"]);
  }
}

TEST(CompletionCallTest, EveryPieceMaySayWhatWasUsed) {
  DoorStack stack;
  const std::vector<Json> events = EventsOf(stack.Complete(
      Body({{"stream", true}, {"stream_options", {{"continuous_usage_stats", true}}}})));
  int64_t used = 0;
  for (const Json& event : events) {
    if (!event.is_object()) continue;
    EXPECT_GE(event["usage"]["completion_tokens"], used);
    used = event["usage"]["completion_tokens"].get<int64_t>();
  }
  EXPECT_EQ(used, 5);
}

TEST(CompletionCallTest, ErrorsNameTheFieldsOfTheBody) {
  DoorStack stack;
  const HttpAnswer longest = stack.Complete(Body({{"max_tokens", 5000}}));
  EXPECT_EQ(longest.status, 400);
  EXPECT_EQ(longest.code(), "context_length_exceeded");
  EXPECT_EQ(longest.error()["param"], "max_tokens");
  EXPECT_THAT(longest.error()["message"].get<std::string>(), HasSubstr("max_tokens is 5000"));
  const HttpAnswer prompt = stack.Complete(Body({{"prompt", {{'a'}, {'b', 9999}}}}));
  EXPECT_EQ(prompt.error()["param"], "prompt[1][1]");
  EXPECT_EQ(prompt.code(), "invalid_value");
  EXPECT_EQ(stack.Complete(Body({{"max_tokens", 0}})).error()["param"], "max_tokens");
  EXPECT_EQ(stack.Complete(Body({{"prompt", ""}, {"add_special_tokens", false}})).error()["param"],
            "prompt");
  const HttpAnswer model = stack.Complete(Body({{"model", "none"}}));
  EXPECT_EQ(model.status, 404);
  EXPECT_EQ(model.code(), "model_not_found");
  EXPECT_THAT(model.error()["message"].get<std::string>(), HasSubstr("bytes, ids"));
  Json unnamed = Body();
  unnamed.erase("model");
  EXPECT_EQ(stack.Complete(unnamed).error()["param"], "model");
  EXPECT_EQ(stack.Complete(Body({{"model", "ids"}})).code(), "no_tokenizer");
  const RpcRecord record = stack.observer.Await(0);
  EXPECT_EQ(record.code, "INVALID_ARGUMENT");
  EXPECT_EQ(record.http_status, 400);
}

// What only the API checks: its field, under the body's name.
TEST(CompletionCallTest, RangesOfTheApiHold) {
  DoorStack stack;
  const std::vector<std::pair<Json, std::string>> rows = {
      {{{"logprobs", 21}}, "logprobs"},
      {{{"top_p", 0}}, "top_p"},
      {{{"min_p", 1}}, "min_p"},
      {{{"repetition_penalty", 0}}, "repetition_penalty"},
      {{{"n", 17}}, "n"},
      {{{"stop", Json(std::vector<std::string>(17, "x"))}}, "stop"},
      {{{"stop", ""}}, "stop[0]"},
      {{{"stop_token_ids", {9999}}}, "stop_token_ids[0]"},
      {{{"logit_bias", {{"9999", 1}}}}, "logit_bias key"},
      {{{"prompt", {Json::array()}}}, "prompt"},
      {{{"prompt", {"a", ""}}, {"add_special_tokens", false}}, "prompt[1]"}};
  for (const auto& [more, param] : rows) {
    const HttpAnswer answer = stack.Complete(Body(more));
    EXPECT_EQ(answer.status, 400) << more;
    EXPECT_EQ(answer.code(), "invalid_value") << more;
    EXPECT_EQ(answer.error()["param"], param) << answer.body;
  }
  EXPECT_EQ(stack.Complete(Body({{"logprobs", 20}, {"n", 16}, {"temperature", 2}})).status, 200);
}

TEST(CompletionCallTest, WithoutALengthThereAreSixteenTokens) {
  DoorStack stack;
  const Json unlimited = Body({{"max_tokens", nullptr}});
  EXPECT_EQ(stack.Complete(unlimited).json()["usage"]["completion_tokens"], 16);
}

TEST(CompletionCallTest, AFullQueueIsA429AlsoForAStream) {
  Gate gate;
  StackOptions options;
  options.engine.max_queued_requests = 1;
  options.engine.max_running_sequences = 1;
  options.model.before_step = [&](int64_t) {
    gate.Pass();
    return absl::OkStatus();
  };
  DoorStack stack(options);
  RawClient running(stack.server->port());
  const std::string body = Body({{"stream", true}}).dump();
  const std::string ask = absl::StrCat(
      "POST /v1/completions HTTP/1.1\r\nHost: h\r\n",
      "Content-Type: application/json\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
  running.Send(ask);
  // Its head is there before the model has made anything.
  EXPECT_THAT(running.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 200 OK"));
  gate.AwaitArrivals(1);
  RawClient waiting(stack.server->port());
  waiting.Send(ask);
  waiting.ReadUntil("\r\n\r\n");
  for (const bool stream : {false, true}) {
    const HttpAnswer answer = stack.Complete(Body({{"stream", stream}}));
    EXPECT_EQ(answer.status, 429);
    EXPECT_EQ(answer.code(), "queue_full");
    EXPECT_THAT(answer.head, HasSubstr("Retry-After: "));
    EXPECT_THAT(answer.head, HasSubstr("retry-after-ms: "));
  }
  gate.Open();
  EXPECT_THAT(waiting.ReadUntil("[DONE]"), HasSubstr("data: [DONE]"));
}

TEST(CompletionCallTest, AnErrorWithinAStreamEndsItWithoutDone) {
  StackOptions options;
  options.model.before_step = [](int64_t step) {
    return step < 3 ? absl::OkStatus() : absl::InternalError("step failed");
  };
  DoorStack stack(options);
  const HttpAnswer answer = stack.Complete(Body({{"stream", true}, {"max_tokens", 50}}));
  EXPECT_EQ(answer.status, 200);
  const std::vector<Json> events = EventsOf(answer);
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back()["error"]["code"], "internal");
  EXPECT_EQ(events.back()["error"]["type"], "server_error");
  EXPECT_EQ(stack.Complete(Body()).status, 500);
}

TEST(CompletionCallTest, ALostDeviceIsSaid) {
  StackOptions options;
  options.model.before_step = [](int64_t) { return absl::UnavailableError("no such device"); };
  DoorStack stack(options);
  const HttpAnswer answer = stack.Complete(Body());
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.code(), "device_lost");
  EXPECT_THAT(answer.error()["message"].get<std::string>(), HasSubstr("no such device"));
}

TEST(CompletionCallTest, AClientThatLeavesEndsItsSequences) {
  DoorStack stack;
  for (const bool stream : {false, true}) {
    RawClient client(stack.server->port());
    const std::string body = Body({{"stream", stream}, {"max_tokens", 250}}).dump();
    client.Send(absl::StrCat("POST /v1/completions HTTP/1.1\r\nHost: h\r\n",
                             "Content-Type: application/json\r\nContent-Length: ", body.size(),
                             "\r\n\r\n", body));
    if (stream) client.ReadUntil("data: ");
    client.Close();
    EXPECT_TRUE(stack.ComesToRest());
    EXPECT_TRUE(Eventually([&] { return stack.state.unread.bytes() == 0; }));
  }
  (void)stack.observer.Await(1);
}

TEST(CompletionCallTest, NewWorkIsRefusedWhileTheServerEnds) {
  DoorStack stack;
  stack.state.draining = true;
  const HttpAnswer answer = stack.Complete(Body());
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.code(), "draining");
  EXPECT_TRUE(answer.HasField("Retry-After: 1"));
}

}  // namespace
}  // namespace dyad
