// The front door over HTTP: every route, who may ask, and what a browser may read. Contract and
// reasons: server/openai/README.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/api/server_state.h"
#include "server/http/exchange.h"

namespace dyad {

struct OpenAiOptions {
  // Values of Host that are answered, whatever the port; empty: any. A name that a browser was made
  // to take for this machine is none of them.
  std::vector<std::string> allowed_hosts;
  // Origins whose pages may read answers; "*": all.
  std::vector<std::string> cors_origins;
  int64_t max_prompts = 1024;  // prompts times choices of one request
};

// Threads: any. State and options outlive every exchange.
class OpenAiDoor {
 public:
  // `serves` tells of "readiness" and "liveness" whether it is so.
  OpenAiDoor(const ServerState& state, OpenAiOptions options,
             std::function<bool(std::string_view)> serves);

  // Answers some time.
  void Handle(const std::shared_ptr<HttpExchange>& exchange) const;

  // Of bytes that are no request.
  static HttpResponse OnFault(const HttpFault& fault);

 private:
  struct Ask;
  struct Route;
  static const std::vector<Route>& Routes();

  HttpFields CorsFields(const HttpRequest& request) const;
  bool IsAllowedHost(const std::string& host) const;
  void Dispatch(Ask& ask) const;

  void Completions(const Ask& ask) const;
  void Models(const Ask& ask) const;
  void Model(const Ask& ask) const;
  void Tokenize(const Ask& ask) const;
  void Detokenize(const Ask& ask) const;
  void TokenizerInfo(const Ask& ask) const;
  void Health(const Ask& ask) const;
  void Version(const Ask& ask) const;

  const ServerState& state_;
  const OpenAiOptions options_;
  const std::function<bool(std::string_view)> serves_;
  const int64_t created_;  // Unix seconds
};

}  // namespace dyad
