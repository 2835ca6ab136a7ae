// Server credentials from certificates that may be replaced while the server runs.
#pragma once

#include <memory>

#include "server/base/certificates.h"

namespace grpc {
class ServerCredentials;
}  // namespace grpc

namespace dyad {

// TLS 1.2 or newer; plaintext if there are no files. They share the ownership of `certificates`.
std::shared_ptr<grpc::ServerCredentials> CredentialsOf(std::shared_ptr<Certificates> certificates);

}  // namespace dyad
