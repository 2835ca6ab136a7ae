// An HTTP/1.1 server: connections, TLS, limits, whole answers and streamed ones. It knows no route
// and no format of a body. Contract and reasons: server/http/README.md.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/base/certificates.h"
#include "server/base/listener.h"
#include "server/base/log_line.h"
#include "server/http/exchange.h"

namespace dyad {

class HttpServer {
 public:
  struct Parts {
    std::unique_ptr<Listener> listener;          // bound
    std::shared_ptr<Certificates> certificates;  // null, or without files: plaintext
    HttpHandlers handlers;
    LogFunction log;
  };

  // Listens and serves. Errors: Unavailable (cannot listen), InvalidArgument (certificates that TLS
  // does not take).
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                           Parts parts);
  // As Shutdown(absl::ZeroDuration()).
  virtual ~HttpServer() = default;

  virtual int port() const = 0;
  virtual int64_t connections() const = 0;

  // Closes the port and idle connections; the others end with their answer, or after `limit`. May
  // be called again.
  virtual void Shutdown(absl::Duration limit) = 0;
};

}  // namespace dyad
