// ModelService's handlers.
#include "server/grpc/model_service.h"

#include <utility>

#include "server/api/describe_model.h"

namespace dyad {

grpc::ServerUnaryReactor* ModelService::ListModels(grpc::CallbackServerContext* context,
                                                   const v1::ListModelsRequest* request,
                                                   v1::ListModelsResponse* response) {
  RpcCall call(state_, context, "ModelService/ListModels");
  absl::StatusOr<v1::ListModelsResponse> answer = dyad::ListModels(*request, call);
  return AnswerNow(context, std::move(call), std::move(answer), response);
}

grpc::ServerUnaryReactor* ModelService::GetModel(grpc::CallbackServerContext* context,
                                                 const v1::GetModelRequest* request,
                                                 v1::Model* response) {
  RpcCall call(state_, context, "ModelService/GetModel");
  absl::StatusOr<v1::Model> answer = dyad::GetModel(*request, call);
  return AnswerNow(context, std::move(call), std::move(answer), response);
}

}  // namespace dyad
