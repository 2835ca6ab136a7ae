// Routes, and who may ask.
#include "server/routes/http_door.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/server/routes/door_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kCompletion = R"({"model": "bytes", "prompt": "a", "max_tokens": 1})";

TEST(HttpDoorTest, RefusalsHaveTheirStatus) {
  DoorStack stack;
  struct Row {
    std::string line;
    std::string fields;
    std::string body;
    int status;
    std::string code;
  };
  const std::string json = "Content-Type: application/json\r\n";
  for (const Row& row : std::vector<Row>{
           {"GET /nothing", "", "", 404, "unknown_path"},
           {"GET /v1/completions/", "", "", 404, "unknown_path"},
           {"GET /v1/completions", "", "", 405, "method_not_allowed"},
           {"DELETE /v1/models/bytes", "", "", 405, "method_not_allowed"},
           {"POST /v1/completions", "", kCompletion, 415, "unsupported_media_type"},
           {"POST /v1/completions", "Content-Type: application/x-www-form-urlencoded\r\n", "a=b",
            415, "unsupported_media_type"},
           {"POST /v1/completions", "Content-Type: text/plain; application/json\r\n", kCompletion,
            415, "unsupported_media_type"},
           {"POST /v1/completions", json, "{\"a\"", 400, "invalid_json"},
           {"POST /models/none/v1/completions", json, kCompletion, 404, "model_not_found"},
           {"POST /v1/completions", json + "Transfer-Encoding: chunked\r\n", kCompletion, 400,
            "invalid_http"}}) {
    const HttpAnswer answer = stack.Ask(row.line, row.body, row.fields);
    EXPECT_EQ(answer.status, row.status) << row.line << answer.body;
    EXPECT_EQ(answer.code(), row.code) << row.line;
    EXPECT_FALSE(answer.error()["message"].get<std::string>().empty()) << row.line;
  }
  EXPECT_TRUE(stack.Ask("GET /v1/completions", "", "").HasField("Allow: POST, OPTIONS"));
  EXPECT_TRUE(stack.Ask("POST /health", "", json).HasField("Allow: GET, HEAD, OPTIONS"));
}

TEST(HttpDoorTest, AModelMayStandInThePath) {
  DoorStack stack;
  const std::string type = "Content-Type: application/json; charset=utf-8\r\n";
  const std::string body = R"({"prompt": [97], "max_tokens": 1})";
  for (const char* model : {"bytes", "ids", "id%73"}) {
    const HttpAnswer answer =
        stack.Ask(absl::StrCat("POST /models/", model, "/v1/completions"), body, type);
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.json()["model"], std::string(model) == "bytes" ? "bytes" : "ids");
  }
  EXPECT_EQ(stack.Get("/models/ids/v1/models").json()["data"].size(), 1u);
}

TEST(HttpDoorTest, OtherNamesOfThisMachineAreNotAnswered) {
  HttpDoorOptions options;
  options.allowed_hosts = {"localhost", "127.0.0.1", "[::1]"};
  DoorStack stack({}, options);
  const auto status = [&](const std::string& host) {
    RawClient client(stack.server->port());
    client.Send(
        absl::StrCat("GET /health HTTP/1.1\r\nConnection: close\r\nHost: ", host, "\r\n\r\n"));
    return ParseAnswer(client.ReadAll()).status;
  };
  for (const char* host : {"localhost", "LocalHost:8000", "127.0.0.1:1", "[::1]", "[::1]:80"}) {
    EXPECT_EQ(status(host), 200) << host;
  }
  for (const char* host : {"evil.example", "localhost.evil.example", "", "127.0.0.2", "[::2]:80"}) {
    EXPECT_EQ(status(host), 421) << host;
  }
}

TEST(HttpDoorTest, PagesOfOtherOriginsReadNothingUnlessTheyMay) {
  const std::string origin = "Origin: https://a.example\r\n";
  DoorStack closed;
  EXPECT_THAT(closed.Ask("GET /health", "", origin).head, Not(HasSubstr("Access-Control")));
  EXPECT_THAT(closed.Ask("OPTIONS /v1/completions", "", origin).head,
              Not(HasSubstr("Access-Control")));
  HttpDoorOptions options;
  options.cors_origins = {"https://a.example"};
  DoorStack some({}, options);
  const HttpAnswer answer = some.Ask("GET /health", "", origin);
  EXPECT_TRUE(answer.HasField("Access-Control-Allow-Origin: https://a.example"));
  EXPECT_TRUE(answer.HasField("Vary: Origin"));
  EXPECT_TRUE(
      answer.HasField("Access-Control-Expose-Headers: x-request-id, retry-after, retry-after-ms, "
                      "x-dyad-model-digest"));
  const HttpAnswer preflight = some.Ask("OPTIONS /v1/completions", "", origin);
  EXPECT_EQ(preflight.status, 204);
  EXPECT_TRUE(preflight.HasField("Access-Control-Allow-Methods: GET, POST, OPTIONS"));
  EXPECT_THAT(preflight.head, HasSubstr("authorization, content-type, x-request-id"));
  EXPECT_THAT(some.Ask("GET /health", "", "Origin: https://b.example\r\n").head,
              Not(HasSubstr("Access-Control")));
  options.cors_origins = {"*"};
  DoorStack open({}, options);
  EXPECT_TRUE(open.Ask("GET /none", "", origin).HasField("Access-Control-Allow-Origin: *"));
}

TEST(HttpDoorTest, AKeyIsAskedForWhereThereAreSome) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/door_keys_", getpid());
  std::ofstream(path) << "0123456789abcdef\n";
  const auto keys = ApiKeys::Load(path, nullptr);
  ASSERT_OK(keys);
  DoorStack stack;
  stack.state.keys = keys->get();
  const std::string json = "Content-Type: application/json\r\n";
  const auto ask = [&](const std::string& fields) {
    return stack.Ask("POST /v1/completions", kCompletion, json + fields);
  };
  EXPECT_EQ(ask("Authorization: Bearer 0123456789abcdef\r\n").status, 200);
  for (const char* fields :
       {"", "Authorization: Bearer \r\n", "Authorization: Bearer 0123456789abcde\r\n",
        "Authorization: Bearer 0123456789abcdef\r\nauthorization: Bearer 0123456789abcdef\r\n"}) {
    const HttpAnswer answer = ask(fields);
    EXPECT_EQ(answer.status, 401) << fields;
    EXPECT_EQ(answer.code(), "invalid_api_key");
    EXPECT_TRUE(answer.HasField("WWW-Authenticate: Bearer"));
  }
  EXPECT_EQ(stack.Get("/v1/models").status, 401);
  EXPECT_EQ(stack.Get("/nothing").status, 401);
  EXPECT_EQ(stack.Get("/health").status, 200);
  EXPECT_EQ(stack.Ask("OPTIONS /v1/completions", "", "").status, 204);
  std::filesystem::remove(path);
}

TEST(HttpDoorTest, NoMemoryIsAnErrorOfTheCall) {
  DoorStack stack;
  const HttpAnswer answer =
      stack.Complete({{"model", "bytes"}, {"prompt", std::string(kNoMemory)}});
  EXPECT_EQ(answer.status, 429);
}

}  // namespace
}  // namespace dyad
