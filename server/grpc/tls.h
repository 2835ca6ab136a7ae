// Server credentials from PEM files that may be replaced while the server runs.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/base/log_line.h"

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
  // The files are looked at when a connection comes and the last look is this old. Connections stay
  // as they are.
  absl::Duration reload = absl::Seconds(10);

  bool empty() const { return certificate.empty() && key.empty() && client_ca.empty(); }
};

// What new connections are served with: the last files that were whole and fitted together. While
// those on disk are not (half replaced, torn, deleted), the ones before go on, and a warning names
// the file. Warned of too: a certificate that is not valid now, a key that everybody may read.
//
// Threads: any.
class Certificates {
 public:
  // Reads and checks the files. Errors: InvalidArgument, NotFound: a file that cannot be read or
  // parsed, a key of another certificate.
  static absl::StatusOr<std::shared_ptr<Certificates>> Load(const TlsFiles& files, LogFunction log);
  virtual ~Certificates() = default;

  // TLS 1.2 or newer; plaintext if there are no files. They share the ownership of this.
  virtual std::shared_ptr<grpc::ServerCredentials> Credentials() = 0;

  // Until when the server's certificate is valid; none: plaintext.
  virtual std::optional<absl::Time> end() const = 0;
};

}  // namespace dyad
