// A server's certificate, key and authorities of clients, from PEM files that may be replaced while
// it runs.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/base/log_line.h"

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

// What the files held at one moment: whole, and fitting together.
struct Pem {
  std::string certificate;
  std::string key;
  std::string client_ca;
  absl::Time begin;  // of the certificate's validity
  absl::Time end;
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

  // For a connection that comes now: the same object as long as nothing has changed. Null:
  // plaintext.
  virtual std::shared_ptr<const Pem> Current() = 0;

  // Until when the server's certificate is valid; none: plaintext.
  virtual std::optional<absl::Time> end() const = 0;
};

}  // namespace dyad
