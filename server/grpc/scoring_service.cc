// ScoringService's handlers.
#include "server/grpc/scoring_service.h"

#include <utility>

#include "server/api/score_answer.h"
#include "server/grpc/minimal_pairs_call.h"
#include "server/grpc/unary_call.h"

namespace dyad {

grpc::ServerUnaryReactor* ScoringService::Score(grpc::CallbackServerContext* context,
                                                const v1::ScoreRequest* request,
                                                v1::ScoreResponse* response) {
  RpcCall call(state_, context, "ScoringService/Score");
  absl::StatusOr<ScorePlan> plan = PlanScore(*request, call);
  if (!plan.ok()) return FinishNow(context, std::move(call), plan.status());
  auto* reactor = new UnaryCall<ScoreAnswer, ScorePlan, v1::ScoreResponse>(
      std::move(call), *std::move(plan), response);
  reactor->Start();
  return reactor;
}

grpc::ServerBidiReactor<v1::ScoreMinimalPairsRequest, v1::ScoreMinimalPairsResponse>*
ScoringService::ScoreMinimalPairs(grpc::CallbackServerContext* context) {
  return new MinimalPairsCall(RpcCall(state_, context, "ScoringService/ScoreMinimalPairs"));
}

}  // namespace dyad
