// Typed calls: a context with its deadline, the stub's call, the status; and again, if that helps.
#include "client/client.h"

#include <grpc/support/time.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "client/error_owner.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "server/base/status_macros.h"
#include "server/base/steady_clock.h"

namespace dyad::client {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100), kLastBackoff = absl::Seconds(5);
constexpr int kBackoffGrowth = 3;
// Who asks for health wants to hear soon that nobody is there.
constexpr int kHealthAttempts = 3;

// By the steady clock: a wall clock that jumps ends no call.
void SetDeadline(grpc::ClientContext& context, absl::Duration timeout) {
  if (timeout == absl::InfiniteDuration()) return;
  context.set_deadline(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                   gpr_time_from_nanos(absl::ToInt64Nanoseconds(timeout), GPR_TIMESPAN)));
}

}  // namespace

Client::Client(std::shared_ptr<grpc::Channel> channel, absl::Duration timeout, Retries retries)
    : channel_(std::move(channel)),
      timeout_(timeout),
      retries_(retries),
      generation_(v1::GenerationService::NewStub(channel_)),
      scoring_(v1::ScoringService::NewStub(channel_)),
      tokenizer_(v1::TokenizerService::NewStub(channel_)),
      model_(v1::ModelService::NewStub(channel_)),
      server_(v1::ServerService::NewStub(channel_)) {}

// Calls `attempt` with a fresh context until the outcome is final.
template <typename Attempt>
absl::Status Client::Try(int attempts, const Attempt& attempt) const {
  const absl::Time deadline = SteadyNow() + timeout_;
  absl::Duration backoff = kFirstBackoff;
  absl::Status before;  // of the last attempt
  while (true) {
    grpc::ClientContext context;
    SetDeadline(context, deadline - SteadyNow());
    const absl::Status status = attempt(context);
    // A server that had no more than the rest of the time was not too slow.
    if (absl::IsDeadlineExceeded(status) && !before.ok()) return before;
    if (absl::IsDeadlineExceeded(status) && channel_->GetState(false) != GRPC_CHANNEL_READY) {
      return absl::UnavailableError("no connection to a server that is ready, until the timeout");
    }
    if (retries_ == Retries::kNone) return status;
    absl::Duration wait = backoff;
    if (OwnerOf(status) == ErrorOwner::kFullQueue) {
      wait = Pushback(status);
    } else if (absl::IsUnavailable(status) && --attempts > 0) {
      backoff = std::min(backoff * kBackoffGrowth, kLastBackoff);
    } else {
      return status;
    }
    if (SteadyNow() + wait >= deadline) return status;
    absl::SleepFor(wait);
    before = status;
  }
}

template <typename Answer, typename Call>
absl::StatusOr<Answer> Client::Unary(const Call& call, int attempts) const {
  Answer answer;
  RETURN_IF_ERROR(Try(
      attempts, [&](grpc::ClientContext& context) { return ToStatus(call(&context, &answer)); }));
  return answer;
}

absl::StatusOr<v1::GenerateResponse> Client::Generate(const v1::GenerateRequest& request) const {
  return Unary<v1::GenerateResponse>(
      [&](auto* context, auto* answer) { return generation_->Generate(context, request, answer); });
}

absl::StatusOr<v1::GenerateResponse> Client::GenerateStream(
    const v1::GenerateRequest& request,
    const std::function<Reader(const v1::Choice& piece)>& on_piece) const {
  v1::GenerateResponse last;
  bool ended = false;
  v1::GenerateStreamRequest streamed;
  *streamed.mutable_request() = request;
  absl::Status cut_off;  // once a piece has come, the call cannot be made again
  RETURN_IF_ERROR(Try(kAttempts, [&](grpc::ClientContext& context) {
    const auto stream = generation_->GenerateStream(&context, streamed);
    v1::GenerateStreamResponse message;
    bool begun = false;
    while (stream->Read(&message)) {
      begun = true;
      if (message.has_choice() && on_piece(message.choice()) == Reader::kStop) context.TryCancel();
      if (message.has_final()) {
        last = std::move(*message.mutable_final());
        ended = true;
      }
    }
    const absl::Status status = ToStatus(stream->Finish());
    if (begun) cut_off = status;
    return begun ? absl::OkStatus() : status;
  }));
  RETURN_IF_ERROR(cut_off);
  if (!ended) return absl::InternalError("the stream ended without its last message");
  return last;
}

absl::StatusOr<v1::ScoreResponse> Client::Score(const v1::ScoreRequest& request) const {
  auto response = Unary<v1::ScoreResponse>(
      [&](auto* context, auto* answer) { return scoring_->Score(context, request, answer); });
  if (response.ok() && response->scores_size() != request.items_size()) {
    return absl::InternalError("the server answered with another number of scores than items");
  }
  return response;
}

absl::StatusOr<v1::TokenizeResponse> Client::Tokenize(const v1::TokenizeRequest& request) const {
  return Unary<v1::TokenizeResponse>(
      [&](auto* context, auto* answer) { return tokenizer_->Tokenize(context, request, answer); });
}

absl::StatusOr<v1::DetokenizeResponse> Client::Detokenize(
    const v1::DetokenizeRequest& request) const {
  return Unary<v1::DetokenizeResponse>([&](auto* context, auto* answer) {
    return tokenizer_->Detokenize(context, request, answer);
  });
}

absl::StatusOr<v1::ListModelsResponse> Client::ListModels() const {
  return Unary<v1::ListModelsResponse>([&](auto* context, auto* answer) {
    return model_->ListModels(context, v1::ListModelsRequest(), answer);
  });
}

absl::StatusOr<v1::GetServerInfoResponse> Client::GetServerInfo() const {
  return Unary<v1::GetServerInfoResponse>([&](auto* context, auto* answer) {
    return server_->GetServerInfo(context, v1::GetServerInfoRequest(), answer);
  });
}

absl::StatusOr<v1::Model> Client::GetModel(const v1::GetModelRequest& request) const {
  ASSIGN_OR_RETURN(auto response, Unary<v1::GetModelResponse>([&](auto* context, auto* answer) {
                     return model_->GetModel(context, request, answer);
                   }));
  return std::move(*response.mutable_model());
}

absl::StatusOr<v1::Model> Client::GetModel(const std::string& name) const {
  v1::GetModelRequest request;
  request.set_model(name);
  return GetModel(request);
}

absl::StatusOr<v1::Model> Client::GetDetailedModel(const std::string& name) const {
  v1::GetModelRequest request;
  request.set_model(name);
  request.set_layer_details(true);
  ASSIGN_OR_RETURN(v1::Model model, GetModel(request));
  while (model.layers_size() < model.layer_count()) {
    request.set_first_layer(model.layers_size());
    ASSIGN_OR_RETURN(v1::Model more, GetModel(request));
    if (more.layers().empty()) break;  // of another model than before
    for (v1::LinearLayer& layer : *more.mutable_layers()) *model.add_layers() = std::move(layer);
  }
  return model;
}

absl::StatusOr<std::string> Client::Health(const std::string& service) const {
  const auto stub = grpc::health::v1::Health::NewStub(channel_);
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  const auto answer = Unary<grpc::health::v1::HealthCheckResponse>(
      [&](auto* context, auto* response) { return stub->Check(context, request, response); },
      kHealthAttempts);
  if (!answer.ok()) return answer.status();
  return grpc::health::v1::HealthCheckResponse::ServingStatus_Name(answer->status());
}

}  // namespace dyad::client
