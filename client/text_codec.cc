// The two places where text becomes ids.
#include "client/text_codec.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/text/load_tokenizer.h"

namespace dyad::client {
namespace {

class ServerTextCodec final : public TextCodec {
 public:
  explicit ServerTextCodec(Client client) : client_(std::move(client)) {}

  absl::StatusOr<v1::TokenizeResponse> Tokenize(const v1::TokenizeRequest& request) const override {
    return client_.Tokenize(request);
  }
  absl::StatusOr<v1::DetokenizeResponse> Detokenize(
      const v1::DetokenizeRequest& request) const override {
    return client_.Detokenize(request);
  }

 private:
  Client client_;
};

class OfflineTextCodec final : public TextCodec {
 public:
  explicit OfflineTextCodec(std::unique_ptr<Tokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)) {}

  absl::StatusOr<v1::TokenizeResponse> Tokenize(const v1::TokenizeRequest& request) const override {
    const bool framed = !request.has_add_special_tokens() || request.add_special_tokens();
    const EncodeOptions options = {.frame = framed ? Frame::kDefault : Frame::kNone,
                                   .special_tokens = request.special_tokens() == v1::LITERAL
                                                         ? SpecialTokens::kLiteral
                                                         : SpecialTokens::kParse};
    ASSIGN_OR_RETURN(const Encoding encoding, tokenizer_->Encode(request.text(), options));
    v1::TokenizeResponse response;
    response.mutable_ids()->Assign(encoding.ids.begin(), encoding.ids.end());
    response.mutable_byte_offsets()->Assign(encoding.offsets.begin(), encoding.offsets.end());
    for (const int32_t id : encoding.ids) {
      response.add_texts(tokenizer_->Decode({&id, 1}, DecodeSpecial::kKeep));
    }
    return response;
  }

  absl::StatusOr<v1::DetokenizeResponse> Detokenize(
      const v1::DetokenizeRequest& request) const override {
    const std::vector<int32_t> ids(request.ids().begin(), request.ids().end());
    v1::DetokenizeResponse response;
    response.set_text(tokenizer_->Decode(
        ids, request.skip_special_tokens() ? DecodeSpecial::kSkip : DecodeSpecial::kKeep));
    return response;
  }

 private:
  std::unique_ptr<Tokenizer> tokenizer_;
};

}  // namespace

std::unique_ptr<TextCodec> ServerCodec(Client client) {
  return std::make_unique<ServerTextCodec>(std::move(client));
}

absl::StatusOr<std::unique_ptr<TextCodec>> OfflineCodec(const std::string& folder) {
  ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer, LoadTokenizer(folder));
  if (tokenizer == nullptr) {
    return absl::NotFoundError(absl::StrCat(folder, " has no tokenizer files"));
  }
  return std::make_unique<OfflineTextCodec>(std::move(tokenizer));
}

}  // namespace dyad::client
