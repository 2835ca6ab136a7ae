// Events of any family of routes; that of OpenAI has more in completion_call_test.cc.
#include "server/routes/event_stream.h"

#include "tests/server/routes/door_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kBody[] =
    R"({"text_input": "ab", "parameters": {"max_tokens": 50, "ignore_eos": true}})";

TEST(EventStreamTest, AnErrorInFrontIsAnAnswerOfItsOwn) {
  DoorStack stack;
  stack.state.draining = true;
  const HttpAnswer answer = stack.Ask("POST /v2/models/bytes/generate_stream", kBody);
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.head, HasSubstr("application/json"));
}

TEST(EventStreamTest, AnErrorWithinEndsTheStreamInTheFamilysWords) {
  StackOptions options;
  options.model.before_step = [](int64_t step) {
    return step < 3 ? absl::OkStatus() : absl::InternalError("step failed");
  };
  DoorStack stack(options);
  const HttpAnswer answer = stack.Ask("POST /v2/models/bytes/generate_stream", kBody);
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr("data: {\"model_name\":\"bytes\""));
  EXPECT_TRUE(answer.body.ends_with("\n\n"));
  const size_t last = answer.body.rfind("data: ");
  EXPECT_THAT(answer.body.substr(last), HasSubstr("{\"error\":\""));
}

TEST(EventStreamTest, AFamilyWithoutTailEndsAfterItsLastPiece) {
  DoorStack stack;
  const HttpAnswer answer = stack.Ask("POST /v2/models/bytes/generate_stream", kBody);
  EXPECT_THAT(answer.body, Not(HasSubstr("[DONE]")));
  EXPECT_THAT(answer.body.substr(answer.body.rfind("data: ")), HasSubstr("finish_reason"));
}

}  // namespace
}  // namespace dyad
