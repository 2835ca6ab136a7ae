// Payloads of errors, and the shortening of what clients wrote.
#include "server/api/request_error.h"

#include <google/rpc/error_details.pb.h>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/text/utf8.h"

namespace dyad {
namespace {

template <typename Detail>
Detail PayloadOf(const absl::Status& status) {
  Detail detail;
  const auto payload =
      status.GetPayload("type.googleapis.com/" + Detail::descriptor()->full_name());
  EXPECT_TRUE(payload.has_value() && detail.ParseFromString(std::string(*payload)));
  return detail;
}

TEST(InvalidFieldTest, NamesFieldValueAndLimit) {
  const absl::Status status = InvalidField({"top_p", "1.5", "must be in (0, 1]"});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "top_p is 1.5; must be in (0, 1]");
  const auto bad_request = PayloadOf<google::rpc::BadRequest>(status);
  ASSERT_EQ(bad_request.field_violations_size(), 1);
  EXPECT_EQ(bad_request.field_violations(0).field(), "top_p");
  EXPECT_EQ(bad_request.field_violations(0).description(), "is 1.5; must be in (0, 1]");
  const auto info = PayloadOf<google::rpc::ErrorInfo>(status);
  EXPECT_EQ(info.reason(), "INVALID_FIELD");
  EXPECT_EQ(info.domain(), "dyad.v1");
  EXPECT_EQ(info.metadata().at("field"), "top_p");
  EXPECT_EQ(info.metadata().at("value"), "1.5");
  EXPECT_EQ(info.metadata().at("limit"), "must be in (0, 1]");
}

TEST(FieldFaultsTest, AllFieldsAreNamedTogether) {
  FieldFaults faults;
  EXPECT_TRUE(faults.Add(absl::OkStatus()).ok());
  EXPECT_TRUE(faults.status().ok());
  EXPECT_TRUE(faults.Add(InvalidField({"top_p", "1.5", "must be in (0, 1]"})).ok());
  EXPECT_EQ(faults.status().message(), "top_p is 1.5; must be in (0, 1]");
  EXPECT_TRUE(faults.Add(InvalidField({"n", "0", "must be in [1, 16]"})).ok());
  EXPECT_EQ(faults.status().message(),
            "top_p is 1.5; must be in (0, 1]. n is 0; must be in [1, 16]");
  EXPECT_EQ(PayloadOf<google::rpc::ErrorInfo>(faults.status()).metadata().at("field"), "top_p");
  FieldFaults outer;
  EXPECT_TRUE(outer.Add(faults.status()).ok());
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(outer.Add(InvalidField({"items", "x", "must be y"})).ok());
  }
  const auto named = PayloadOf<google::rpc::BadRequest>(outer.status());
  ASSERT_EQ(named.field_violations_size(), 8);
  EXPECT_EQ(named.field_violations(1).field(), "n");
  EXPECT_TRUE(absl::EndsWith(outer.status().message(), ". 14 more"));
}

TEST(FieldFaultsTest, WhatIsNoFaultOfAFieldComesBack) {
  FieldFaults faults;
  EXPECT_EQ(faults.Add(absl::NotFoundError("model")), absl::NotFoundError("model"));
  EXPECT_TRUE(faults.status().ok());
}

TEST(TooLargeTest, NamesSizeLimitAndFlag) {
  const absl::Status status = TooLarge({"ANSWER_TOO_LARGE", "the answer", 70, 60, "--max"});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "the answer has 70 bytes; the server's limit is 60 (--max)");
  const auto info = PayloadOf<google::rpc::ErrorInfo>(status);
  EXPECT_EQ(info.reason(), "ANSWER_TOO_LARGE");
  EXPECT_EQ(info.metadata().at("size"), "70");
  EXPECT_EQ(info.metadata().at("limit"), "60");
  EXPECT_FALSE(RetryAfter(status).has_value());
}

TEST(WithReasonTest, KeepsTheFirstReason) {
  absl::Status status = WithReason(absl::NotFoundError("x"), "MODEL_NOT_FOUND");
  status = WithReason(status, "OTHER");
  EXPECT_EQ(PayloadOf<google::rpc::ErrorInfo>(status).reason(), "MODEL_NOT_FOUND");
  EXPECT_TRUE(WithReason(absl::OkStatus(), "NONE").ok());
}

TEST(WithRetryAfterTest, RoundTrips) {
  const absl::Duration delay = absl::Seconds(1) + absl::Milliseconds(250);
  const absl::Status status = WithRetryAfter(absl::ResourceExhaustedError("full"), delay);
  EXPECT_EQ(RetryAfter(status), delay);
  EXPECT_EQ(PayloadOf<google::rpc::RetryInfo>(status).retry_delay().nanos(), 250'000'000);
  EXPECT_EQ(RetryAfter(absl::ResourceExhaustedError("full")), std::nullopt);
}

TEST(ShortenedTest, LeavesShortTextAlone) {
  EXPECT_EQ(Shortened("", 4), "");
  EXPECT_EQ(Shortened("abcd", 4), "abcd");
  EXPECT_EQ(Shortened("aé", 3), "aé");
}

TEST(ShortenedTest, CutsBetweenCharacters) {
  EXPECT_EQ(Shortened("abcdefgh", 6), "abc…");
  EXPECT_EQ(Shortened("aéééé", 6), "aé…");  // é has two bytes, … three
  EXPECT_EQ(Shortened("abcd", 2), "");
}

TEST(ShortenedTest, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(Shortened("a\xFFz", 20), "a\uFFFDz");
  EXPECT_EQ(Shortened("a\xE2\x82", 20), "a\uFFFD");
  EXPECT_EQ(Shortened(std::string("\xED\xA0\x80", 3), 20), "\uFFFD\uFFFD\uFFFD");  // a surrogate
}

TEST(ShortenedTest, NeverPassesTheBoundAndStaysValid) {
  const std::string mixed = "x\xF0\x9F\x98\x80\xC3\xA9\xFF\xE2\x82\xAC\xF0\x9F";
  for (size_t length = 0; length <= mixed.size(); ++length) {
    for (size_t bound = 0; bound < 30; ++bound) {
      const std::string text = Shortened(mixed.substr(0, length), bound);
      EXPECT_LE(text.size(), bound);
      EXPECT_FALSE(FirstInvalidByte(text).has_value()) << length << " " << bound;
    }
  }
}

TEST(WithFieldNamesTest, RenamesFieldsInMessageAndDetails) {
  FieldFaults faults;
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(faults.Add(InvalidField({absl::StrCat("f", i), "0", "must be 1", "WHY"})).ok());
  }
  const absl::Status status = WithFieldNames(
      faults.status(), [](std::string_view name) { return "http_" + std::string(name); });
  EXPECT_THAT(
      std::string(status.message()),
      ::testing::AllOf(::testing::StartsWith("http_f0 is 0; must be 1. http_f1 is 0; must be 1. "),
                       ::testing::EndsWith(". 2 more")));
  EXPECT_THAT(FieldsOf(status),
              ::testing::AllOf(::testing::SizeIs(8), ::testing::Contains("http_f7")));
  EXPECT_EQ(ReasonOf(status), "WHY");
  const absl::Status other = WithReason(absl::NotFoundError("m"), "R");
  EXPECT_EQ(WithFieldNames(other, nullptr), other);
  EXPECT_THAT(FieldsOf(other), ::testing::IsEmpty());
  EXPECT_EQ(ReasonOf(absl::NotFoundError("m")), "");
}

}  // namespace
}  // namespace dyad
