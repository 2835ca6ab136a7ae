// The four services and the state behind them.
#include "server/service/services.h"

#include "server/service/generation_service.h"
#include "server/service/model_service.h"
#include "server/service/rpc_call.h"
#include "server/service/scoring_service.h"
#include "server/service/tokenizer_service.h"

namespace dyad {

class Services::Impl {
 public:
  explicit Impl(const ServiceContext& context)
      : state(context), generation(state), scoring(state), tokenizer(state), model(state) {}

  ServiceState state;
  GenerationService generation;
  ScoringService scoring;
  TokenizerService tokenizer;
  ModelService model;
};

Services::Services(const ServiceContext& context) : impl_(std::make_unique<Impl>(context)) {}

Services::~Services() = default;

void Services::Register(grpc::ServerBuilder& builder) {
  builder.RegisterService(&impl_->generation)
      .RegisterService(&impl_->scoring)
      .RegisterService(&impl_->tokenizer)
      .RegisterService(&impl_->model);
}

void Services::StartDraining() { impl_->state.draining = true; }

}  // namespace dyad
