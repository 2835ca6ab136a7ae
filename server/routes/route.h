// What a front door over HTTP is made of: paths and what answers them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/routes/http_call.h"

namespace dyad {

// A request that came to a route.
struct Ask {
  std::shared_ptr<HttpCall> call;
  std::string name;         // what stands for "{}" of the route's path
  std::string fixed_model;  // NAME of "/models/NAME" in front of the path; empty: none
};

// An error with a reason of its own; http_error.cc has those of HTTP.
absl::Status Refusal(absl::StatusCode code, std::string message, std::string_view reason);

// NotFound UNKNOWN_PATH: there is no such path.
absl::Status UnknownPath(std::string_view path);

struct Route {
  std::string_view method;  // "POST", or "GET", which answers HEAD too
  // May have one "{}": one byte or more. It lives as long as the program and is the route's name in
  // log and metrics.
  std::string_view path;
  // Answers some time. On the exchange's thread.
  std::function<void(const Ask&)> answer;
  std::string (*rename)(std::string_view field) = nullptr;  // as ErrorStyle's
  bool needs_key = true;
};

// Routes of one wire format.
struct RouteFamily {
  std::string_view prefix;  // that its paths begin with
  std::vector<Route> routes;
  HttpResponse (*error)(const absl::Status&);  // as ErrorStyle's
  // What is said of a path that no route has.
  absl::Status (*no_route)(std::string_view path) = &UnknownPath;
  // Whether /models/NAME may stand in front.
  bool takes_fixed_model = true;
  // Whether a body may come without Content-Type, from where a browser's pages do not ask.
  bool takes_untyped_body = false;
  // When a caller stops waiting.
  absl::StatusOr<absl::Time> (*deadline)(const HttpRequest& request) = nullptr;
};

}  // namespace dyad
