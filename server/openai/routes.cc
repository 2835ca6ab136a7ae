// A function for each route.
#include "server/openai/routes.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/api/request_error.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/openai/completion_call.h"
#include "server/openai/completion_request.h"
#include "server/openai/error.h"
#include "server/openai/model_answers.h"
#include "server/routes/json_body.h"

namespace dyad {
namespace {

using Json = nlohmann::ordered_json;

// Endpoints of other servers, and what to use.
struct Unsupported {
  std::string_view path;
  std::string_view instead;
};
constexpr Unsupported kUnsupported[] = {
    {"/v1/chat/", "models here have no chat template; use /v1/completions"},
    {"/v1/responses", "use /v1/completions"},
    {"/v1/embeddings", "there are no embeddings"},
    {"/v1/images", "models here read and write text"},
    {"/v1/audio", "models here read and write text"},
    {"/v1/files", "send each request by itself"},
    {"/v1/batches", "send each request by itself, or use dyadctl"},
    {"/v1/fine_tuning", "models are trained elsewhere"},
    {"/v1/moderations", "there is no moderation"},
};

absl::Status NoRoute(std::string_view path) {
  for (const Unsupported& endpoint : kUnsupported) {
    if (path.find(endpoint.path) == std::string_view::npos) continue;
    return Refusal(absl::StatusCode::kNotFound, Text(path, " is not offered: ", endpoint.instead),
                   "UNSUPPORTED_ENDPOINT");
  }
  return UnknownPath(path);
}

std::string TokenizeField(std::string_view field) {
  if (field == "text") return "prompt";
  if (field.starts_with("ids")) return "tokens" + std::string(field.substr(3));
  return std::string(field);
}

void Send(HttpCall& call, const absl::StatusOr<Json>& json) {
  if (json.ok()) {
    call.Answer(JsonResponse(*json));
  } else {
    call.Fail(json.status());
  }
}

absl::StatusOr<CompletionRequest> ReadCompletion(const Ask& ask, int64_t max_prompts) {
  ASSIGN_OR_RETURN(const nlohmann::json body, ReadJsonBody(ask.call->request().body));
  ASSIGN_OR_RETURN(CompletionRequest request, ParseCompletion(body, max_prompts));
  ASSIGN_OR_RETURN(const ServedModel* model,
                   FindModel(ask.call->state(), ask.fixed_model, request.prompts.front().model()));
  for (v1::GenerateRequest& prompt : request.prompts) prompt.set_model(model->name);
  return request;
}

Json ModelList(const ServerState& state, const std::string& only, int64_t created) {
  Json list = Json::array();
  for (const ServedModel& model : state.models.models()) {
    if (only.empty() || model.name == only) list.push_back(ModelJson(model, created));
  }
  return {{"object", "list"}, {"data", std::move(list)}};
}

// Answers with what `make` makes of the body.
template <typename Make>
auto FromBody(Make make) {
  return [make](const Ask& ask) {
    const auto body = ReadJsonBody(ask.call->request().body);
    if (!body.ok()) return ask.call->Fail(body.status());
    Send(*ask.call, make(*body, ask.fixed_model, *ask.call));
  };
}

void SendTokenizerInfo(const Ask& ask) {
  const auto model = FindModel(ask.call->state(), ask.fixed_model, "");
  if (!model.ok()) return ask.call->Fail(model.status());
  ask.call->SetModel(**model);
  Send(*ask.call, TokenizerInfo(**model));
}

}  // namespace

RouteFamily OpenAiRoutes(const ServerState& state, int64_t max_prompts) {
  const int64_t created = absl::ToUnixSeconds(absl::Now());
  const auto complete = [max_prompts](const Ask& ask) {
    absl::StatusOr<CompletionRequest> request = ReadCompletion(ask, max_prompts);
    if (!request.ok()) return ask.call->Fail(request.status());
    StartCompletion(ask.call, *std::move(request));
  };
  const auto list = [&state, created](const Ask& ask) {
    Send(*ask.call, ModelList(state, ask.fixed_model, created));
  };
  const auto describe = [&state, created](const Ask& ask) {
    const auto model = state.models.Find(ask.name);
    if (!model.ok()) return ask.call->Fail(model.status());
    Send(*ask.call, ModelJson(**model, created));
  };
  const auto version = [&state](const Ask& ask) {
    Send(*ask.call, Json{{"version", state.info.version}, {"commit", state.info.commit}});
  };
  const auto health = [&state](std::string_view name) {
    return [&state, name](const Ask& ask) {
      const bool is_so = state.serves(name);
      HttpResponse response = JsonResponse({{"status", is_so ? "SERVING" : "NOT_SERVING"}});
      response.status = is_so ? 200 : 503;
      ask.call->Answer(std::move(response));
    };
  };
  RouteFamily family;
  family.prefix = "/";
  family.error = &OpenAiError;
  family.no_route = &NoRoute;
  family.routes = {
      {"POST", "/v1/completions", complete, &CompletionField},
      {"GET", "/v1/models", list},
      {"GET", "/v1/models/{}", describe},
      {"POST", "/tokenize", FromBody(&TokenizeAnswer), &TokenizeField},
      {"POST", "/detokenize", FromBody(&DetokenizeAnswer), &TokenizeField},
      {"GET", "/tokenizer_info", &SendTokenizerInfo},
      {"GET", "/health", health("readiness"), nullptr, false},
      {"GET", "/health/ready", health("readiness"), nullptr, false},
      {"GET", "/health/live", health("liveness"), nullptr, false},
      {"GET", "/version", version},
  };
  return family;
}

}  // namespace dyad
