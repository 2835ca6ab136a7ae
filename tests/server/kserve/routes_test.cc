// The paths under /v2.
#include "server/kserve/routes.h"

#include "tests/server/routes/door_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;
using Json = nlohmann::json;

TEST(KserveRoutesTest, ServerAndModelsSayWhatTheyAre) {
  DoorStack stack;
  EXPECT_EQ(stack.Get("/v2").json()["name"], "dyad-server");
  EXPECT_EQ(stack.Get("/v2/health/live").json()["live"], true);
  EXPECT_EQ(stack.Get("/v2/health/ready").json()["ready"], true);
  stack.ready = false;
  EXPECT_EQ(stack.Get("/v2/health/ready").status, 503);
  for (const char* path : {"/v2/models/bytes", "/v2/models/bytes/versions/d1"}) {
    EXPECT_EQ(stack.Get(path).json()["versions"].dump(), R"(["d1"])") << path;
    EXPECT_EQ(stack.Get(absl::StrCat(path, "/ready")).json()["ready"], true) << path;
  }
  EXPECT_EQ(stack.Get("/v2/models/bytes/versions/x").status, 400);
  EXPECT_EQ(stack.Get("/v2/models/none").status, 404);
  EXPECT_THAT(stack.Get("/v2/nothing").json().value("error", ""), HasSubstr("/v2/nothing"));
}

TEST(KserveRoutesTest, InferAnswers) {
  DoorStack stack;
  const Json input = {{"name", "text"}, {"shape", {1}}, {"datatype", "BYTES"}, {"data", {"two"}}};
  const Json body = {{"inputs", {input}}};
  for (const char* path : {"/v2/models/bytes/infer", "/v2/models/bytes/versions/d1/infer"}) {
    const HttpAnswer answer = stack.Ask(absl::StrCat("POST ", path), body.dump());
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.json()["outputs"][0]["name"], "sum");
    EXPECT_TRUE(answer.HasField("x-dyad-model-digest: d1"));
  }
  // Triton's client names no type; a page of a browser must.
  const std::string line = "POST /v2/models/bytes/infer";
  EXPECT_EQ(stack.Ask(line, body.dump(), "").status, 200);
  EXPECT_EQ(stack.Ask(line, body.dump(), "Origin: https://a.example\r\n").status, 415);
  const HttpAnswer binary = stack.Ask(line, body.dump(), "Inference-Header-Content-Length: 10\r\n");
  EXPECT_EQ(binary.status, 400);
  EXPECT_THAT(binary.json().value("error", ""), HasSubstr("binary"));
  EXPECT_THAT(stack.Ask(line, "{").json().value("error", ""), HasSubstr("line 1"));
}

TEST(KserveRoutesTest, GenerateWholeAndAsEvents) {
  DoorStack stack;
  const Json body = {{"text_input", "ab"},
                     {"parameters", {{"max_tokens", 6}, {"temperature", 0}, {"ignore_eos", true}}}};
  const HttpAnswer whole = stack.Ask("POST /v2/models/bytes/generate", body.dump());
  ASSERT_EQ(whole.status, 200) << whole.body;
  EXPECT_EQ(whole.json()["details"]["finish_reason"], "length");
  const auto text = whole.json()["text_output"].get<std::string>();
  EXPECT_TRUE(text.starts_with("ab")) << text;
  const HttpAnswer events = stack.Ask("POST /v2/models/bytes/generate_stream", body.dump());
  EXPECT_TRUE(events.HasField("Content-Type: text/event-stream; charset=utf-8")) << events.head;
  std::string joined;
  for (std::string_view rest = events.body; !rest.empty();) {
    const size_t end = rest.find("\n\n");
    ASSERT_NE(end, std::string_view::npos);
    const std::string_view event = rest.substr(0, end);
    rest.remove_prefix(end + 2);
    if (!event.starts_with("data: ")) continue;
    joined += Json::parse(event.substr(6))["text_output"].get<std::string>();
  }
  EXPECT_EQ(joined, text);
  for (const char* path : {"generate", "generate_stream"}) {
    const HttpAnswer wrong = stack.Ask(absl::StrCat("POST /v2/models/bytes/", path),
                                       R"({"text_input": "a", "parameters": {"max_tokns": 1}})");
    EXPECT_EQ(wrong.status, 400);
    EXPECT_THAT(wrong.json().value("error", ""), HasSubstr("did you mean max_tokens?"));
  }
}

}  // namespace
}  // namespace dyad
