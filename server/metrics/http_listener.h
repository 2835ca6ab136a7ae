// An HTTP listener for one page, /metrics, on libevent's HTTP server.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace dyad {

// Threads: one of its own serves all connections, so one that hangs keeps no other waiting. Bounds:
// 8 KiB of request head, no body, 10 s without progress; one request a connection.
class HttpListener {
 public:
  // `page` makes the body of each answer to GET /metrics, on the listener's thread; everything else
  // is refused. `address` is host:port or [v6]:port; port 0 picks one. Errors: InvalidArgument (no
  // such address), Unavailable (cannot listen there).
  static absl::StatusOr<std::unique_ptr<HttpListener>> Start(const std::string& address,
                                                             std::function<std::string()> page);
  // Closes the port and all connections.
  virtual ~HttpListener() = default;

  virtual int port() const = 0;
};

}  // namespace dyad
