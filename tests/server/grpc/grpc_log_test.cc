// The libraries' own calls, caught.
#include "server/grpc/grpc_log.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/mutex.h"

namespace dyad {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(LibraryLogTest, LinesOfBothLibrariesBecomeEventsAndNothingIsPrinted) {
  Mutex mutex;
  std::vector<std::string> lines;
  ::testing::internal::CaptureStderr();
  SetLibraryLog([&](LogLevel level, const std::string& event, const std::vector<LogField>& fields) {
    MutexLock lock(&mutex);
    lines.push_back(std::to_string(static_cast<int>(level)) + " " +
                    LogLine(LogFormat::kText, event, fields));
  });
  gpr_log(GPR_ERROR, "handshake %s", "refused");
  gpr_log("a/b/file.cc", 7, GPR_LOG_SEVERITY_ERROR, "quoted \"text\"\nof two lines");
  GOOGLE_LOG(WARNING) << "no UTF-8";
  SetLibraryLog(nullptr);
  gpr_log(GPR_ERROR, "after the end");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_THAT(lines, Contains(HasSubstr("3 grpc message=\"handshake refused\" source=grpc_log_")));
  EXPECT_THAT(lines, Contains("3 grpc message=\"quoted \\\"text\\\"\\nof two lines\" "
                              "source=file.cc:7"));
  EXPECT_THAT(lines, Contains(HasSubstr("2 protobuf message=\"no UTF-8\" source=grpc_log_")));
  EXPECT_THAT(lines, Not(Contains(HasSubstr("after the end"))));
}

}  // namespace
}  // namespace dyad
