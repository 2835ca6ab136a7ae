// Server credentials from PEM files that may be replaced while the server runs.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace grpc {
class ServerCredentials;
}  // namespace grpc

namespace dyad {

// Paths of PEM files. Certificate and key come together; no files at all mean plaintext.
struct TlsFiles {
  std::string certificate = "";  // chain, the server's own first
  std::string key = "";
  // If not empty, clients must present a certificate that it signed.
  std::string client_ca = "";
  // How often the files are looked at, in whole seconds, at least 1. New handshakes use what was
  // last read; connections stay.
  absl::Duration reload = absl::Seconds(10);

  bool empty() const { return certificate.empty() && key.empty() && client_ca.empty(); }
};

// TLS 1.2 or newer. Replace certificate and key together (a symbolic link to their folder, or
// rename): a pair that does not match fails handshakes until the next look.
//
// Errors: InvalidArgument, NotFound: a file that cannot be read or parsed, a key of another
// certificate.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsFiles& files);

}  // namespace dyad
