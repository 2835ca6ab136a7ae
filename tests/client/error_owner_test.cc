// The table, code by code and reason by reason.
#include "client/error_owner.h"

#include <google/rpc/error_details.pb.h>

#include <map>
#include <string>

#include "absl/strings/cord.h"
#include "gtest/gtest.h"

namespace dyad::client {
namespace {

using enum ErrorOwner;
using enum absl::StatusCode;

absl::Status Exhausted(const std::string& reason) {
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  absl::Status status = absl::ResourceExhaustedError("x");
  status.SetPayload("type.googleapis.com/google.rpc.ErrorInfo",
                    absl::Cord(info.SerializeAsString()));
  return status;
}

TEST(ErrorOwnerTest, EveryCodeHasAnOwner) {
  const std::map<absl::StatusCode, ErrorOwner> owners = {{kCancelled, kServer},
                                                         {kUnknown, kServer},
                                                         {kInvalidArgument, kLine},
                                                         {kDeadlineExceeded, kLine},
                                                         {kNotFound, kCommand},
                                                         {kAlreadyExists, kServer},
                                                         {kPermissionDenied, kCommand},
                                                         {kResourceExhausted, kLine},
                                                         {kFailedPrecondition, kCommand},
                                                         {kAborted, kServer},
                                                         {kOutOfRange, kLine},
                                                         {kUnimplemented, kCommand},
                                                         {kInternal, kLine},
                                                         {kUnavailable, kServer},
                                                         {kDataLoss, kCommand},
                                                         {kUnauthenticated, kCommand}};
  EXPECT_EQ(owners.size(), 16u);
  for (const auto& [code, owner] : owners) {
    EXPECT_EQ(OwnerOf(absl::Status(code, "x")), owner) << absl::StatusCodeToString(code);
  }
}

TEST(ErrorOwnerTest, WhatTheLineNamesIsItsOwn) {
  const absl::Status not_found = absl::NotFoundError("x");
  const absl::Status precondition = absl::FailedPreconditionError("x");
  EXPECT_EQ(OwnerOf(not_found, {{"model", "m"}}), kLine);
  EXPECT_EQ(OwnerOf(not_found, {{"model", nullptr}}), kCommand);
  EXPECT_EQ(OwnerOf(not_found, {{"text", "a"}, {"context", "b"}}), kCommand);
  for (const char* key : {"model", "convention", "context", "context_ids"}) {
    EXPECT_EQ(OwnerOf(precondition, {{key, "x"}}), kLine) << key;
  }
  EXPECT_EQ(OwnerOf(precondition, {{"text", "a"}}), kCommand);
  // Whatever it names: nobody is there.
  EXPECT_EQ(OwnerOf(absl::UnavailableError("x"), {{"model", "m"}}), kServer);
}

TEST(ErrorOwnerTest, TheReasonTellsAFullQueueFromWhatIsTooLarge) {
  EXPECT_EQ(OwnerOf(Exhausted("QUEUE_FULL")), kFullQueue);
  EXPECT_EQ(OwnerOf(Exhausted("UNREAD_ANSWERS")), kFullQueue);
  for (const char* reason : {"ANSWER_TOO_LARGE", "MESSAGE_TOO_LARGE", "RESOURCE_EXHAUSTED"}) {
    EXPECT_EQ(OwnerOf(Exhausted(reason)), kLine) << reason;
  }
  // gRPC's own refusal, whatever its text says.
  EXPECT_EQ(OwnerOf(absl::ResourceExhaustedError("the queue holds 3 sequences")), kLine);
}

TEST(ErrorOwnerTest, ThePushbackIsTheServers) {
  EXPECT_EQ(Pushback(absl::ResourceExhaustedError("x")), absl::Milliseconds(100));
  google::rpc::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(2);
  info.mutable_retry_delay()->set_nanos(500'000'000);
  absl::Status status = absl::ResourceExhaustedError("x");
  status.SetPayload("type.googleapis.com/google.rpc.RetryInfo",
                    absl::Cord(info.SerializeAsString()));
  EXPECT_EQ(Pushback(status), absl::Milliseconds(2500));
}

}  // namespace
}  // namespace dyad::client
