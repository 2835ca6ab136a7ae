// ScoringService's handlers.
#include "server/service/scoring_service.h"

#include <utility>

#include "server/service/minimal_pairs_call.h"
#include "server/service/parse_score.h"
#include "server/service/score_call.h"

namespace dyad {

grpc::ServerUnaryReactor* ScoringService::Score(grpc::CallbackServerContext* context,
                                                const v1::ScoreRequest* request,
                                                v1::ScoreResponse* response) {
  RpcCall call(state_, context, "ScoringService/Score");
  if (!request->items().empty()) call.NotePrompt(request->items(0).text());
  absl::StatusOr<ScorePlan> plan =
      ParseScore(*request, state_.context.models, state_.context.limits);
  if (!plan.ok()) return FinishNow(context, std::move(call), plan.status());
  call.SetModel(*plan->model);
  auto* reactor = new ScoreCall(std::move(call), *std::move(plan), response);
  reactor->Start();
  return reactor;
}

grpc::ServerBidiReactor<v1::ScoreMinimalPairsRequest, v1::ScoreMinimalPairsResponse>*
ScoringService::ScoreMinimalPairs(grpc::CallbackServerContext* context) {
  return new MinimalPairsCall(RpcCall(state_, context, "ScoringService/ScoreMinimalPairs"));
}

}  // namespace dyad
