// The handlers of the five services: plan, hand over, return. They hold nothing between calls.
#include "server/grpc/services.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "dyad/v1/generation.grpc.pb.h"
#include "dyad/v1/model.grpc.pb.h"
#include "dyad/v1/scoring.grpc.pb.h"
#include "dyad/v1/server.grpc.pb.h"
#include "dyad/v1/tokenizer.grpc.pb.h"
#include "server/api/describe_model.h"
#include "server/api/describe_server.h"
#include "server/api/generate_answer.h"
#include "server/api/score_answer.h"
#include "server/api/tokenize.h"
#include "server/grpc/generate_stream.h"
#include "server/grpc/minimal_pairs_call.h"
#include "server/grpc/rpc_call.h"
#include "server/grpc/unary_call.h"

namespace dyad {
namespace {

using grpc::CallbackServerContext;

// Answers at once, on gRPC's thread; the cost is bounded by the request's size.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* AnswerNow(RpcCall call, CallbackServerContext* context,
                                    absl::StatusOr<Response> (*answer)(const Request&, Call&),
                                    const Request& request, Response* response) {
  absl::StatusOr<Response> answered = answer(request, call);
  if (answered.ok()) *response = *std::move(answered);
  return FinishNow(context, std::move(call), answered.status());
}

// Answers later, if there is a plan.
template <typename Answer, typename Plan, typename Response>
grpc::ServerUnaryReactor* AnswerLater(RpcCall call, CallbackServerContext* context,
                                      absl::StatusOr<Plan> plan, Response* response) {
  if (!plan.ok()) return FinishNow(context, std::move(call), plan.status());
  auto* reactor =
      new UnaryCall<Answer, Plan, Response>(std::move(call), *std::move(plan), response);
  reactor->Start();
  return reactor;
}

class GenerationService final : public v1::GenerationService::CallbackService {
 public:
  explicit GenerationService(const ServerState& state) : state_(state) {}

  grpc::ServerUnaryReactor* Generate(CallbackServerContext* context,
                                     const v1::GenerateRequest* request,
                                     v1::GenerateResponse* response) override {
    RpcCall call(state_, context, "GenerationService/Generate");
    absl::StatusOr<GenerationPlan> plan = PlanGenerate(*request, call);
    return AnswerLater<WholeGenerateAnswer>(std::move(call), context, std::move(plan), response);
  }

  grpc::ServerWriteReactor<v1::GenerateStreamResponse>* GenerateStream(
      CallbackServerContext* context, const v1::GenerateRequest* request) override {
    RpcCall call(state_, context, "GenerationService/GenerateStream");
    absl::StatusOr<GenerationPlan> plan = PlanGenerate(*request, call);
    if (!plan.ok()) {
      return new RefusedStream<grpc::ServerWriteReactor<v1::GenerateStreamResponse>>(
          std::move(call), plan.status());
    }
    auto* reactor = new dyad::GenerateStream(std::move(call), *std::move(plan));
    reactor->Start();
    return reactor;
  }

 private:
  const ServerState& state_;
};

class ScoringService final : public v1::ScoringService::CallbackService {
 public:
  explicit ScoringService(const ServerState& state) : state_(state) {}

  grpc::ServerUnaryReactor* Score(CallbackServerContext* context, const v1::ScoreRequest* request,
                                  v1::ScoreResponse* response) override {
    RpcCall call(state_, context, "ScoringService/Score");
    absl::StatusOr<ScorePlan> plan = PlanScore(*request, call);
    return AnswerLater<ScoreAnswer>(std::move(call), context, std::move(plan), response);
  }

  grpc::ServerBidiReactor<v1::ScoreMinimalPairsRequest, v1::ScoreMinimalPairsResponse>*
  ScoreMinimalPairs(CallbackServerContext* context) override {
    return new MinimalPairsCall(RpcCall(state_, context, "ScoringService/ScoreMinimalPairs"));
  }

 private:
  const ServerState& state_;
};

class TokenizerService final : public v1::TokenizerService::CallbackService {
 public:
  explicit TokenizerService(const ServerState& state) : state_(state) {}

  grpc::ServerUnaryReactor* Tokenize(CallbackServerContext* context,
                                     const v1::TokenizeRequest* request,
                                     v1::TokenizeResponse* response) override {
    return AnswerNow({state_, context, "TokenizerService/Tokenize"}, context, dyad::Tokenize,
                     *request, response);
  }

  grpc::ServerUnaryReactor* Detokenize(CallbackServerContext* context,
                                       const v1::DetokenizeRequest* request,
                                       v1::DetokenizeResponse* response) override {
    return AnswerNow({state_, context, "TokenizerService/Detokenize"}, context, dyad::Detokenize,
                     *request, response);
  }

 private:
  const ServerState& state_;
};

class ModelService final : public v1::ModelService::CallbackService {
 public:
  explicit ModelService(const ServerState& state) : state_(state) {}

  grpc::ServerUnaryReactor* ListModels(CallbackServerContext* context,
                                       const v1::ListModelsRequest* request,
                                       v1::ListModelsResponse* response) override {
    return AnswerNow({state_, context, "ModelService/ListModels"}, context, dyad::ListModels,
                     *request, response);
  }

  grpc::ServerUnaryReactor* GetModel(CallbackServerContext* context,
                                     const v1::GetModelRequest* request,
                                     v1::Model* response) override {
    return AnswerNow({state_, context, "ModelService/GetModel"}, context, dyad::GetModel, *request,
                     response);
  }

 private:
  const ServerState& state_;
};

class ServerService final : public v1::ServerService::CallbackService {
 public:
  explicit ServerService(const ServerState& state) : state_(state) {}

  grpc::ServerUnaryReactor* GetServerInfo(CallbackServerContext* context,
                                          const v1::GetServerInfoRequest* request,
                                          v1::GetServerInfoResponse* response) override {
    return AnswerNow({state_, context, "ServerService/GetServerInfo"}, context, dyad::GetServerInfo,
                     *request, response);
  }

 private:
  const ServerState& state_;
};

}  // namespace

Services::Services(const ServerState& state) {
  services_.push_back(std::make_unique<GenerationService>(state));
  services_.push_back(std::make_unique<ScoringService>(state));
  services_.push_back(std::make_unique<TokenizerService>(state));
  services_.push_back(std::make_unique<ModelService>(state));
  services_.push_back(std::make_unique<ServerService>(state));
}

Services::~Services() = default;

void Services::Register(grpc::ServerBuilder& builder) {
  for (const std::unique_ptr<grpc::Service>& service : services_) {
    builder.RegisterService(service.get());
  }
}

}  // namespace dyad
