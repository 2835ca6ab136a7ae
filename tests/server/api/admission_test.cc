// What a refused client is told. Full queues: score_answer_test.cc.
#include "server/api/admission.h"

#include "server/api/error_reply.h"
#include "server/api/request_error.h"
#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::_;
using ::testing::HasSubstr;

TEST(AdmitTest, ADrainingServerRefuses) {
  EngineStack stack;
  stack.state.draining = true;
  const absl::Status status = Admit(stack.state, stack.models.models()[0], {});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("shutting down")));
  EXPECT_EQ(Reason(ToErrorReply(status)), "dyad.v1 DRAINING");
}

TEST(AdmitTest, ADrainingEngineRefusesAlike) {
  EngineStack stack;
  stack.engine->Drain(absl::ZeroDuration());
  engine::Request request;
  request.ids = {1, 2};
  request.score_from = 0;
  const absl::Status status = Admit(stack.state, stack.models.models()[0], {{request, nullptr}});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, _));
  EXPECT_EQ(Reason(ToErrorReply(status)), "dyad.v1 DRAINING");
}

TEST(AdmitTest, WhatCanNeverFitIsNotToBeRetried) {
  StackOptions options;
  options.engine.max_queued_requests = 1;
  EngineStack stack(options);
  engine::Request request;
  request.ids = {1, 2};
  request.score_from = 0;
  const absl::Status status =
      Admit(stack.state, stack.models.models()[0], {{request, nullptr}, {request, nullptr}});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at most 1")));
  EXPECT_EQ(RetryAfter(status), std::nullopt);
}

}  // namespace
}  // namespace dyad
