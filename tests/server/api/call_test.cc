// Request ids and records, without a wire.
#include "server/api/call.h"

#include "tests/server/api/api_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::MatchesRegex;

class CallTest : public ::testing::Test {
 protected:
  std::string IdFor(const std::string& given) {
    return Call(state_, {.method = "S/M", .request_id = given}).record().request_id;
  }

  const ModelRegistry models_{{}};
  RecordingObserver observer_;
  const ServerState state_{models_, {}, &observer_};
};

TEST_F(CallTest, AClientsRequestIdIsKeptIfItCanBePrinted) {
  EXPECT_EQ(IdFor("job-7/line:12"), "job-7/line:12");
  EXPECT_EQ(IdFor(std::string(128, 'i')), std::string(128, 'i'));
  const std::string random = IdFor("");
  EXPECT_THAT(random, MatchesRegex("[0-9a-f]+"));
  EXPECT_EQ(random.size(), 32u);
  for (const std::string& bad : {std::string(129, 'i'), std::string("with space"),
                                 std::string("\x7f"), std::string("\u00e9")}) {
    EXPECT_THAT(IdFor(bad), MatchesRegex("[0-9a-f]+")) << bad;
    EXPECT_EQ(IdFor(bad).size(), 32u) << bad;
  }
}

TEST_F(CallTest, TheObserverSeesHowItEnded) {
  Call call(state_, {"S/M", "id", "ipv4:1.2.3.4:5", absl::UnixEpoch()});
  EXPECT_EQ(call.caller().deadline, absl::UnixEpoch());
  ServedModel model;
  model.name = "m";
  call.SetModel(model);
  call.NotePrompt("first");
  call.NotePrompt("second");
  call.Close(absl::NotFoundError(std::string(5000, 'x')));
  call.Report();
  const RpcRecord record = observer_.Await(0);
  EXPECT_EQ(record.method, "S/M");
  EXPECT_EQ(record.request_id, "id");
  EXPECT_EQ(record.peer, "ipv4:1.2.3.4:5");
  EXPECT_EQ(record.model, "m");
  EXPECT_EQ(record.prompt, "first");
  EXPECT_EQ(record.code, "NOT_FOUND");
  EXPECT_LE(record.message.size(), 1024u);
  EXPECT_GT(record.total, absl::ZeroDuration());
}

TEST_F(CallTest, EachConnectionIsAClientOfItsOwn) {
  const auto client = [&](const char* peer) {
    return Call(state_, {.method = "S/M", .peer = peer}).caller().client;
  };
  EXPECT_EQ(client("ipv4:1.2.3.4:5"), client("ipv4:1.2.3.4:5"));
  EXPECT_NE(client("ipv4:1.2.3.4:5"), client("ipv4:1.2.3.4:6"));
}

TEST_F(CallTest, ALongPromptIsShortened) {
  Call call(state_, {.method = "S/M"});
  call.NotePrompt(std::string(5000, 'p'));
  EXPECT_LE(call.record().prompt.size(), 1024u);
}

TEST_F(CallTest, TheSlowestSequencesTimesAreTheCalls) {
  const ModelRegistry models({});
  const ServerState state{models, {}, nullptr};
  Call call(state, {.method = "S/M"});
  call.AddTiming({absl::Seconds(1), absl::Seconds(2), absl::Seconds(3)});
  call.AddTiming({absl::Seconds(5), absl::ZeroDuration(), absl::ZeroDuration()});
  call.record().prompt_tokens = 7;
  call.record().generated_tokens = 8;
  call.record().cached_tokens = 6;
  const v1::Usage usage = call.Usage();
  EXPECT_EQ(usage.queue_seconds(), 1);
  EXPECT_EQ(usage.prefill_seconds(), 2);
  EXPECT_EQ(usage.decode_seconds(), 3);
  EXPECT_EQ(usage.prompt_tokens(), 7);
  EXPECT_EQ(usage.generated_tokens(), 8);
  EXPECT_EQ(usage.cached_tokens(), 6);
  call.NotePrompt("x");
  EXPECT_EQ(call.record().prompt, "") << "nobody wants prompts";
  call.Report();  // to nobody
}

}  // namespace
}  // namespace dyad
