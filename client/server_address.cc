// Only the wording of a message hangs on gRPC's words: unknown ones are passed on.
#include "client/server_address.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace dyad::client {
namespace {

// How gRPC begins when it has no connection.
constexpr const char* kNoConnection[] = {"connections to all backends failing",
                                         "failed to connect to all addresses",
                                         "DNS resolution failed", "empty address list"};

struct Reason {
  const char* grpc;  // part of gRPC's message
  const char* text;
};

constexpr Reason kReasons[] = {
    {"Connection refused", "nobody listens there; is a server running?"},
    {"No such file or directory", "there is no such socket; is a server running?"},
    {"DNS resolution failed", "the name has no address"},
    {"wrong version number", "the server speaks no TLS; leave out --tls_ca"},
    {"certificate verify failed", "--tls_ca is not the authority of its certificate"},
};

}  // namespace

absl::Status CheckAddress(const std::string& server) {
  if (server.empty()) return absl::InvalidArgumentError("--server is empty; it must be HOST:PORT");
  for (const char* scheme : {"http://", "https://"}) {
    if (!absl::StartsWithIgnoreCase(server, scheme)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--server is ", server, "; leave ", scheme, " out: HOST:PORT"));
  }
  return absl::OkStatus();
}

absl::Status ExplainUnreachable(const absl::Status& failure, const ConnectionOptions& options) {
  const absl::string_view message = failure.message();
  const bool unreachable =
      absl::IsUnavailable(failure) &&
      std::any_of(std::begin(kNoConnection), std::end(kNoConnection),
                  [&](const char* begin) { return absl::StartsWith(message, begin); });
  if (!unreachable) return failure;
  const std::string start = absl::StrCat("cannot reach ", options.server, ": ");
  for (const Reason& reason : kReasons) {
    if (absl::StrContains(message, reason.grpc)) {
      return absl::UnavailableError(start + reason.text);
    }
  }
  const bool plaintext = options.tls_ca.empty() && options.tls_cert.empty();
  if (plaintext && absl::StrContains(message, "Socket closed")) {
    return absl::UnavailableError(start +
                                  "it closes the connection; a server with TLS wants --tls_ca");
  }
  return absl::UnavailableError(absl::StrCat(start, "is a server running? (", message, ")"));
}

}  // namespace dyad::client
