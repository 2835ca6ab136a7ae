// GenerationService's handlers.
#include "server/grpc/generation_service.h"

#include <utility>

#include "server/api/generate_answer.h"
#include "server/grpc/generate_stream.h"
#include "server/grpc/unary_call.h"

namespace dyad {

grpc::ServerUnaryReactor* GenerationService::Generate(grpc::CallbackServerContext* context,
                                                      const v1::GenerateRequest* request,
                                                      v1::GenerateResponse* response) {
  RpcCall call(state_, context, "GenerationService/Generate");
  absl::StatusOr<GenerationPlan> plan = PlanGenerate(*request, call);
  if (!plan.ok()) return FinishNow(context, std::move(call), plan.status());
  auto* reactor = new UnaryCall<WholeGenerateAnswer, GenerationPlan, v1::GenerateResponse>(
      std::move(call), *std::move(plan), response);
  reactor->Start();
  return reactor;
}

grpc::ServerWriteReactor<v1::GenerateStreamResponse>* GenerationService::GenerateStream(
    grpc::CallbackServerContext* context, const v1::GenerateRequest* request) {
  RpcCall call(state_, context, "GenerationService/GenerateStream");
  absl::StatusOr<GenerationPlan> plan = PlanGenerate(*request, call);
  if (!plan.ok()) {
    return new RefusedStream<grpc::ServerWriteReactor<v1::GenerateStreamResponse>>(std::move(call),
                                                                                   plan.status());
  }
  auto* reactor = new dyad::GenerateStream(std::move(call), *std::move(plan));
  reactor->Start();
  return reactor;
}

}  // namespace dyad
