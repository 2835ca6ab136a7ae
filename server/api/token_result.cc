// engine::TopToken -> TopToken and TokenLogprob.
#include "server/api/token_result.h"

namespace dyad {
namespace {

// Both messages have these fields.
template <typename Message>
Message Described(const ServedModel& model, const engine::TopToken& token) {
  Message message;
  message.set_id(token.id);
  message.set_logprob(token.logprob);
  if (model.tokenizer == nullptr) return message;
  message.set_text(TokenText(model, token.id));
  message.set_bytes(std::string(model.tokenizer->TokenBytes(token.id)));
  return message;
}

}  // namespace

std::string TokenText(const ServedModel& model, int32_t id) {
  return model.tokenizer->Decode(std::span(&id, 1), DecodeSpecial::kKeep);
}

v1::TopToken ToTopToken(const ServedModel& model, const engine::TopToken& token) {
  return Described<v1::TopToken>(model, token);
}

v1::TokenLogprob ToTokenLogprob(const ServedModel& model, const engine::TopToken& token,
                                std::span<const engine::TopToken> top) {
  auto message = Described<v1::TokenLogprob>(model, token);
  for (const engine::TopToken& candidate : top) *message.add_top() = ToTopToken(model, candidate);
  return message;
}

}  // namespace dyad
