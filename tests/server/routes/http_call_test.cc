// What every answer carries.
#include "server/routes/http_call.h"

#include "tests/server/routes/door_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ContainsRegex;

TEST(HttpCallTest, TheRequestIdComesBack) {
  DoorStack stack;
  const std::string type = "Content-Type: application/json\r\n";
  const auto head = [&](const std::string& fields) {
    return stack.Ask("POST /tokenize", R"({"model": "bytes", "prompt": "a"})", type + fields).head;
  };
  EXPECT_THAT(head("x-request-id: mine-7\r\n"), ContainsRegex("x-request-id: mine-7\r"));
  EXPECT_THAT(head(""), ContainsRegex("x-request-id: [0-9a-f]{32}\r"));
  EXPECT_THAT(head("x-request-id: a b\r\n"), ContainsRegex("x-request-id: [0-9a-f]{32}\r"));
  // Errors carry it too.
  const HttpAnswer wrong = stack.Ask("GET /none", "", "x-request-id: mine-8\r\n");
  EXPECT_EQ(wrong.status, 404);
  EXPECT_TRUE(wrong.HasField("x-request-id: mine-8"));
}

TEST(HttpCallTest, AnAnswerCountsUntilItHasLeft) {
  DoorStack stack;
  EXPECT_EQ(stack.Ask("POST /tokenize", R"({"model": "bytes", "prompt": "abc"})").status, 200);
  for (int i = 0; i < 1000 && stack.state.unread.bytes() > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(stack.state.unread.bytes(), 0);
}

}  // namespace
}  // namespace dyad
