// The typed client of a DYAD server. Requests and answers are the messages of proto/dyad/v1; their
// comments are the reference for every field.
//
//   ASSIGN_OR_RETURN(auto channel, Connect({.server = "127.0.0.1:50051"}));
//   Client client(channel);
//   v1::GenerateRequest request;
//   request.set_text("Once upon a time");
//   ASSIGN_OR_RETURN(auto end, client.GenerateStream(request, [](const v1::Choice& piece) {
//     std::cout << piece.text() << std::flush;
//     return Reader::kGoOn;
//   }));
//
// Minimal pairs by the stream: client/pair_run.h.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/connection.h"
#include "dyad/v1/generation.grpc.pb.h"
#include "dyad/v1/model.grpc.pb.h"
#include "dyad/v1/scoring.grpc.pb.h"
#include "dyad/v1/server.grpc.pb.h"
#include "dyad/v1/tokenizer.grpc.pb.h"

namespace dyad::client {

// What the caller wants after a piece; kStop cancels the request.
enum class Reader { kGoOn, kStop };

// Whether a call whose error may pass is made again; kNone is for who measures the server.
enum class Retries { kWhatMayPass, kNone };

// Every call waits for its answer on the calling thread and returns the server's status: code,
// message, details as payloads. UNAVAILABLE is tried up to 5 times, 0.1 s to 5 s apart; a full
// queue is waited for as the server's pushback says, however often; neither once an answer has
// begun, and no other error. Threads: any number may use one Client.
class Client {
 public:
  // `timeout` bounds each call, retries included. A call that it ends is DeadlineExceeded only if a
  // server had all that time: else the error before, or Unavailable if there is no connection.
  explicit Client(std::shared_ptr<grpc::Channel> channel,
                  absl::Duration timeout = absl::InfiniteDuration(),
                  Retries retries = Retries::kWhatMayPass);

  absl::StatusOr<v1::GenerateResponse> Generate(const v1::GenerateRequest& request) const;

  // `on_piece` is called on this thread for each piece as it comes. Returns the stream's last
  // message, which has no choices. Errors: Cancelled if `on_piece` said kStop.
  absl::StatusOr<v1::GenerateResponse> GenerateStream(
      const v1::GenerateRequest& request,
      const std::function<Reader(const v1::Choice& piece)>& on_piece) const;

  absl::StatusOr<v1::ScoreResponse> Score(const v1::ScoreRequest& request) const;
  absl::StatusOr<v1::TokenizeResponse> Tokenize(const v1::TokenizeRequest& request) const;
  absl::StatusOr<v1::DetokenizeResponse> Detokenize(const v1::DetokenizeRequest& request) const;
  absl::StatusOr<v1::ListModelsResponse> ListModels() const;
  absl::StatusOr<v1::GetServerInfoResponse> GetServerInfo() const;
  absl::StatusOr<v1::Model> GetModel(const std::string& name) const;
  // With the details of all layers, by as many calls as that takes.
  absl::StatusOr<v1::Model> GetDetailedModel(const std::string& name) const;

  // "SERVING", "NOT_SERVING", ... for `liveness`, `readiness` or a model's name.
  // Errors: NotFound for another name. The channel should be made with Readiness::kIgnored.
  absl::StatusOr<std::string> Health(const std::string& service) const;

  // For calls that this class does not wrap.
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  template <typename Attempt>
  absl::Status Try(int attempts, const Attempt& attempt) const;
  absl::StatusOr<v1::Model> GetModel(const v1::GetModelRequest& request) const;
  template <typename Answer, typename Call>
  absl::StatusOr<Answer> Unary(const Call& call, int attempts = kAttempts) const;

  static constexpr int kAttempts = 5;

  std::shared_ptr<grpc::Channel> channel_;
  absl::Duration timeout_;
  Retries retries_;
  std::unique_ptr<v1::GenerationService::Stub> generation_;
  std::unique_ptr<v1::ScoringService::Stub> scoring_;
  std::unique_ptr<v1::TokenizerService::Stub> tokenizer_;
  std::unique_ptr<v1::ModelService::Stub> model_;
  std::unique_ptr<v1::ServerService::Stub> server_;
};

}  // namespace dyad::client
