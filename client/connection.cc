// Channels with one service config for all of them.
#include "client/connection.h"

#include <google/rpc/status.pb.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"
#include "server/base/file.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

// As the retries of calls (client.cc): a server that is back is found again within one of them.
// gRPC's own values, 1 s to 120 s, would use up every attempt at a call on one failure to connect.
constexpr int kFirstReconnectMs = 100, kLastReconnectMs = 5000;
constexpr int64_t kMaxPemBytes = 4 << 20;
constexpr int64_t kMaxKeyFileBytes = 1 << 20;

absl::StatusOr<std::string> ReadPem(const char* option, const std::string& path) {
  if (path.empty()) return std::string();
  absl::StatusOr<std::string> content = ReadFile(path, kMaxPemBytes);
  if (!content.ok()) {
    return absl::Status(content.status().code(),
                        absl::StrCat(option, " is ", path, ": ", content.status().message()));
  }
  if (absl::StrContains(*content, "-----BEGIN ")) return content;
  return absl::InvalidArgumentError(absl::StrCat(option, " is ", path, ", which is no PEM file"));
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> Credentials(
    const ConnectionOptions& options) {
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return absl::InvalidArgumentError("tls_cert and tls_key go together: one of them is missing");
  }
  if (options.tls_ca.empty() && options.tls_cert.empty()) {
    return grpc::InsecureChannelCredentials();
  }
  grpc::SslCredentialsOptions pem;
  ASSIGN_OR_RETURN(pem.pem_root_certs, ReadPem("tls_ca", options.tls_ca));
  ASSIGN_OR_RETURN(pem.pem_cert_chain, ReadPem("tls_cert", options.tls_cert));
  ASSIGN_OR_RETURN(pem.pem_private_key, ReadPem("tls_key", options.tls_key));
  return grpc::SslCredentials(pem);
}

// The key to show; empty: none.
absl::StatusOr<std::string> ApiKey(const std::string& path) {
  if (path.empty()) {
    const char* key = std::getenv("DYAD_API_KEY");
    return std::string(key == nullptr ? "" : key);
  }
  const absl::StatusOr<std::string> content = ReadFile(path, kMaxKeyFileBytes);
  if (!content.ok()) {
    return absl::Status(content.status().code(),
                        absl::StrCat("api_key_file is ", path, ": ", content.status().message()));
  }
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(*content, '\n'))) {
    const std::string key(absl::StripTrailingAsciiWhitespace(line));
    if (!key.empty() && key.front() != '#') return key;
  }
  return absl::InvalidArgumentError(absl::StrCat("api_key_file is ", path, ", which has no key"));
}

// Adds the key to a call. Credentials of calls would need TLS, and a key may go over loopback.
class KeyInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit KeyInterceptor(const std::string& key) : value_("Bearer " + key) {}
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using grpc::experimental::InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace("authorization", value_);
    }
    methods->Proceed();
  }

 private:
  const std::string value_;
};

class KeyInterceptors final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit KeyInterceptors(std::string key) : key_(std::move(key)) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo*) override {
    return new KeyInterceptor(key_);  // gRPC deletes it with the call
  }

 private:
  const std::string key_;
};

}  // namespace

std::string ServiceConfigJson(Readiness readiness) {
  nlohmann::json config = {{"loadBalancingConfig", {{{"round_robin", nlohmann::json::object()}}}}};
  if (readiness == Readiness::kRequired) {
    config["healthCheckConfig"] = {{"serviceName", "readiness"}};
  }
  return config.dump();
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const ConnectionOptions& options) {
  ASSIGN_OR_RETURN(auto credentials, Credentials(options));
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(ServiceConfigJson(options.readiness));
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLastReconnectMs);
  // gRPC would share one connection among equal channels of a process; one HTTP/2 connection
  // carries only so many calls at once, and --streams is to mean that many clients.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  ASSIGN_OR_RETURN(std::string key, ApiKey(options.api_key_file));
  if (key.empty()) return grpc::CreateCustomChannel(options.server, credentials, arguments);
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<KeyInterceptors>(std::move(key)));
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      options.server, credentials, arguments, std::move(interceptors));
}

absl::Status ToStatus(const grpc::Status& status) {
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  google::rpc::Status reply;
  if (!reply.ParseFromString(status.error_details())) return result;
  for (const auto& detail : reply.details()) {
    result.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return result;
}

}  // namespace dyad::client
