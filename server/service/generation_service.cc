// GenerationService's handlers.
#include "server/service/generation_service.h"

#include <utility>

#include "absl/random/random.h"
#include "server/service/generate_call.h"
#include "server/service/generate_stream.h"
#include "server/service/parse_generate.h"

namespace dyad {
namespace {

// The part that both forms share.
absl::StatusOr<GenerationPlan> Parse(const v1::GenerateRequest& request, RpcCall& call) {
  call.NotePrompt(request.text());
  absl::BitGen random;
  const ServiceContext& context = call.state().context;
  absl::StatusOr<GenerationPlan> plan =
      ParseGenerate(request, context.models, context.limits, absl::Uniform<uint64_t>(random));
  if (plan.ok()) {
    call.SetModel(*plan->model);
    call.record().prompt_tokens = static_cast<int64_t>(plan->request.ids.size());
    if (plan->request.score_from.has_value()) {
      call.record().scored_tokens = plan->choices * (call.record().prompt_tokens - 1);
    }
  }
  return plan;
}

}  // namespace

grpc::ServerUnaryReactor* GenerationService::Generate(grpc::CallbackServerContext* context,
                                                      const v1::GenerateRequest* request,
                                                      v1::GenerateResponse* response) {
  RpcCall call(state_, context, "GenerationService/Generate");
  absl::StatusOr<GenerationPlan> plan = Parse(*request, call);
  if (!plan.ok()) return FinishNow(context, std::move(call), plan.status());
  auto* reactor = new GenerateCall(std::move(call), *std::move(plan), response);
  reactor->Start();
  return reactor;
}

grpc::ServerWriteReactor<v1::GenerateStreamResponse>* GenerationService::GenerateStream(
    grpc::CallbackServerContext* context, const v1::GenerateRequest* request) {
  RpcCall call(state_, context, "GenerationService/GenerateStream");
  absl::StatusOr<GenerationPlan> plan = Parse(*request, call);
  if (!plan.ok()) {
    return new RefusedStream<grpc::ServerWriteReactor<v1::GenerateStreamResponse>>(std::move(call),
                                                                                   plan.status());
  }
  auto* reactor = new dyad::GenerateStream(std::move(call), *std::move(plan));
  reactor->Start();
  return reactor;
}

}  // namespace dyad
