// Text to ids and back.
#include "server/api/tokenize.h"

#include <span>

#include "server/api/answer_size.h"
#include "server/api/parse_request.h"
#include "server/base/status_macros.h"

namespace dyad {

absl::StatusOr<v1::TokenizeResponse> Tokenize(const v1::TokenizeRequest& request, Call& call) {
  call.NotePrompt(request.text());
  ASSIGN_OR_RETURN(const ServedModel* model, call.state().models.Find(request.model()));
  call.SetModel(*model);
  ASSIGN_OR_RETURN(const SpecialTokens special_tokens,
                   ParseSpecialTokens(request.special_tokens()));
  const bool frame = !request.has_add_special_tokens() || request.add_special_tokens();
  const TextField text = {"text", request.text()};
  RETURN_IF_ERROR(CheckBytes(call.state().limits, text));
  ASSIGN_OR_RETURN(
      const Encoding encoding,
      EncodeField(*model, text, {frame ? Frame::kDefault : Frame::kNone, special_tokens}));
  v1::TokenizeResponse response;
  for (const int32_t id : encoding.ids) {
    response.add_texts(model->tokenizer->Decode(std::span(&id, 1), DecodeSpecial::kKeep));
  }
  response.mutable_ids()->Add(encoding.ids.begin(), encoding.ids.end());
  response.mutable_byte_offsets()->Add(encoding.offsets.begin(), encoding.offsets.end());
  return response;
}

absl::StatusOr<v1::DetokenizeResponse> Detokenize(const v1::DetokenizeRequest& request,
                                                  Call& call) {
  ASSIGN_OR_RETURN(const ServedModel* model, call.state().models.Find(request.model()));
  call.SetModel(*model);
  RETURN_IF_ERROR(NeedsTokenizer(*model));
  RETURN_IF_ERROR(CheckIds(*model, "ids", ToSpan(request.ids())));
  const bool skips = request.skip_special_tokens();
  int64_t bytes = 0;
  for (const int32_t id : request.ids()) {
    if (skips && model->tokenizer->IsSpecial(id)) continue;
    bytes += static_cast<int64_t>(model->tokenizer->TokenBytes(id).size());
  }
  RETURN_IF_ERROR(CheckAnswerBytes(bytes, call.state().limits));
  v1::DetokenizeResponse response;
  response.set_text(model->tokenizer->Decode(ToSpan(request.ids()),
                                             skips ? DecodeSpecial::kSkip : DecodeSpecial::kKeep));
  return response;
}

}  // namespace dyad
