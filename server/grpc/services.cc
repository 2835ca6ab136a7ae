// The handlers of the five services: read, plan, hand over, return. They hold nothing between
// calls. Requests come and answers leave as bytes (wire_message.h), by gRPC's raw methods.
#include "server/grpc/services.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/str_cat.h"
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
#include "server/grpc/handlers.h"
#include "server/grpc/kserve_service.h"
#include "server/grpc/minimal_pairs_call.h"
#include "server/grpc/rpc_call.h"

namespace dyad {
namespace {

using grpc::ByteBuffer;
using grpc::CallbackServerContext;
using UnaryReactor = grpc::ServerUnaryReactor;
using RawGeneration = v1::GenerationService::WithRawCallbackMethod_Generate<
    v1::GenerationService::WithRawCallbackMethod_GenerateStream<v1::GenerationService::Service>>;

absl::StatusOr<GenerationPlans> PlanGenerateStream(const v1::GenerateStreamRequest& request,
                                                   Call& call) {
  return PlanGenerate(request.request(), call);
}

class GenerationService final : public RawGeneration {
 public:
  explicit GenerationService(const ServerState& state) : state_(state) {}

  UnaryReactor* Generate(CallbackServerContext* context, const ByteBuffer* in,
                         ByteBuffer* out) override {
    return AnswerLater<WholeGenerateAnswer, v1::GenerateResponse>(
        {state_, context, "GenerationService/Generate"}, PlanGenerate, *in, out);
  }

  grpc::ServerWriteReactor<ByteBuffer>* GenerateStream(CallbackServerContext* context,
                                                       const ByteBuffer* in) override {
    RpcCall call(state_, context, "GenerationService/GenerateStream");
    absl::StatusOr<GenerationPlans> plans = Handle(PlanGenerateStream, *in, call);
    if (!plans.ok()) {
      return new EndedCall<grpc::ServerWriteReactor<ByteBuffer>>(std::move(call), plans.status());
    }
    auto* reactor = new dyad::GenerateStream(std::move(call), *std::move(plans));
    reactor->Start();
    return reactor;
  }

 private:
  const ServerState& state_;
};

using RawScoring = v1::ScoringService::WithRawCallbackMethod_Score<
    v1::ScoringService::WithRawCallbackMethod_ScoreMinimalPairs<v1::ScoringService::Service>>;

class ScoringService final : public RawScoring {
 public:
  explicit ScoringService(const ServerState& state) : state_(state) {}

  UnaryReactor* Score(CallbackServerContext* context, const ByteBuffer* in,
                      ByteBuffer* out) override {
    return AnswerLater<ScoreAnswer, ScorePieces>({state_, context, "ScoringService/Score"},
                                                 PlanScore, *in, out);
  }

  grpc::ServerBidiReactor<ByteBuffer, ByteBuffer>* ScoreMinimalPairs(
      CallbackServerContext* context) override {
    return new MinimalPairsCall({state_, context, "ScoringService/ScoreMinimalPairs"});
  }

 private:
  const ServerState& state_;
};

using RawTokenizer = v1::TokenizerService::WithRawCallbackMethod_Tokenize<
    v1::TokenizerService::WithRawCallbackMethod_Detokenize<v1::TokenizerService::Service>>;

class TokenizerService final : public RawTokenizer {
 public:
  explicit TokenizerService(const ServerState& state) : state_(state) {}

  UnaryReactor* Tokenize(CallbackServerContext* context, const ByteBuffer* in,
                         ByteBuffer* out) override {
    return AnswerNow({state_, context, "TokenizerService/Tokenize"}, dyad::Tokenize, *in, out);
  }

  UnaryReactor* Detokenize(CallbackServerContext* context, const ByteBuffer* in,
                           ByteBuffer* out) override {
    return AnswerNow({state_, context, "TokenizerService/Detokenize"}, dyad::Detokenize, *in, out);
  }

 private:
  const ServerState& state_;
};

using RawModel = v1::ModelService::WithRawCallbackMethod_ListModels<
    v1::ModelService::WithRawCallbackMethod_GetModel<v1::ModelService::Service>>;

class ModelService final : public RawModel {
 public:
  explicit ModelService(const ServerState& state) : state_(state) {}

  UnaryReactor* ListModels(CallbackServerContext* context, const ByteBuffer* in,
                           ByteBuffer* out) override {
    return AnswerNow({state_, context, "ModelService/ListModels"}, dyad::ListModels, *in, out);
  }

  UnaryReactor* GetModel(CallbackServerContext* context, const ByteBuffer* in,
                         ByteBuffer* out) override {
    return AnswerNow({state_, context, "ModelService/GetModel"}, dyad::GetModel, *in, out);
  }

 private:
  const ServerState& state_;
};

using RawServer =
    v1::ServerService::WithRawCallbackMethod_GetServerInfo<v1::ServerService::Service>;

class ServerService final : public RawServer {
 public:
  explicit ServerService(const ServerState& state) : state_(state) {}

  UnaryReactor* GetServerInfo(CallbackServerContext* context, const ByteBuffer* in,
                              ByteBuffer* out) override {
    return AnswerNow({state_, context, "ServerService/GetServerInfo"}, dyad::GetServerInfo, *in,
                     out);
  }

 private:
  const ServerState& state_;
};

}  // namespace

// Methods that no service has: gRPC would refuse them too, but nobody would hear of it.
class Services::UnknownMethods final : public grpc::CallbackGenericService {
 public:
  explicit UnknownMethods(const ServerState& state) : state_(state) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new EndedCall<grpc::ServerGenericBidiReactor>(
        {state_, context, "unknown"},
        absl::UnimplementedError(absl::StrCat("there is no method ", context->method())));
  }

 private:
  const ServerState& state_;
};

Services::Services(const ServerState& state)
    : unknown_methods_(std::make_unique<UnknownMethods>(state)) {
  services_.push_back(std::make_unique<GenerationService>(state));
  services_.push_back(std::make_unique<ScoringService>(state));
  services_.push_back(std::make_unique<TokenizerService>(state));
  services_.push_back(std::make_unique<ModelService>(state));
  services_.push_back(std::make_unique<ServerService>(state));
}

Services::~Services() = default;

void Services::AddKserve(const ServerState& state) {
  services_.push_back(MakeKserveService(state));
}

void Services::Register(grpc::ServerBuilder& builder) {
  for (const std::unique_ptr<grpc::Service>& service : services_) {
    builder.RegisterService(service.get());
  }
  builder.RegisterCallbackGenericService(unknown_methods_.get());
}

}  // namespace dyad
