// Builds the grpc::Server, and counts calls in flight so that its end waits for them and nothing
// else.
#include "server/grpc/rpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/support/server_interceptor.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

constexpr int kMaxReflectionThreads = 16;

class CallCount {
 public:
  void Add() {
    MutexLock lock(&mutex_);
    ++calls_;
  }
  void Remove() {
    MutexLock lock(&mutex_);
    if (--calls_ == 0) none_.SignalAll();
  }
  void WaitForNone(absl::Time until) {
    MutexLock lock(&mutex_);
    while (calls_ > 0) {
      const absl::Duration left = until - absl::Now();
      if (left <= absl::ZeroDuration()) return;
      none_.WaitFor(&mutex_, absl::ToChronoNanoseconds(std::min(left, absl::Hours(1))));
    }
  }

 private:
  Mutex mutex_;
  CondVar none_;
  int64_t calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Lives as long as one call, and only tells the count so.
class CountedCall final : public grpc::experimental::Interceptor {
 public:
  explicit CountedCall(std::shared_ptr<CallCount> count) : count_(std::move(count)) {
    count_->Add();
  }
  ~CountedCall() override { count_->Remove(); }
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    methods->Proceed();
  }

 private:
  const std::shared_ptr<CallCount> count_;
};

class CallCounter final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit CallCounter(std::shared_ptr<CallCount> count) : count_(std::move(count)) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    // Watches of health last until the server ends; waiting for them would be waiting for
    // ourselves.
    if (absl::StartsWith(info->method(), "/grpc.")) return nullptr;
    return new CountedCall(count_);  // gRPC deletes it with the call
  }

 private:
  const std::shared_ptr<CallCount> count_;
};

// The reflection library adds itself to every server of the process when it is linked; this takes
// it out again where it is not wanted.
class WithoutReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins, [](const auto& plugin) {
      return dynamic_cast<grpc::reflection::ProtoServerReflectionPlugin*>(plugin.get()) != nullptr;
    });
  }
};

int Milliseconds(absl::Duration duration) {
  if (duration == absl::InfiniteDuration()) return INT_MAX;
  return static_cast<int>(std::clamp<int64_t>(absl::ToInt64Milliseconds(duration), 1, INT_MAX - 1));
}

void SetBounds(const RpcServerOptions& options, grpc::ServerBuilder& builder) {
  // gRPC looks at a message's size when it holds all of it. So do the calls themselves, which also
  // log what they refuse and say why.
  builder.SetMaxReceiveMessageSize(-1);
  // gRPC 1.51 inflates a message in full before anybody sees how large it is.
  for (const grpc_compression_algorithm packed : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder.SetCompressionAlgorithmSupportStatus(packed, false);
  }
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_concurrent_streams);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_time));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             Milliseconds(options.keepalive_timeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Milliseconds(options.min_client_ping_interval));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                             Milliseconds(options.max_connection_age));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                             Milliseconds(options.max_connection_age_grace));
  // Reflection is the one service that takes a thread per stream.
  builder.SetResourceQuota(grpc::ResourceQuota("dyad-server").SetMaxThreads(kMaxReflectionThreads));
  // Otherwise two servers may listen on one port, and each gets some of the connections.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

class GrpcServer final : public RpcServer {
 public:
  GrpcServer(std::unique_ptr<grpc::Server> server, int port, std::shared_ptr<CallCount> calls)
      : server_(std::move(server)), port_(port), calls_(std::move(calls)) {}

  ~GrpcServer() override { Shutdown(absl::ZeroDuration()); }

  int port() const override { return port_; }

  void SetServing(const std::string& name, ServingState state) override {
    server_->GetHealthCheckService()->SetServingStatus(name, state == ServingState::kServing);
  }

  void Shutdown(absl::Duration limit) override {
    calls_->WaitForNone(absl::Now() + limit);
    MutexLock lock(&shutdown_mutex_);
    if (std::exchange(shut_down_, true)) return;
    server_->Shutdown(std::chrono::system_clock::now());
  }

 private:
  const std::unique_ptr<grpc::Server> server_;
  const int port_;
  const std::shared_ptr<CallCount> calls_;
  Mutex shutdown_mutex_;
  bool shut_down_ ABSL_GUARDED_BY(shutdown_mutex_) = false;
};

// Process-wide switches, set before the first server is built.
void EnableProcessWide() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(
    const RpcServerOptions& options,
    const std::function<void(grpc::ServerBuilder&)>& register_services) {
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ServerCredentials> credentials,
                   MakeServerCredentials(options.tls));
  EnableProcessWide();
  grpc::ServerBuilder builder;
  SetBounds(options, builder);
  int port = 0;
  builder.AddListeningPort(options.listen, credentials, &port);
  auto calls = std::make_shared<CallCount>();
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<CallCounter>(calls));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  if (options.reflection == Reflection::kOff) {
    builder.SetOption(std::make_unique<WithoutReflection>());
  }
  register_services(builder);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.listen));
  }
  server->GetHealthCheckService()->SetServingStatus("", false);
  return std::make_unique<GrpcServer>(std::move(server), port, std::move(calls));
}

std::string TransportVersion() { return "gRPC " + grpc::Version(); }

}  // namespace dyad
