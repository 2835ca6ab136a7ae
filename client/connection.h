// How a client reaches servers: address, TLS, balancing.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/grpcpp.h"

namespace dyad::client {

// Whether calls wait for, and go only to, servers whose health service says that `readiness` is
// SERVING. kIgnored is for asking about that very thing.
enum class Readiness { kRequired, kIgnored };

struct ConnectionOptions {
  // HOST:PORT, or any gRPC target. A name with several addresses (a headless Kubernetes service:
  // dns:///NAME:PORT) is balanced over all of them.
  std::string server = "127.0.0.1:50051";
  // PEM file to check the server with. Empty and no certificate: plaintext.
  std::string tls_ca = {};
  // PEM file, for servers that ask for one; goes with tls_key.
  std::string tls_cert = {};
  std::string tls_key = {};
  // File whose first line that is neither empty nor begins with # is the key that every call shows.
  // Empty: the environment's DYAD_API_KEY, if there is one.
  std::string api_key_file = {};
  Readiness readiness = Readiness::kRequired;
};

// The gRPC service config of a connection: round_robin over all addresses and client-side health
// checks. It has no retries: by code alone gRPC cannot tell a full queue from a message that is too
// large; Client and RunPairs try again themselves. Connecting is tried again 0.1 s to 5 s apart.
std::string ServiceConfigJson(Readiness readiness);

// Of a message in either direction. A scored text of 2,048 tokens with its top-20 lists stays below
// a tenth of this.
inline constexpr int kMaxMessageBytes = 64 << 20;

// Connects lazily: the first call finds out whether anybody is there. Channels do not share
// connections, so that several of them really are several clients.
// Errors: the system's or InvalidArgument, naming the file or the option that lacks its
// partner.
absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const ConnectionOptions& options);

// Codes and messages are the same on both sides; google.rpc details become payloads.
absl::Status ToStatus(const grpc::Status& status);

}  // namespace dyad::client
