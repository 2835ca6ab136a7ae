// Makes the four services.
#include "server/grpc/services.h"

#include <grpcpp/grpcpp.h>

#include "server/grpc/generation_service.h"
#include "server/grpc/model_service.h"
#include "server/grpc/scoring_service.h"
#include "server/grpc/tokenizer_service.h"

namespace dyad {

Services::Services(const ServerState& state) {
  services_.push_back(std::make_unique<GenerationService>(state));
  services_.push_back(std::make_unique<ScoringService>(state));
  services_.push_back(std::make_unique<TokenizerService>(state));
  services_.push_back(std::make_unique<ModelService>(state));
}

Services::~Services() = default;

void Services::Register(grpc::ServerBuilder& builder) {
  for (const std::unique_ptr<grpc::Service>& service : services_) {
    builder.RegisterService(service.get());
  }
}

}  // namespace dyad
