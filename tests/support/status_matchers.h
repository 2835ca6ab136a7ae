// EXPECT_OK, ASSERT_OK and StatusIs, named and behaving as in newer Abseil.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dyad {

// Codes that tests name most.
inline constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
inline constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
inline constexpr auto kNotFound = absl::StatusCode::kNotFound;

}  // namespace dyad

namespace dyad::testing {

inline const absl::Status& ToStatus(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& ToStatus(const absl::StatusOr<T>& value) {
  return value.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << ToStatus(arg).ToString();
  return ToStatus(arg).ok();
}

// Has this code, and a message that matches.
MATCHER_P2(StatusIs, code, message_matcher, "") {
  const absl::Status& status = ToStatus(arg);
  *result_listener << status.ToString();
  return status.code() == code &&
         ::testing::Matches(message_matcher)(std::string(status.message()));
}

}  // namespace dyad::testing

#define EXPECT_OK(expression) EXPECT_THAT(expression, ::dyad::testing::IsOk())
#define ASSERT_OK(expression) ASSERT_THAT(expression, ::dyad::testing::IsOk())
