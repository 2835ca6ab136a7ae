// From a path to what answers it.
#include "server/routes/http_door.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "server/api/request_error.h"
#include "server/base/catch_exceptions.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

constexpr std::string_view kModelPrefix = "/models/";
constexpr std::string_view kName = "{}";

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

// What stands for "{}", if `path` is one of a route's; empty where it has none.
std::optional<std::string> NameIn(std::string_view path, std::string_view of_route) {
  const size_t at = of_route.find(kName);
  if (at == std::string_view::npos) return path == of_route ? std::optional("") : std::nullopt;
  const std::string_view front = of_route.substr(0, at);
  const std::string_view back = of_route.substr(at + kName.size());
  if (!path.starts_with(front) || path.size() <= front.size() + back.size()) return std::nullopt;
  if (!path.ends_with(back)) return std::nullopt;
  return std::string(path.substr(front.size(), path.size() - front.size() - back.size()));
}

// HEAD is answered as GET is.
std::string_view MethodOf(const HttpRequest& request) {
  return request.method == "HEAD" ? std::string_view("GET") : std::string_view(request.method);
}

// Media type of the body, in small letters, without parameters.
std::string TypeOf(const HttpRequest& request) {
  std::string type = Lower(FindField(request.fields, "Content-Type").value_or(""));
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.pop_back();
  return type;
}

}  // namespace

absl::Status Refusal(absl::StatusCode code, std::string message, std::string_view reason) {
  return WithReason(absl::Status(code, std::move(message)), reason);
}

absl::Status UnknownPath(std::string_view path) {
  return Refusal(absl::StatusCode::kNotFound, Text("there is no ", Shortened(path, 200)),
                 "UNKNOWN_PATH");
}

struct HttpDoor::Match {
  const RouteFamily* family = nullptr;  // whose errors are told
  const Route* route = nullptr;         // null: there is none
  std::string name = {};
  std::string fixed_model = {};
};

HttpDoor::HttpDoor(const ServerState& state, HttpDoorOptions options,
                   std::vector<RouteFamily> families)
    : state_(state), options_(std::move(options)), families_(std::move(families)) {}

bool HttpDoor::IsAllowedHost(const std::string& host) const {
  if (options_.allowed_hosts.empty()) return true;
  std::string name = Lower(host);
  const size_t colon = name.rfind(':');
  // "[::1]" has colons of its own.
  if (colon != std::string::npos && name.find(']', colon) == std::string::npos) name.resize(colon);
  const auto& allowed = options_.allowed_hosts;
  return std::find(allowed.begin(), allowed.end(), name) != allowed.end();
}

HttpFields HttpDoor::CorsFields(const HttpRequest& request) const {
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
    fields.push_back({"Access-Control-Allow-Headers",
                      "authorization, content-type, x-request-id, connect-protocol-version, "
                      "connect-timeout-ms"});
    fields.push_back({"Access-Control-Max-Age", "600"});
  }
  return fields;
}

// Of several routes that fit, the one with the most of the path in its own words; of those, the one
// that takes the method.
HttpDoor::Match HttpDoor::Find(const HttpRequest& request, std::string_view path) const {
  Match best;
  const std::string_view method = MethodOf(request);
  const auto is_better = [&](const Route& route) {
    if (best.route == nullptr || route.path.size() > best.route->path.size()) return true;
    return route.path == best.route->path && route.method == method;
  };
  for (const RouteFamily& family : families_) {
    const bool longer = best.family == nullptr || family.prefix.size() > best.family->prefix.size();
    if (best.route == nullptr && longer && path.find(family.prefix) != std::string_view::npos) {
      best.family = &family;
    }
    for (const Route& route : family.routes) {
      std::string_view rest = path;
      std::string fixed;
      if (family.takes_fixed_model && path.starts_with(kModelPrefix)) {
        const size_t begin = path.rfind(route.path.substr(0, route.path.find(kName)));
        if (begin == std::string_view::npos || begin <= kModelPrefix.size()) continue;
        fixed = std::string(path.substr(kModelPrefix.size(), begin - kModelPrefix.size()));
        rest = path.substr(begin);
      }
      std::optional<std::string> name = NameIn(rest, route.path);
      if (name.has_value() && is_better(route)) {
        best = {&family, &route, *std::move(name), std::move(fixed)};
      }
    }
  }
  return best;
}

// Whether the request may be answered at all.
absl::Status HttpDoor::Check(const HttpRequest& request, const Match& match,
                             const HttpCall& call) const {
  if (match.route == nullptr || match.route->needs_key) RETURN_IF_ERROR(call.CheckKey());
  if (match.route == nullptr) return match.family->no_route(Decoded(request.path));
  const std::string_view method = MethodOf(request);
  if (match.route->method != method) {
    return Refusal(
        absl::StatusCode::kInvalidArgument,
        Text(request.path, " takes ", match.route->method, ", not ", Shortened(request.method, 20)),
        "METHOD_NOT_ALLOWED");
  }
  if (method != "POST") return absl::OkStatus();
  // A page of a browser can send other types to anybody without asking first.
  const bool is_untyped = CountFields(request.fields, "Content-Type") == 0 &&
                          CountFields(request.fields, "Origin") == 0;
  if (TypeOf(request) == "application/json") return absl::OkStatus();
  if (is_untyped && match.family->takes_untyped_body) return absl::OkStatus();
  return Refusal(absl::StatusCode::kInvalidArgument,
                 "the body needs Content-Type: application/json", "UNSUPPORTED_MEDIA_TYPE");
}

void HttpDoor::Handle(const std::shared_ptr<HttpExchange>& exchange) const {
  Ask ask;
  const absl::Status status = CatchExceptions("request", [&] {
    Dispatch(exchange, ask);
    return absl::OkStatus();
  });
  if (!status.ok() && ask.call != nullptr) ask.call->Fail(status);
}

void HttpDoor::Dispatch(const std::shared_ptr<HttpExchange>& exchange, Ask& ask) const {
  const HttpRequest& request = exchange->request();
  Match match = Find(request, Decoded(request.path));
  const Route* route = match.route;
  const auto deadline =
      match.family->deadline == nullptr ? absl::InfiniteFuture() : match.family->deadline(request);
  ask.call = std::make_shared<HttpCall>(
      state_, exchange, route == nullptr ? "other" : route->path,
      ErrorStyle{match.family->error, route == nullptr ? nullptr : route->rename},
      deadline.value_or(absl::InfiniteFuture()));
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
  absl::Status status = Check(request, match, call);
  status.Update(deadline.status());
  if (!status.ok()) {
    HttpFields more;
    if (ReasonOf(status) == "METHOD_NOT_ALLOWED") {
      more.push_back({"Allow", route->method == "GET" ? "GET, HEAD, OPTIONS" : "POST, OPTIONS"});
    }
    return call.Fail(status, std::move(more));
  }
  ask.name = std::move(match.name);
  ask.fixed_model = std::move(match.fixed_model);
  route->answer(ask);
}

}  // namespace dyad
