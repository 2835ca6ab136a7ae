// An HTTP listener for one page, /metrics: as much of HTTP/1.1 as a Prometheus scrape needs.
//
// By hand, because the one that prometheus-cpp brings starts its threads with stacks of 100 KiB,
// which is less than the thread-local memory of the libraries under LibTorch: in this server they
// cannot start.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace dyad {

// Threads: one of its own serves all connections. Bounds: 32 connections (the oldest goes first), 8
// KiB of request, 10 s from connecting to the last byte; one request a connection.
class HttpListener {
 public:
  // `page` makes the body of each answer to GET /metrics, on the listener's thread; everything else
  // is 404, 405 or 400. `address` is host:port or [v6]:port; port 0 picks one. Errors:
  // InvalidArgument (no such address), Unavailable (cannot listen there).
  static absl::StatusOr<std::unique_ptr<HttpListener>> Start(const std::string& address,
                                                             std::function<std::string()> page);
  // Closes the port and all connections.
  virtual ~HttpListener() = default;

  virtual int port() const = 0;
};

}  // namespace dyad
