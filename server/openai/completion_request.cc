// One row for each field.
#include "server/openai/completion_request.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/api/request_error.h"
#include "server/base/json.h"
#include "server/base/status_macros.h"
#include "server/routes/json_body.h"

namespace dyad {
namespace {

using RequestJson = nlohmann::json;

// What the rows fill in.
struct Draft {
  CompletionRequest request;
  v1::GenerateRequest common;  // all but the prompt
  const RequestJson& body;
};

using Reader = std::function<absl::Status(const std::string& name, const RequestJson&, Draft&)>;

absl::Status OutOfRange(const std::string& name, const RequestJson& value, std::string_view range) {
  return InvalidField({name, JsonText(value), "must be in " + std::string(range)});
}

template <typename Set>
Reader Number(double low, double high, std::string range, Set set) {
  return [=](const std::string& name, const RequestJson& value, Draft& draft) -> absl::Status {
    if (!value.is_number()) return WrongType(name, value, "a number");
    const auto number = value.get<double>();
    if (!(number >= low && number <= high)) return OutOfRange(name, value, range);
    set(draft.common, static_cast<float>(number));
    return absl::OkStatus();
  };
}

absl::StatusOr<int64_t> ToInteger(const std::string& name, const RequestJson& value, int64_t low,
                                  int64_t high) {
  // Some clients write whole numbers as 1.0.
  const bool is_whole = value.is_number_integer() ||
                        (value.is_number_float() &&
                         value.get<double>() == static_cast<double>(static_cast<int64_t>(std::min(
                                                    std::max(value.get<double>(), -9e15), 9e15))));
  if (!is_whole) return WrongType(name, value, "a whole number");
  if (value.is_number_unsigned() &&
      value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return OutOfRange(name, value, absl::StrCat("[", low, ", ", high, "]"));
  }
  const int64_t number =
      value.is_number_integer() ? value.get<int64_t>() : static_cast<int64_t>(value.get<double>());
  if (number < low || number > high) {
    return OutOfRange(name, value, absl::StrCat("[", low, ", ", high, "]"));
  }
  return number;
}

template <typename Set>
Reader Integer(int64_t low, int64_t high, Set set) {
  return [=](const std::string& name, const RequestJson& value, Draft& draft) -> absl::Status {
    ASSIGN_OR_RETURN(const int64_t number, ToInteger(name, value, low, high));
    set(draft, number);
    return absl::OkStatus();
  };
}

template <typename Set>
Reader Bool(Set set) {
  return [=](const std::string& name, const RequestJson& value, Draft& draft) -> absl::Status {
    if (!value.is_boolean()) return WrongType(name, value, "true or false");
    set(draft, value.get<bool>());
    return absl::OkStatus();
  };
}

// A setting of other servers that is taken only where it changes nothing.
Reader Only(RequestJson harmless, std::string why) {
  return [=](const std::string& name, const RequestJson& value, Draft&) -> absl::Status {
    if (value == harmless) return absl::OkStatus();
    return InvalidField({name, JsonText(value), why});
  };
}
Reader Refused(std::string why) {
  return [=](const std::string& name, const RequestJson& value, Draft&) -> absl::Status {
    return InvalidField({name, JsonText(value), why});
  };
}

constexpr int64_t kMaxInt32 = std::numeric_limits<int32_t>::max();
constexpr int64_t kMaxInt64 = std::numeric_limits<int64_t>::max();

absl::Status ReadIds(const std::string& name, const RequestJson& list, v1::TokenIds& ids) {
  ids.mutable_ids()->Reserve(static_cast<int>(list.size()));
  for (size_t i = 0; i < list.size(); ++i) {
    ASSIGN_OR_RETURN(const int64_t id,
                     ToInteger(absl::StrCat(name, "[", i, "]"), list[i], 0, kMaxInt32));
    ids.add_ids(static_cast<int32_t>(id));
  }
  return absl::OkStatus();
}

absl::Status ReadPrompts(const RequestJson& body, CompletionRequest& request) {
  const auto found = body.find("prompt");
  if (found == body.end() || found->is_null()) {
    return InvalidField({"prompt", "absent", "must be a string, a list of strings or token ids"});
  }
  const RequestJson& prompt = *found;
  if (prompt.is_string()) {
    request.prompts.emplace_back().set_text(prompt.get<std::string>());
    return absl::OkStatus();
  }
  if (!prompt.is_array() || prompt.empty()) {
    return WrongType("prompt", prompt, "a string, a list of strings, or one or more lists of ids");
  }
  if (prompt.front().is_number()) {
    return ReadIds("prompt", prompt, *request.prompts.emplace_back().mutable_ids());
  }
  for (size_t i = 0; i < prompt.size(); ++i) {
    const std::string name = absl::StrCat("prompt[", i, "]");
    const bool is_text = prompt[i].is_string();
    if (!is_text && !prompt[i].is_array())
      return WrongType(name, prompt[i], "a string or a list of ids");
    if (is_text != prompt.front().is_string()) {
      return WrongType(name, prompt[i], "of the same kind as the first prompt");
    }
    v1::GenerateRequest& added = request.prompts.emplace_back();
    if (is_text) {
      added.set_text(prompt[i].get<std::string>());
    } else {
      RETURN_IF_ERROR(ReadIds(name, prompt[i], *added.mutable_ids()));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadStop(const std::string& name, const RequestJson& value, Draft& draft) {
  if (value.is_string()) {
    draft.common.add_stop(value.get<std::string>());
    return absl::OkStatus();
  }
  if (!value.is_array()) return WrongType(name, value, "a string or a list of strings");
  for (size_t i = 0; i < value.size(); ++i) {
    if (!value[i].is_string()) {
      return WrongType(absl::StrCat(name, "[", i, "]"), value[i], "a string");
    }
    draft.common.add_stop(value[i].get<std::string>());
  }
  return absl::OkStatus();
}

absl::Status ReadStopIds(const std::string& name, const RequestJson& value, Draft& draft) {
  if (!value.is_array()) return WrongType(name, value, "a list of ids");
  v1::TokenIds ids;
  RETURN_IF_ERROR(ReadIds(name, value, ids));
  *draft.common.mutable_stop_ids() = ids.ids();
  return absl::OkStatus();
}

absl::Status ReadBias(const std::string& name, const RequestJson& value, Draft& draft) {
  if (!value.is_object()) return WrongType(name, value, "an object from ids to numbers");
  for (const auto& [key, bias] : value.items()) {
    int32_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size()) {
      return InvalidField({name + " key", Shortened(key, 100), "must be a token id"});
    }
    if (!bias.is_number()) return WrongType(absl::StrCat(name, "[", id, "]"), bias, "a number");
    (*draft.common.mutable_logit_bias())[id] = bias.get<float>();
  }
  return absl::OkStatus();
}

absl::Status ReadStreamOptions(const std::string& name, const RequestJson& value, Draft& draft) {
  if (!value.is_object()) return WrongType(name, value, "an object");
  RETURN_IF_ERROR(
      CheckNames(value, {"include_usage", "continuous_usage_stats", "include_obfuscation"}));
  ASSIGN_OR_RETURN(const bool last, BoolOr(value, "include_usage", false));
  ASSIGN_OR_RETURN(const bool all, BoolOr(value, "continuous_usage_stats", false));
  ASSIGN_OR_RETURN(const bool pads, BoolOr(value, "include_obfuscation", false));
  if (pads) return InvalidField({"stream_options.include_obfuscation", "true", "is not offered"});
  draft.request.usage = all ? UsageChunks::kAll : last ? UsageChunks::kLast : UsageChunks::kNone;
  return absl::OkStatus();
}

absl::Status ReadMinTokens(const std::string& name, const RequestJson& value, Draft& draft) {
  if (value == 0) return absl::OkStatus();
  const auto ignores = draft.body.find("ignore_eos");
  if (value.is_number_integer() && ignores != draft.body.end() && *ignores == true) {
    return absl::OkStatus();
  }
  return InvalidField({name, JsonText(value), "must be 0, or go with ignore_eos"});
}

const std::map<std::string, Reader>& Rows() {
  using Request = v1::GenerateRequest;
  static const auto& rows = *new std::map<std::string, Reader>{
      {"model",
       [](const std::string& name, const RequestJson& value, Draft& draft) -> absl::Status {
         if (!value.is_string()) return WrongType(name, value, "a string");
         draft.common.set_model(value.get<std::string>());
         return absl::OkStatus();
       }},
      {"prompt", [](const std::string&, const RequestJson&, Draft&) { return absl::OkStatus(); }},
      {"max_tokens", Integer(0, kMaxInt32,
                             [](Draft& draft, int64_t value) {
                               draft.common.set_max_new_tokens(static_cast<int32_t>(value));
                             })},
      {"temperature",
       Number(0, 2, "[0, 2]", [](Request& request, float x) { request.set_temperature(x); })},
      {"top_p", Number(0, 1, "(0, 1]", [](Request& request, float x) { request.set_top_p(x); })},
      {"min_p", Number(0, 1, "[0, 1)", [](Request& request, float x) { request.set_min_p(x); })},
      {"presence_penalty",
       Number(-2, 2, "[-2, 2]",
              [](Request& request, float x) { request.set_presence_penalty(x); })},
      {"frequency_penalty",
       Number(-2, 2, "[-2, 2]",
              [](Request& request, float x) { request.set_frequency_penalty(x); })},
      {"repetition_penalty",
       Number(0, 10, "(0, 10]",
              [](Request& request, float x) { request.set_repetition_penalty(x); })},
      {"top_k", Integer(-1, kMaxInt32,
                        [](Draft& draft, int64_t value) {
                          draft.common.set_top_k(static_cast<int32_t>(std::max<int64_t>(value, 0)));
                        })},
      {"n", Integer(1, kMaxInt32,
                    [](Draft& draft, int64_t value) {
                      draft.common.set_n(static_cast<int32_t>(value));
                    })},
      {"best_of",
       [](const std::string& name, const RequestJson& value, Draft& draft) -> absl::Status {
         const auto n = draft.body.find("n");
         if (value == (n == draft.body.end() || n->is_null() ? RequestJson(1) : *n))
           return absl::OkStatus();
         return InvalidField({name, JsonText(value), "must be equal to n"});
       }},
      {"logprobs", Integer(0, kMaxInt32,
                           [](Draft& draft, int64_t value) {
                             draft.common.set_logprobs(static_cast<int32_t>(value));
                           })},
      {"seed", Integer(0, kMaxInt64,
                       [](Draft& draft, int64_t value) {
                         draft.common.set_seed(static_cast<uint64_t>(value));
                       })},
      {"echo", Bool([](Draft& draft, bool value) { draft.common.set_echo(value); })},
      {"ignore_eos", Bool([](Draft& draft, bool value) { draft.common.set_ignore_eos(value); })},
      {"stop", ReadStop},
      {"stop_token_ids", ReadStopIds},
      {"logit_bias", ReadBias},
      {"stream", Bool([](Draft& draft, bool value) { draft.request.stream = value; })},
      {"stream_options", ReadStreamOptions},
      {"user",
       [](const std::string& name, const RequestJson& value,
          Draft&) -> absl::
                      Status {
                        return value.is_string() ? absl::OkStatus()
                                                 : WrongType(name, value, "a string");
                      }},
      {"suffix", Only("", "must be empty: text is only continued at its end")},
      {"add_special_tokens",
       Bool([](Draft& draft, bool value) { draft.common.set_add_special_tokens(value); })},
      {"return_token_ids",
       Bool([](Draft& draft, bool value) { draft.request.returns_ids = value; })},
      {"return_tokens_as_token_ids",
       Bool([](Draft& draft, bool value) { draft.request.names_tokens_by_id = value; })},
      {"min_tokens", ReadMinTokens},
      {"priority", Only(0, "must be 0: requests take turns by client")},
      {"skip_special_tokens", Only(true, "must be true: texts have no special tokens")},
      {"spaces_between_special_tokens", Only(true, "must be true")},
      {"include_stop_str_in_output",
       Only(false, "must be false: a text ends before its stop string")},
      {"use_beam_search", Only(false, "must be false: there is no beam search")},
      {"length_penalty", Only(1, "must be 1: there is no beam search")},
      {"response_format", Refused("is not offered: there is no structured output")},
      {"tools", Refused("is not offered: there are no tools")},
      {"messages", Refused("belongs to chat, which is not offered: put the text into prompt")},
      {"images", Refused("is not offered: models read text")},
      {"prompt_embeds", Refused("is not offered: give text or token ids")},
      {"prompt_logprobs", Refused("is not offered: ask for echo and logprobs")},
      {"truncate_prompt_tokens", Refused("is not offered: nothing is cut off")},
      {"guided_json", Refused("is not offered: there is no structured output")},
      {"guided_regex", Refused("is not offered: there is no structured output")},
      {"guided_choice", Refused("is not offered: there is no structured output")},
      {"guided_grammar", Refused("is not offered: there is no structured output")},
  };
  return rows;
}

}  // namespace

absl::StatusOr<CompletionRequest> ParseCompletion(const RequestJson& body, int64_t max_prompts) {
  Draft draft = {{}, {}, body};
  FieldFaults faults;
  std::vector<std::string> names;
  for (const auto& [name, reader] : Rows()) names.push_back(name);
  RETURN_IF_ERROR(faults.Add(CheckNames(body, names)));
  // OpenAI's defaults are not the API's.
  draft.common.set_temperature(1);
  for (const auto& [name, value] : body.items()) {
    const auto row = Rows().find(name);
    if (row == Rows().end() || value.is_null()) continue;
    RETURN_IF_ERROR(faults.Add(row->second(name, value, draft)));
  }
  RETURN_IF_ERROR(faults.Add(ReadPrompts(body, draft.request)));
  const int64_t n = draft.common.has_n() ? draft.common.n() : 1;
  const auto prompts = static_cast<int64_t>(draft.request.prompts.size());
  if (prompts * n > max_prompts) {
    RETURN_IF_ERROR(faults.Add(InvalidField(
        {"prompt", absl::StrCat(prompts, " prompts of ", n, " choices"),
         absl::StrCat("must be at most ", max_prompts, " choices (--http_max_prompts)")})));
  }
  RETURN_IF_ERROR(faults.status());
  for (v1::GenerateRequest& prompt : draft.request.prompts) {
    v1::GenerateRequest whole = draft.common;
    whole.MergeFrom(prompt);
    prompt = std::move(whole);
  }
  return std::move(draft.request);
}

std::string CompletionField(std::string_view field) {
  std::string index;
  if (constexpr std::string_view kMany = "requests"; field.starts_with(kMany)) {
    const size_t dot = field.find('.');
    index = std::string(field.substr(kMany.size(), dot - kMany.size()));
    field.remove_prefix(dot + 1);
  }
  const auto with_rest = [&](std::string_view old_name, std::string new_name) {
    return new_name + std::string(field.substr(old_name.size()));
  };
  if (field == "text" || field == "prompt") return "prompt" + index;
  if (field.starts_with("ids")) return with_rest("ids", "prompt" + index);
  if (field == "max_new_tokens") return "max_tokens";
  if (field.starts_with("stop_ids")) return with_rest("stop_ids", "stop_token_ids");
  return std::string(field);
}

}  // namespace dyad
