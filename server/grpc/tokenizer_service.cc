// TokenizerService's handlers.
#include "server/grpc/tokenizer_service.h"

#include <utility>

#include "server/api/tokenize.h"

namespace dyad {

grpc::ServerUnaryReactor* TokenizerService::Tokenize(grpc::CallbackServerContext* context,
                                                     const v1::TokenizeRequest* request,
                                                     v1::TokenizeResponse* response) {
  RpcCall call(state_, context, "TokenizerService/Tokenize");
  absl::StatusOr<v1::TokenizeResponse> answer = dyad::Tokenize(*request, call);
  return AnswerNow(context, std::move(call), std::move(answer), response);
}

grpc::ServerUnaryReactor* TokenizerService::Detokenize(grpc::CallbackServerContext* context,
                                                       const v1::DetokenizeRequest* request,
                                                       v1::DetokenizeResponse* response) {
  RpcCall call(state_, context, "TokenizerService/Detokenize");
  absl::StatusOr<v1::DetokenizeResponse> answer = dyad::Detokenize(*request, call);
  return AnswerNow(context, std::move(call), std::move(answer), response);
}

}  // namespace dyad
