// What OpenAI's clients are told of paths that are not here, and of health.
#include "server/openai/routes.h"

#include "tests/server/routes/door_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;

TEST(OpenAiRoutesTest, WhatIsNotOfferedSaysWhatToUse) {
  DoorStack stack;
  const std::string json = "Content-Type: application/json\r\n";
  for (const char* line :
       {"POST /v1/chat/completions", "POST /models/bytes/v1/chat/completions", "POST /v1/responses",
        "POST /v1/embeddings", "POST /v1/images/generations", "POST /v1/audio/speech",
        "GET /v1/files", "GET /v1/batches", "GET /v1/fine_tuning/jobs", "POST /v1/moderations"}) {
    const HttpAnswer answer = stack.Ask(line, "{}", json);
    EXPECT_EQ(answer.status, 404) << line;
    EXPECT_EQ(answer.code(), "unsupported_endpoint") << line;
    EXPECT_FALSE(answer.error()["message"].get<std::string>().empty()) << line;
  }
}

TEST(OpenAiRoutesTest, HealthSaysWhatIsServed) {
  DoorStack stack;
  for (const char* path : {"/health", "/health/ready", "/health/live"}) {
    EXPECT_EQ(stack.Get(path).status, 200) << path;
  }
  stack.ready = false;
  EXPECT_EQ(stack.Get("/health").status, 503);
  EXPECT_EQ(stack.Get("/health/ready").json()["status"], "NOT_SERVING");
  EXPECT_EQ(stack.Get("/health/live").status, 200);
  stack.alive = false;
  EXPECT_EQ(stack.Get("/health/live").status, 503);
  EXPECT_EQ(stack.Get("/version").json()["version"], "the version of a test");
}

}  // namespace
}  // namespace dyad
