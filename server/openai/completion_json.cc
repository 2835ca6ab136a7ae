// Arrays with one entry a token, as lm-evaluation-harness and others sum them.
#include "server/openai/completion_json.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/status_macros.h"
#include "server/text/utf8.h"

namespace dyad {
namespace {

using Json = nlohmann::ordered_json;

int64_t CodePoints(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
}

// Both messages have these fields.
template <typename Token>
std::string NameOf(const Token& token, const CompletionRequest& request) {
  if (request.names_tokens_by_id || (token.text().empty() && token.bytes().empty())) {
    return absl::StrCat("token_id:", token.id());
  }
  if (!FirstInvalidByte(token.bytes()).has_value()) return token.text();
  std::string name = "bytes:";
  for (const char c : token.bytes()) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte >= 0x20 && byte < 0x7F && c != '\\') {
      name.push_back(c);
    } else {
      name += absl::StrFormat("\\x%02x", byte);
    }
  }
  return name;
}

Json StopReason(const v1::Choice& choice) {
  switch (choice.stop_reason_case()) {
    case v1::Choice::kStopString:
      return choice.stop_string();
    case v1::Choice::kStopId:
      return choice.stop_id();
    default:
      return nullptr;
  }
}

}  // namespace

int64_t TextOffsets::Next(std::string_view bytes, Token kind) {
  const int64_t offset = offset_;
  const std::string_view rest = std::string_view(prompt_).substr(prompt_bytes_);
  if (kind == Token::kSpecial && !rest.starts_with(bytes)) return offset;
  pending_.append(bytes);
  ValidText valid = ToValidText(pending_);
  pending_.erase(0, valid.consumed);
  offset_ += CodePoints(valid.text);
  prompt_bytes_ = std::min(prompt_bytes_ + bytes.size(), prompt_.size());
  return offset;
}

std::string_view FinishWord(v1::FinishReason reason) {
  switch (reason) {
    case v1::FINISH_REASON_LENGTH:
      return "length";
    case v1::FINISH_REASON_EOS:
    case v1::FINISH_REASON_STOP:
      return "stop";
    default:
      return "";
  }
}

std::string TokenName(const v1::TokenLogprob& token, const CompletionRequest& request) {
  return NameOf(token, request);
}

CompletionChoice::CompletionChoice(const GenerationPlan& plan, const CompletionRequest& request)
    : plan_(plan),
      request_(request),
      offsets_(plan.prompt_text),
      echoed_left_(plan.echo == Echo::kYes ? plan.request.ids.size() : 0) {}

absl::StatusOr<Json> CompletionChoice::Piece(const v1::Choice& choice) {
  Json json = {{"index", choice.index()},
               {"text", choice.text()},
               {"finish_reason", nullptr},
               {"stop_reason", StopReason(choice)},
               {"logprobs", nullptr}};
  const std::string_view reason = FinishWord(choice.finish_reason());
  if (!reason.empty()) json["finish_reason"] = std::string(reason);
  if (plan_.logprobs.has_value()) {
    ASSIGN_OR_RETURN(json["logprobs"], Logprobs(choice));
  }
  const auto ids = static_cast<size_t>(choice.ids_size());
  const size_t echoed = std::min(echoed_left_, ids);
  echoed_left_ -= echoed;
  generated_tokens_ += static_cast<int64_t>(ids - echoed);
  if (request_.returns_ids) {
    json["token_ids"] = choice.ids();
    if (is_first_) json["prompt_token_ids"] = plan_.request.ids;
  }
  is_first_ = false;
  return json;
}

absl::StatusOr<Json> CompletionChoice::Logprobs(const v1::Choice& choice) {
  Json tokens = Json::array();
  Json values = Json::array();
  Json tops = Json::array();
  Json offsets = Json::array();
  const Tokenizer* tokenizer = plan_.model->tokenizer;
  // Nothing stands before the first token of a prompt that is echoed.
  bool is_unscored = is_first_ && echoed_left_ > 0;
  for (const v1::TokenLogprob& token : choice.logprobs()) {
    const std::string name = TokenName(token, request_);
    const bool is_special = tokenizer != nullptr && tokenizer->IsSpecial(token.id());
    offsets.push_back(offsets_.Next(
        token.bytes(), is_special ? TextOffsets::Token::kSpecial : TextOffsets::Token::kOrdinary));
    tokens.push_back(name);
    if (std::exchange(is_unscored, false)) {
      values.push_back(nullptr);
      tops.push_back(nullptr);
      continue;
    }
    // Of two tokens with one text the likelier one stays.
    std::map<std::string, float> top = {{name, token.logprob()}};
    bool is_finite = std::isfinite(token.logprob());
    for (const v1::TopToken& candidate : token.top()) {
      is_finite = is_finite && std::isfinite(candidate.logprob());
      const auto [place, is_new] = top.emplace(NameOf(candidate, request_), candidate.logprob());
      if (!is_new) place->second = std::max(place->second, candidate.logprob());
    }
    if (!is_finite) {
      return absl::InternalError(absl::StrCat(
          "the model gave a log-probability that is not finite, of token ", token.id()));
    }
    values.push_back(static_cast<double>(token.logprob()));
    Json likeliest = Json::object();
    for (const auto& [text, logprob] : top) likeliest[text] = static_cast<double>(logprob);
    tops.push_back(std::move(likeliest));
  }
  return Json{{"tokens", std::move(tokens)},
              {"token_logprobs", std::move(values)},
              {"top_logprobs", std::move(tops)},
              {"text_offset", std::move(offsets)}};
}

}  // namespace dyad
