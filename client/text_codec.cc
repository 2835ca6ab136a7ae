// The two places where text becomes ids.
#include "client/text_codec.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/text/load_tokenizer.h"

namespace dyad::client {
namespace {

absl::Status CheckModel(const std::string& model) {
  if (model.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("model is ", model, "; a tokenizer's folder has no models"));
}

absl::StatusOr<v1::TokenizeResponse> Encode(const Tokenizer& tokenizer,
                                            const v1::TokenizeRequest& request) {
  const bool framed = !request.has_add_special_tokens() || request.add_special_tokens();
  const EncodeOptions options = {
      .frame = framed ? Frame::kDefault : Frame::kNone,
      .special_tokens = request.special_tokens() == v1::SPECIAL_TOKENS_LITERAL
                            ? SpecialTokens::kLiteral
                            : SpecialTokens::kParse};
  ASSIGN_OR_RETURN(const Encoding encoding, tokenizer.Encode(request.text(), options));
  v1::TokenizeResponse response;
  response.mutable_ids()->Assign(encoding.ids.begin(), encoding.ids.end());
  response.mutable_byte_offsets()->Assign(encoding.offsets.begin(), encoding.offsets.end());
  for (const int32_t id : encoding.ids) {
    response.add_texts(tokenizer.Decode({&id, 1}, DecodeSpecial::kKeep));
  }
  return response;
}

v1::DetokenizeResponse Decode(const Tokenizer& tokenizer, const v1::DetokenizeRequest& request) {
  const std::vector<int32_t> ids(request.ids().begin(), request.ids().end());
  v1::DetokenizeResponse response;
  response.set_text(tokenizer.Decode(
      ids, request.skip_special_tokens() ? DecodeSpecial::kSkip : DecodeSpecial::kKeep));
  return response;
}

}  // namespace

TextCodec ServerCodec(Client client) {
  const auto server = std::make_shared<const Client>(std::move(client));
  return {[server](const auto& request) { return server->Tokenize(request); },
          [server](const auto& request) { return server->Detokenize(request); }};
}

absl::StatusOr<TextCodec> OfflineCodec(const std::string& folder) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const Tokenizer> tokenizer, LoadTokenizer(folder));
  if (tokenizer == nullptr) {
    return absl::NotFoundError(absl::StrCat(folder, " has no tokenizer files"));
  }
  return TextCodec{[tokenizer](const auto& request) -> absl::StatusOr<v1::TokenizeResponse> {
                     RETURN_IF_ERROR(CheckModel(request.model()));
                     return Encode(*tokenizer, request);
                   },
                   [tokenizer](const auto& request) -> absl::StatusOr<v1::DetokenizeResponse> {
                     RETURN_IF_ERROR(CheckModel(request.model()));
                     return Decode(*tokenizer, request);
                   }};
}

}  // namespace dyad::client
