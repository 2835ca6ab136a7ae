// The ports that speak HTTP: /metrics, and the front door of --http.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/api/server_state.h"
#include "server/http/http_server.h"
#include "server/metrics/metrics.h"
#include "server/options.h"
#include "server/routes/http_door.h"

namespace dyad {

// GET /metrics gives the text of `metrics`, which outlives it; nothing else is there.
HttpHandlers MetricsPage(const Metrics& metrics);

// Threads: one at a time, but for what metrics ask.
class HttpPorts {
 public:
  // Binds both ports and serves /metrics. The front door takes `certificates`, which the other
  // doors share: its files are read, and warned of, once. `metrics` outlives this. Errors:
  // Unavailable (an address in use).
  static absl::StatusOr<std::unique_ptr<HttpPorts>> Prepare(
      const Options& options, std::shared_ptr<Certificates> certificates, const Metrics& metrics,
      const LogFunction& log);

  // Opens the front door, if --http names an address. `state` outlives this.
  absl::Status Open(const Options& options, const ServerState& state);

  // As HttpServer's, of the front door.
  void Shutdown(absl::Duration limit);

  // Where they serve, or "off".
  std::string metrics_address() const { return metrics_address_; }
  std::string http_address() const { return http_address_; }
  int64_t connections() const { return http_ == nullptr ? 0 : http_->connections(); }

 private:
  LogFunction log_;
  std::unique_ptr<HttpServer> metrics_;
  std::unique_ptr<Listener> listener_;  // of the front door, until it opens
  std::shared_ptr<Certificates> certificates_;
  std::unique_ptr<HttpDoor> door_;
  std::unique_ptr<HttpServer> http_;
  std::string metrics_address_ = "off";
  std::string http_address_ = "off";
};

}  // namespace dyad
