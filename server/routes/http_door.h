// The front door over HTTP: which route answers a request, who may ask, and what a browser may
// read. Contract and reasons: server/routes/README.md.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/api/server_state.h"
#include "server/http/exchange.h"
#include "server/routes/route.h"

namespace dyad {

struct HttpDoorOptions {
  // Values of Host that are answered, whatever the port; empty: any. A name that a browser was made
  // to take for this machine is none of them.
  std::vector<std::string> allowed_hosts;
  // Origins whose pages may read answers; "*": all.
  std::vector<std::string> cors_origins;
};

// Threads: any. State and what routes refer to outlive every exchange.
class HttpDoor {
 public:
  // REQUIRES: a family whose prefix is "/", for what no other has.
  HttpDoor(const ServerState& state, HttpDoorOptions options, std::vector<RouteFamily> families);

  // Answers some time.
  void Handle(const std::shared_ptr<HttpExchange>& exchange) const;

 private:
  struct Match;

  HttpFields CorsFields(const HttpRequest& request) const;
  bool IsAllowedHost(const std::string& host) const;
  Match Find(const HttpRequest& request, std::string_view path) const;
  absl::Status Check(const HttpRequest& request, const Match& match, const HttpCall& call) const;
  void Dispatch(const std::shared_ptr<HttpExchange>& exchange, Ask& ask) const;

  const ServerState& state_;
  const HttpDoorOptions options_;
  const std::vector<RouteFamily> families_;
};

}  // namespace dyad
