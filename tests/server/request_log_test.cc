// What a finished call leaves behind: its line on stderr and its count in the metrics.
#include "server/request_log.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace dyad {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

RpcRecord Record() {
  RpcRecord record;
  record.request_id = "r-1";
  record.method = "GenerationService/Generate";
  record.peer = "ipv4:127.0.0.1:40122";
  record.model = "demo";
  record.code = "OK";
  record.prompt_tokens = 5;
  record.generated_tokens = 3;
  record.timing = {absl::Milliseconds(1), absl::Milliseconds(2), absl::Milliseconds(4)};
  record.total = absl::Milliseconds(8);
  record.finish_reason = "length";
  return record;
}

std::vector<std::string> Keys(const RpcRecord& record) {
  std::vector<std::string> keys;
  for (const LogField& field : RequestFields(record)) keys.push_back(field.key);
  return keys;
}

// What `write` sends to stderr through a log of this format and level.
template <typename F>
std::string Logged(LogFormat format, LogLevel level, const F& write) {
  ::testing::internal::CaptureStderr();
  {
    ServerLog log(format, level);
    write(log);
  }
  return ::testing::internal::GetCapturedStderr();
}

TEST(RequestFieldsTest, NamesWhatHappened) {
  EXPECT_EQ(Keys(Record()), (std::vector<std::string>{
                                "request_id", "method", "code", "model", "peer", "prompt_tokens",
                                "generated_tokens", "finish_reason", "queue_seconds",
                                "prefill_seconds", "decode_seconds", "total_seconds"}));
}

TEST(RequestLogTest, ACallOverHttpIsCountedByItsRouteAndStatus) {
  RpcRecord record = Record();
  record.method = "/v1/completions";
  record.http_status = 429;
  record.code = "RESOURCE_EXHAUSTED";
  Metrics metrics;
  const std::string line = Logged(LogFormat::kText, LogLevel::kInfo, [&](ServerLog& log) {
    RequestLog(log, metrics, PromptLogging::kOff).OnRpcEnd(record);
  });
  EXPECT_THAT(line, HasSubstr("info http request_id=r-1 method=/v1/completions "
                              "code=RESOURCE_EXHAUSTED status=429 "));
  EXPECT_THAT(metrics.Text(),
              HasSubstr("dyad_http_requests_total{code=\"429\",route=\"/v1/completions\"} 1"));
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("dyad_rpc_requests_total{")));
}

TEST(RequestFieldsTest, RefusedCallHasItsMessageAndNoTimesOfStepsItNeverHad) {
  RpcRecord record;
  record.request_id = "r-2";
  record.method = "ScoringService/Score";
  record.code = "INVALID_ARGUMENT";
  record.message = "items is empty";
  EXPECT_EQ(Keys(record),
            (std::vector<std::string>{"request_id", "method", "code", "total_seconds", "message"}));
}

TEST(RequestLogTest, WritesOneLineAtInfoAndCounts) {
  Metrics metrics;
  const std::string logged = Logged(LogFormat::kText, LogLevel::kInfo, [&](ServerLog& log) {
    RequestLog(log, metrics, PromptLogging::kOff).OnRpcEnd(Record());
  });
  EXPECT_EQ(std::count(logged.begin(), logged.end(), '\n'), 1);
  EXPECT_THAT(logged, HasSubstr("Z info rpc request_id=r-1 method=GenerationService/Generate "
                                "code=OK model=demo peer=ipv4:127.0.0.1:40122 prompt_tokens=5 "));
  EXPECT_THAT(logged, HasSubstr(" decode_seconds=0.004000 total_seconds=0.008000\n"));
  EXPECT_THAT(
      metrics.Text(),
      HasSubstr("dyad_rpc_requests_total{code=\"OK\",method=\"GenerationService/Generate\"} 1"));
}

TEST(RequestLogTest, JsonLineIsAnObject) {
  Metrics metrics;
  RpcRecord record = Record();
  record.message = "a \"quoted\"\nmessage";
  const std::string logged = Logged(LogFormat::kJson, LogLevel::kInfo, [&](ServerLog& log) {
    RequestLog(log, metrics, PromptLogging::kOff).OnRpcEnd(record);
  });
  const nlohmann::json json = nlohmann::json::parse(logged);
  EXPECT_EQ(json["event"], "rpc");
  EXPECT_EQ(json["level"], "info");
  EXPECT_EQ(json["message"], record.message);
  EXPECT_EQ(json["prompt_tokens"], 5);
  EXPECT_EQ(json["total_seconds"], 0.008);
}

TEST(RequestLogTest, StillCountsWhereTheLineIsBelowTheLevel) {
  Metrics metrics;
  const std::string logged = Logged(LogFormat::kText, LogLevel::kWarning, [&](ServerLog& log) {
    RequestLog(log, metrics, PromptLogging::kOff).OnRpcEnd(Record());
  });
  EXPECT_EQ(logged, "");
  EXPECT_THAT(metrics.Text(), HasSubstr("dyad_rpc_duration_seconds_count"));
}

TEST(RequestLogTest, FaultsOfTheServerAreErrors) {
  Metrics metrics;
  for (const auto& [code, level] : {std::pair{"INTERNAL", " error rpc "},
                                    {"DATA_LOSS", " error rpc "},
                                    {"UNKNOWN", " error rpc "},
                                    {"INVALID_ARGUMENT", " info rpc "},
                                    {"RESOURCE_EXHAUSTED", " info rpc "}}) {
    RpcRecord record = Record();
    record.code = code;
    EXPECT_THAT(Logged(LogFormat::kText, LogLevel::kInfo,
                       [&](ServerLog& log) {
                         RequestLog(log, metrics, PromptLogging::kOff).OnRpcEnd(record);
                       }),
                HasSubstr(level));
    EXPECT_THAT(metrics.Text(),
                HasSubstr(absl::StrCat("dyad_rpc_requests_total{code=\"", code,
                                       "\",method=\"GenerationService/Generate\"} 1")));
  }
}

TEST(RequestLogTest, AsksForPromptsOnlyWhenTold) {
  Metrics metrics;
  Logged(LogFormat::kText, LogLevel::kInfo, [&](ServerLog& log) {
    EXPECT_FALSE(RequestLog(log, metrics, PromptLogging::kOff).WantsPrompts());
    EXPECT_TRUE(RequestLog(log, metrics, PromptLogging::kOn).WantsPrompts());
  });
}

}  // namespace
}  // namespace dyad
