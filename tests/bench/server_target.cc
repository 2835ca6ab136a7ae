// Requests through the client library: tests/bench/server_target.h.
#include "tests/bench/server_target.h"

#include <utility>

#include "client/client.h"
#include "client/connection.h"
#include "server/base/status_macros.h"

namespace dyad::bench {
namespace {

using client::Client;
using client::Retries;

constexpr absl::Duration kConnectTimeout = absl::Seconds(10);

void Fill(const Ids& ids, v1::TokenIds& message) {
  message.mutable_ids()->Assign(ids.begin(), ids.end());
}

class ServerTarget final : public Target {
 public:
  // Retries would hide errors and count their waits as the server's.
  ServerTarget(std::shared_ptr<grpc::Channel> channel, const ServerTargetOptions& options)
      : client_(std::move(channel), options.timeout, Retries::kNone),
        model_(options.model),
        sampling_(options.sampling) {}

  absl::StatusOr<Answer> Generate(const Ids& prompt, int32_t new_tokens,
                                  const std::function<void(int64_t)>& on_tokens) override {
    v1::GenerateRequest request;
    request.set_model(model_);
    Fill(prompt, *request.mutable_ids());
    request.set_max_new_tokens(new_tokens);
    request.set_ignore_eos(true);
    request.set_temperature(sampling_.temperature);
    request.set_top_k(sampling_.top_k);
    request.set_top_p(sampling_.top_p);
    request.set_min_p(sampling_.min_p);
    request.set_repetition_penalty(sampling_.repetition_penalty);
    request.set_presence_penalty(sampling_.presence_penalty);
    ASSIGN_OR_RETURN(const auto end, client_.GenerateStream(request, [&](const v1::Choice& piece) {
      if (piece.ids_size() > 0) on_tokens(piece.ids_size());
      return client::Reader::kGoOn;
    }));
    return Answer{.cached_tokens = end.usage().cached_tokens()};
  }

  absl::StatusOr<Answer> Score(const std::vector<Ids>& texts) override {
    v1::ScoreRequest request;
    request.set_model(model_);
    for (const Ids& text : texts) Fill(text, *request.add_items()->mutable_ids());
    ASSIGN_OR_RETURN(const auto scores, client_.Score(request));
    Answer answer{.cached_tokens = scores.usage().cached_tokens()};
    for (const v1::TextScore& score : scores.scores())
      answer.scored_tokens += score.scored_tokens();
    return answer;
  }

 private:
  const Client client_;
  const std::string model_;
  const engine::Sampling sampling_;
};

}  // namespace

absl::StatusOr<v1::Model> FindModel(const std::string& address, const std::string& model) {
  ASSIGN_OR_RETURN(auto channel, client::Connect({.server = address}));
  return Client(std::move(channel), kConnectTimeout).GetModel(model);
}

absl::StatusOr<std::vector<std::unique_ptr<Target>>> ServerTargets(
    const ServerTargetOptions& options) {
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < options.connections; ++i) {
    ASSIGN_OR_RETURN(
        channels.emplace_back(),
        client::Connect({.server = options.address, .readiness = client::Readiness::kIgnored}));
    channels.back()->GetState(/*try_to_connect=*/true);
  }
  std::vector<std::unique_ptr<Target>> targets;
  for (auto& channel : channels) {
    channel->WaitForConnected(absl::ToChronoTime(absl::Now() + kConnectTimeout));
    targets.push_back(std::make_unique<ServerTarget>(std::move(channel), options));
  }
  return targets;
}

}  // namespace dyad::bench
