// The gRPC server: port, credentials, bounds, health and reflection, and an orderly end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/base/listener.h"
#include "server/base/log_line.h"
#include "server/grpc/tls.h"

namespace grpc {
class ServerBuilder;
}  // namespace grpc

namespace dyad {

enum class Reflection { kOff, kOn };
enum class ServingState { kServing, kNotServing };

// Ranges are checked with the server's options.
struct RpcServerOptions {
  // host:port, [v6]:port or unix:path; port 0 picks one.
  std::string listen = "127.0.0.1:50051";
  TlsFiles tls;
  int32_t max_concurrent_streams = 1024;  // calls in flight, per connection
  // A connection that is silent for this long is asked whether it lives, and given so long to
  // answer.
  absl::Duration keepalive_time = absl::Minutes(5);
  absl::Duration keepalive_timeout = absl::Seconds(20);
  // Clients that ping more often than this are told to go away.
  absl::Duration min_client_ping_interval = absl::Seconds(10);
  // Connections are closed after about this age, so that clients spread over new replicas; calls in
  // flight get the grace to end. Infinite: never.
  absl::Duration max_connection_age = absl::InfiniteDuration();
  absl::Duration max_connection_age_grace = absl::Minutes(5);
  // Connections without a call for this long are closed; their clients make new ones when they
  // need them. Infinite: never.
  absl::Duration max_connection_idle = absl::Minutes(15);
  // At a time, and at most what the limit of open files allows; more wait in the system's queue.
  int32_t max_connections = 4096;
  Reflection reflection = Reflection::kOn;
};

std::string TransportVersion();  // "gRPC 1.51.1"

// What can be wrong before models are loaded: an address in use, certificates.
struct RpcServerParts {
  std::unique_ptr<Listener> listener;
  std::shared_ptr<Certificates> certificates;
  LogFunction log;
};

// Threads: gRPC's own run the handlers. Calls to this object from any thread.
class RpcServer {
 public:
  // Binds the port and reads the certificates; serves nothing yet. Errors: Unavailable (cannot
  // listen), InvalidArgument, NotFound (certificates).
  static absl::StatusOr<RpcServerParts> Prepare(const RpcServerOptions& options, LogFunction log);

  // Listens and serves. `register_services` adds services that outlive this object. Every health
  // name but "" is unknown until SetServing; "" is NOT_SERVING. Errors: Unavailable.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(
      const RpcServerOptions& options, RpcServerParts parts,
      const std::function<void(grpc::ServerBuilder&)>& register_services);

  // As Shutdown(absl::ZeroDuration()).
  virtual ~RpcServer() = default;

  virtual int port() const = 0;  // 0 for unix:path

  // grpc.health.v1: Check answers with it and Watch sees the change.
  virtual void SetServing(const std::string& name, ServingState state) = 0;

  // Waits until no call that is in flight now is left (health and reflection streams do not count),
  // at most `limit`, nor longer than some seconds in which none ended: nobody reads the answers
  // then. After that it stops listening, and ends connections. Their calls get UNAVAILABLE. May be
  // called again.
  virtual void Shutdown(absl::Duration limit) = 0;

  // For metrics.
  virtual int64_t connections() const = 0;
  virtual int64_t connection_pauses() const = 0;  // how often new connections had to wait
  virtual std::optional<absl::Time> certificate_end() const = 0;
};

}  // namespace dyad
