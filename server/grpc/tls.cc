// gRPC asks a fetcher for the certificates at each handshake.
#include "server/grpc/tls.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpcpp/security/server_credentials.h>

#include <utility>

#include "server/base/mutex.h"

namespace dyad {
namespace {

class FetchedCredentials final : public grpc::ServerCredentials {
 public:
  FetchedCredentials(std::shared_ptr<Certificates> certificates, const Pem& pem)
      : source_(std::move(certificates)),
        credentials_(grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(
                pem.client_ca.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                      : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY,
                &FetchedCredentials::Fetch, this))) {}
  ~FetchedCredentials() override { grpc_server_credentials_release(credentials_); }
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  static grpc_ssl_certificate_config_reload_status Fetch(
      void* self, grpc_ssl_server_certificate_config** config) {
    auto& credentials = *static_cast<FetchedCredentials*>(self);
    const std::shared_ptr<const Pem> pem = credentials.source_->Current();
    MutexLock lock(&credentials.mutex_);
    if (credentials.given_ == pem) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    credentials.given_ = pem;
    const grpc_ssl_pem_key_cert_pair pair = {pem->key.c_str(), pem->certificate.c_str()};
    // Debian's gRPC asserts that there are authorities, also where no client has to show a
    // certificate.
    const std::string& authorities = pem->client_ca.empty() ? pem->certificate : pem->client_ca;
    *config = grpc_ssl_server_certificate_config_create(authorities.c_str(), &pair, 1);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  const std::shared_ptr<Certificates> source_;
  grpc_server_credentials* const credentials_;
  Mutex mutex_;
  std::shared_ptr<const Pem> given_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> CredentialsOf(std::shared_ptr<Certificates> certificates) {
  const std::shared_ptr<const Pem> pem = certificates->Current();
  if (pem == nullptr) return grpc::InsecureServerCredentials();
  return std::make_shared<FetchedCredentials>(std::move(certificates), *pem);
}

}  // namespace dyad
