// What a refused client is told. Full queues over a server: score_call_test.cc.
#include "server/service/admission.h"

#include "server/service/grpc_status.h"
#include "server/service/request_error.h"
#include "tests/server/service/service_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::_;
using ::testing::HasSubstr;

TEST(AdmitTest, ADrainingServerRefuses) {
  Stack stack;
  ServiceState state(ServiceContext{stack.models, {}, nullptr});
  state.draining = true;
  const absl::Status status = Admit(state, stack.models.models()[0], {});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("shutting down")));
  EXPECT_EQ(Reason(ToGrpcStatus(status)), "dyad.v1 DRAINING");
}

TEST(AdmitTest, ADrainingEngineRefusesAlike) {
  Stack stack;
  stack.engine->Drain(absl::ZeroDuration());
  const ServiceState state(ServiceContext{stack.models, {}, nullptr});
  engine::Request request;
  request.ids = {1, 2};
  request.score_from = 0;
  const absl::Status status = Admit(state, stack.models.models()[0], {{request, nullptr}});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, _));
  EXPECT_EQ(Reason(ToGrpcStatus(status)), "dyad.v1 DRAINING");
}

TEST(AdmitTest, WhatCanNeverFitIsNotToBeRetried) {
  StackOptions options;
  options.engine.max_queued_requests = 1;
  Stack stack(options);
  const ServiceState state(ServiceContext{stack.models, {}, nullptr});
  engine::Request request;
  request.ids = {1, 2};
  request.score_from = 0;
  const absl::Status status =
      Admit(state, stack.models.models()[0], {{request, nullptr}, {request, nullptr}});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at most 1")));
  EXPECT_EQ(RetryAfter(status), std::nullopt);
}

}  // namespace
}  // namespace dyad
