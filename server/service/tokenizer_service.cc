// TokenizerService's handlers.
#include "server/service/tokenizer_service.h"

#include <utility>

#include "server/base/status_macros.h"
#include "server/service/parse_request.h"

namespace dyad {
namespace {

absl::Status Tokenized(const v1::TokenizeRequest& request, RpcCall& call,
                       v1::TokenizeResponse& response) {
  const ServiceContext& context = call.state().context;
  ASSIGN_OR_RETURN(const ServedModel* model, context.models.Find(request.model()));
  call.SetModel(*model);
  ASSIGN_OR_RETURN(const SpecialTokens special_tokens,
                   ParseSpecialTokens(request.special_tokens()));
  const bool frame = !request.has_add_special_tokens() || request.add_special_tokens();
  ASSIGN_OR_RETURN(const Encoding encoding,
                   EncodeField(*model, context.limits, {"text", request.text()},
                               {frame ? Frame::kDefault : Frame::kNone, special_tokens}));
  for (const int32_t id : encoding.ids) {
    response.add_texts(model->tokenizer->Decode(std::span(&id, 1), DecodeSpecial::kKeep));
  }
  response.mutable_ids()->Add(encoding.ids.begin(), encoding.ids.end());
  response.mutable_byte_offsets()->Add(encoding.offsets.begin(), encoding.offsets.end());
  return absl::OkStatus();
}

absl::Status Detokenized(const v1::DetokenizeRequest& request, RpcCall& call,
                         v1::DetokenizeResponse& response) {
  ASSIGN_OR_RETURN(const ServedModel* model, call.state().context.models.Find(request.model()));
  call.SetModel(*model);
  RETURN_IF_ERROR(NeedsTokenizer(*model));
  RETURN_IF_ERROR(CheckIds(*model, "ids", ToSpan(request.ids())));
  response.set_text(model->tokenizer->Decode(ToSpan(request.ids()), request.skip_special_tokens()
                                                                        ? DecodeSpecial::kSkip
                                                                        : DecodeSpecial::kKeep));
  return absl::OkStatus();
}

}  // namespace

grpc::ServerUnaryReactor* TokenizerService::Tokenize(grpc::CallbackServerContext* context,
                                                     const v1::TokenizeRequest* request,
                                                     v1::TokenizeResponse* response) {
  RpcCall call(state_, context, "TokenizerService/Tokenize");
  call.NotePrompt(request->text());
  const absl::Status status = Tokenized(*request, call, *response);
  return FinishNow(context, std::move(call), status);
}

grpc::ServerUnaryReactor* TokenizerService::Detokenize(grpc::CallbackServerContext* context,
                                                       const v1::DetokenizeRequest* request,
                                                       v1::DetokenizeResponse* response) {
  RpcCall call(state_, context, "TokenizerService/Detokenize");
  const absl::Status status = Detokenized(*request, call, *response);
  return FinishNow(context, std::move(call), status);
}

}  // namespace dyad
