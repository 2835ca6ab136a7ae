// Errors in the middle of a batch: a line's own is its answer, the server's end the run.
#include <algorithm>

#include "client/error_owner.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryFolder;

// What stands behind the header.
std::string AnswersOf(const std::string& output) { return output.substr(output.find('\n') + 1); }

// Commands against a server whose third call ends with some code.
class BatchErrorTest : public ::testing::TestWithParam<const char*> {
 protected:
  // The exit status; the output is in Read().
  int Run(std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {GetParam(), "--server=" + address_, "--concurrency=1",
                                 "--input=" + folder_.Write("in", Lines()),
                                 "--output=" + folder_.Path("out"), "--timeout=" + timeout_});
    const auto run = testing::RunDyadctl(flags);
    errors_ = run.err;
    return run.status;
  }
  std::string Read() const { return AnswersOf(folder_.Read("out")); }
  int64_t ReadLines() const {
    const std::string out = Read();
    return std::count(out.begin(), out.end(), '\n');
  }

  static std::string Lines() {
    return std::string(GetParam()) == "detokenize"
               ? "{\"ids\":[97]}\n{\"ids\":[98]}\n{\"ids\":[99]}\n{\"ids\":[100]}\n"
               : "{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\"c\"}\n{\"text\":\"d\"}\n";
  }

  testing::FakeServer server_;
  TemporaryFolder folder_;
  std::string address_ = server_.address();
  // Seconds of a call: no load ends one that is answered.
  std::string timeout_ = "60";
  std::string errors_;
};

INSTANTIATE_TEST_SUITE_P(Commands, BatchErrorTest,
                         ::testing::Values("score", "generate", "tokenize", "detokenize"),
                         [](const auto& command) { return std::string(command.param); });

TEST_P(BatchErrorTest, OnlyALinesOwnErrorIsAnAnswer) {
  ASSERT_EQ(Run(), 0) << errors_;
  const std::string whole = Read();
  for (int code = 1; code <= 16; ++code) {
    SCOPED_TRACE(absl::StatusCodeToString(static_cast<absl::StatusCode>(code)));
    std::filesystem::remove(folder_.Path("out"));
    server_.traffic.SetFaults(
        {.spare_first = 2, .fail_first = 1000, .code = static_cast<grpc::StatusCode>(code)});
    const ErrorOwner owner = OwnerOf(absl::Status(static_cast<absl::StatusCode>(code), ""));
    if (owner != ErrorOwner::kLine) timeout_ = "1";  // for so long it is tried again
    const int status = Run();
    timeout_ = "60";
    server_.traffic.SetFaults({});
    if (owner == ErrorOwner::kLine) {
      EXPECT_EQ(status, 1);
      EXPECT_EQ(ReadLines(), 4);
      EXPECT_THAT(Read(), HasSubstr("purpose"));
      EXPECT_EQ(Run(), 1);  // an error is an answer, until somebody asks again
      EXPECT_EQ(Run({"--retry_errors"}), 0) << errors_;
    } else {
      EXPECT_EQ(status, owner == ErrorOwner::kServer ? 3 : 1);
      EXPECT_EQ(Read(), whole.substr(0, Read().size()));
      EXPECT_EQ(ReadLines(), 2);
      EXPECT_THAT(errors_, HasSubstr("purpose (after 2 lines)"));
      EXPECT_EQ(
          errors_.find("this goes on: dyadctl " + std::string(GetParam())) != std::string::npos,
          owner == ErrorOwner::kServer);
      EXPECT_EQ(Run(), 0) << errors_;
    }
    EXPECT_EQ(Read(), whole);
  }
}

TEST_P(BatchErrorTest, AFullQueueIsWaitedForPastTheTimeoutOfARequest) {
  server_.traffic.SetFaults({.spare_first = 2,
                             .fail_first = 40,
                             .code = grpc::StatusCode::RESOURCE_EXHAUSTED,
                             .reason = "QUEUE_FULL"});
  timeout_ = "0.3";
  EXPECT_EQ(Run(), 0) << errors_;
  EXPECT_EQ(server_.traffic.calls(), 44);
}

TEST_P(BatchErrorTest, NoServerAtAllLeavesNothingBehind) {
  address_ = "127.0.0.1:1";
  timeout_ = "1";
  EXPECT_EQ(Run(), 3);
  EXPECT_EQ(Read(), "");
}

TEST_P(BatchErrorTest, AWrongFlagIsNoAnswer) {
  EXPECT_EQ(Run({"--model=typo"}), 1);
  EXPECT_THAT(errors_, HasSubstr("NOT_FOUND: model is typo"));
  EXPECT_EQ(Read(), "");
}

}  // namespace
}  // namespace dyad::client
