// Errors under /v2.
#include "server/kserve/error.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/api/request_error.h"

namespace dyad {
namespace {

TEST(KserveErrorTest, AnErrorIsItsText) {
  const HttpResponse response = KserveError(InvalidField({"text", "FP32 [1]", "must be BYTES"}));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.body, R"({"error":"text is FP32 [1]; must be BYTES"})");
  EXPECT_EQ(KserveError(absl::UnavailableError("x")).status, 503);
}

}  // namespace
}  // namespace dyad
