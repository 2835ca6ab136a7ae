// From a path to what answers it.
#include "server/openai/door.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "server/api/request_error.h"
#include "server/base/catch_exceptions.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/openai/completion_call.h"
#include "server/openai/completion_request.h"
#include "server/openai/error.h"
#include "server/openai/http_call.h"
#include "server/openai/json_body.h"
#include "server/openai/model_answers.h"

namespace dyad {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kModelPrefix = "/models/";
constexpr std::string_view kOther = "other";

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

absl::Status Refusal(absl::StatusCode code, std::string message, std::string_view reason) {
  return WithReason(absl::Status(code, std::move(message)), reason);
}

std::string SameField(std::string_view field) { return std::string(field); }
std::string TokenizeField(std::string_view field) {
  if (field == "text") return "prompt";
  if (field.starts_with("ids")) return "tokens" + std::string(field.substr(3));
  return std::string(field);
}

// "%2F" and the like; what is no such code stays.
std::string Decoded(std::string_view path) {
  std::string decoded;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = static_cast<char>(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  for (size_t i = 0; i < path.size(); ++i) {
    const bool is_code =
        path[i] == '%' && i + 2 < path.size() && digit(path[i + 1]) >= 0 && digit(path[i + 2]) >= 0;
    decoded.push_back(is_code ? static_cast<char>(digit(path[i + 1]) * 16 + digit(path[i + 2]))
                              : path[i]);
    if (is_code) i += 2;
  }
  return decoded;
}

void Send(HttpCall& call, const absl::StatusOr<Json>& json) {
  if (json.ok()) {
    call.Answer(JsonResponse(*json));
  } else {
    call.Fail(json.status());
  }
}

}  // namespace

struct OpenAiDoor::Route {
  std::string_view method;
  std::string_view path;  // one that ends with "/" has a name behind it
  void (OpenAiDoor::*answer)(const Ask&) const;
  HttpCall::Rename rename = &SameField;
};

struct OpenAiDoor::Ask {
  std::shared_ptr<HttpExchange> exchange;
  std::shared_ptr<HttpCall> call;
  std::string path;         // decoded, without a model in front
  std::string fixed_model;  // of the path; empty: none
  std::string name;         // behind a route's path
};

const std::vector<OpenAiDoor::Route>& OpenAiDoor::Routes() {
  static const auto& routes = *new std::vector<Route>{
      {"POST", "/v1/completions", &OpenAiDoor::Completions, &CompletionField},
      {"GET", "/v1/models", &OpenAiDoor::Models},
      {"GET", "/v1/models/", &OpenAiDoor::Model},
      {"POST", "/tokenize", &OpenAiDoor::Tokenize, &TokenizeField},
      {"POST", "/detokenize", &OpenAiDoor::Detokenize, &TokenizeField},
      {"GET", "/tokenizer_info", &OpenAiDoor::TokenizerInfo},
      {"GET", "/health", &OpenAiDoor::Health},
      {"GET", "/health/ready", &OpenAiDoor::Health},
      {"GET", "/health/live", &OpenAiDoor::Health},
      {"GET", "/version", &OpenAiDoor::Version},
  };
  return routes;
}

OpenAiDoor::OpenAiDoor(const ServerState& state, OpenAiOptions options,
                       std::function<bool(std::string_view)> serves)
    : state_(state),
      options_(std::move(options)),
      serves_(std::move(serves)),
      created_(absl::ToUnixSeconds(absl::Now())) {}

HttpResponse OpenAiDoor::OnFault(const HttpFault& fault) {
  const auto code = [&] {
    switch (fault.status) {
      case 408:
        return "request_timeout";
      case 413:
        return "request_too_large";
      case 414:
        return "target_too_long";
      case 415:
        return "unsupported_media_type";
      case 431:
        return "head_too_large";
      case 503:
        return "overloaded";
      default:
        return "invalid_http";
    }
  };
  return ErrorResponse({fault.status, code(), fault.message});
}

bool OpenAiDoor::IsAllowedHost(const std::string& host) const {
  if (options_.allowed_hosts.empty()) return true;
  std::string name = Lower(host);
  const size_t colon = name.rfind(':');
  // "[::1]" has colons of its own.
  if (colon != std::string::npos && name.find(']', colon) == std::string::npos) name.resize(colon);
  const auto& allowed = options_.allowed_hosts;
  return std::find(allowed.begin(), allowed.end(), name) != allowed.end();
}

HttpFields OpenAiDoor::CorsFields(const HttpRequest& request) const {
  const auto origin = FindField(request.fields, "Origin");
  const auto& origins = options_.cors_origins;
  if (!origin.has_value() || origins.empty()) return {};
  const bool all = origins.front() == "*";
  if (!all && std::find(origins.begin(), origins.end(), *origin) == origins.end()) return {};
  HttpFields fields = {{"Access-Control-Allow-Origin", all ? "*" : std::string(*origin)},
                       {"Access-Control-Expose-Headers",
                        "x-request-id, retry-after, retry-after-ms, x-dyad-model-digest"}};
  if (!all) fields.push_back({"Vary", "Origin"});
  if (request.method == "OPTIONS") {
    fields.push_back({"Access-Control-Allow-Methods", "GET, POST, OPTIONS"});
    fields.push_back({"Access-Control-Allow-Headers", "authorization, content-type, x-request-id"});
    fields.push_back({"Access-Control-Max-Age", "600"});
  }
  return fields;
}

void OpenAiDoor::Handle(const std::shared_ptr<HttpExchange>& exchange) const {
  Ask ask = {exchange, nullptr, Decoded(exchange->request().path), "", ""};
  const absl::Status status = CatchExceptions("request", [&] {
    Dispatch(ask);
    return absl::OkStatus();
  });
  if (!status.ok() && ask.call != nullptr) ask.call->Fail(status);
}

void OpenAiDoor::Dispatch(Ask& ask) const {
  const HttpRequest& request = ask.exchange->request();
  // The longest route that the path ends with, behind a model's name if it begins with one.
  const bool has_model = ask.path.starts_with(kModelPrefix);
  std::string_view path = ask.path;
  const Route* found = nullptr;
  std::vector<std::string> methods;
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  for (const Route& route : Routes()) {
    std::string_view rest = path;
    std::string fixed;
    if (has_model) {
      const size_t at = route.path.ends_with("/") ? path.rfind(route.path) : std::string_view::npos;
      const size_t begin = path.ends_with(route.path) ? path.size() - route.path.size() : at;
      if (begin == std::string_view::npos || begin <= kModelPrefix.size()) continue;
      fixed = std::string(path.substr(kModelPrefix.size(), begin - kModelPrefix.size()));
      rest = path.substr(begin);
    }
    const bool has_name = route.path.ends_with("/") && rest.starts_with(route.path) &&
                          rest.size() > route.path.size();
    if (rest != route.path && !has_name) continue;
    methods.emplace_back(route.method);
    found = &route;
    ask.fixed_model = fixed;
    if (has_name) ask.name = std::string(rest.substr(route.path.size()));
  }
  ask.call =
      std::make_shared<HttpCall>(state_, ask.exchange, found == nullptr ? kOther : found->path,
                                 found == nullptr ? &SameField : found->rename);
  HttpCall& call = *ask.call;
  call.AddFields(CorsFields(request));
  if (!IsAllowedHost(request.host)) {
    return call.Fail(Refusal(absl::StatusCode::kInvalidArgument,
                             Text("Host is ", Shortened(request.host, 100),
                                  "; this server answers to other names (--http_allowed_hosts)"),
                             "MISDIRECTED_REQUEST"));
  }
  // A browser asks without its key whether it may ask with it.
  if (request.method == "OPTIONS") return call.Answer({204, {}, ""});
  const bool is_health = found != nullptr && found->path.starts_with("/health");
  const absl::Status key = is_health ? absl::OkStatus() : call.CheckKey();
  if (!key.ok()) return call.Fail(key);
  if (found == nullptr) {
    for (const Unsupported& endpoint : kUnsupported) {
      if (path.find(endpoint.path) == std::string_view::npos) continue;
      return call.Fail(Refusal(absl::StatusCode::kNotFound,
                               Text(path, " is not offered: ", endpoint.instead),
                               "UNSUPPORTED_ENDPOINT"));
    }
    return call.Fail(Refusal(absl::StatusCode::kNotFound,
                             Text("there is no ", Shortened(path, 200)), "UNKNOWN_PATH"));
  }
  if (found->method != method) {
    return call.Fail(
        Refusal(absl::StatusCode::kInvalidArgument,
                Text(path, " takes ", found->method, ", not ", Shortened(request.method, 20)),
                "METHOD_NOT_ALLOWED"),
        {{"Allow", found->method == "GET" ? "GET, HEAD, OPTIONS" : "POST, OPTIONS"}});
  }
  // A page of a browser can send other types to anybody without asking first.
  if (found->method == "POST") {
    std::string type = Lower(FindField(request.fields, "Content-Type").value_or(""));
    type = type.substr(0, type.find(';'));
    while (type.ends_with(' ')) type.pop_back();
    if (type != "application/json") {
      return call.Fail(Refusal(absl::StatusCode::kInvalidArgument,
                               "the body needs Content-Type: application/json",
                               "UNSUPPORTED_MEDIA_TYPE"));
    }
  }
  (this->*found->answer)(ask);
}

void OpenAiDoor::Completions(const Ask& ask) const {
  const auto parsed = [&]() -> absl::StatusOr<CompletionRequest> {
    ASSIGN_OR_RETURN(const nlohmann::json body, ReadJsonBody(ask.exchange->request().body));
    ASSIGN_OR_RETURN(CompletionRequest request, ParseCompletion(body, options_.max_prompts));
    ASSIGN_OR_RETURN(const ServedModel* model,
                     FindModel(state_, ask.fixed_model, request.prompts.front().model()));
    for (v1::GenerateRequest& prompt : request.prompts) prompt.set_model(model->name);
    return request;
  };
  absl::StatusOr<CompletionRequest> request = parsed();
  if (!request.ok()) return ask.call->Fail(request.status());
  StartCompletion(ask.call, *std::move(request));
}

void OpenAiDoor::Models(const Ask& ask) const {
  Json list = Json::array();
  for (const ServedModel& model : state_.models.models()) {
    if (!ask.fixed_model.empty() && model.name != ask.fixed_model) continue;
    list.push_back(ModelJson(model, created_));
  }
  ask.call->Answer(JsonResponse({{"object", "list"}, {"data", std::move(list)}}));
}

void OpenAiDoor::Model(const Ask& ask) const {
  const auto model = state_.models.Find(ask.name);
  if (!model.ok()) return ask.call->Fail(model.status());
  ask.call->Answer(JsonResponse(ModelJson(**model, created_)));
}

void OpenAiDoor::Tokenize(const Ask& ask) const {
  const auto body = ReadJsonBody(ask.exchange->request().body);
  if (!body.ok()) return ask.call->Fail(body.status());
  Send(*ask.call, TokenizeAnswer(*body, ask.fixed_model, *ask.call));
}

void OpenAiDoor::Detokenize(const Ask& ask) const {
  const auto body = ReadJsonBody(ask.exchange->request().body);
  if (!body.ok()) return ask.call->Fail(body.status());
  Send(*ask.call, DetokenizeAnswer(*body, ask.fixed_model, *ask.call));
}

void OpenAiDoor::TokenizerInfo(const Ask& ask) const {
  const auto model = FindModel(state_, ask.fixed_model, "");
  if (!model.ok()) return ask.call->Fail(model.status());
  ask.call->SetDigest((*model)->info.digest);
  Send(*ask.call, dyad::TokenizerInfo(**model));
}

void OpenAiDoor::Health(const Ask& ask) const {
  const bool serves = serves_(ask.path.ends_with("/live") ? "liveness" : "readiness");
  HttpResponse response = JsonResponse({{"status", serves ? "SERVING" : "NOT_SERVING"}});
  response.status = serves ? 200 : 503;
  ask.call->Answer(std::move(response));
}

void OpenAiDoor::Version(const Ask& ask) const {
  ask.call->Answer(
      JsonResponse({{"version", state_.info.version}, {"commit", state_.info.commit}}));
}

}  // namespace dyad
