// Builds the grpc::Server, and counts calls in flight so that its end waits for them and nothing
// else.
#include "server/grpc/rpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/support/server_interceptor.h>

#include <algorithm>
#include <climits>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/message.h"
#include "grpc/health/v1/health.pb.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/base/steady_clock.h"
#include "server/grpc/acceptor.h"

namespace dyad {
namespace {

constexpr int kMaxReflectionThreads = 16;

// An answer that stays unread for so long, while no other call ends, is not waited for.
constexpr absl::Duration kUnread = absl::Seconds(5);
// Of a connection's start. gRPC's default of two minutes keeps one that says nothing for as long.
constexpr absl::Duration kHandshakeTimeout = absl::Seconds(20);
// For gRPC to close connections from which nothing more is read.
constexpr absl::Duration kClosing = absl::Seconds(1);

class CallCount {
 public:
  // Whether the call counts: those that come during the end are not waited for.
  bool Add() {
    MutexLock lock(&mutex_);
    if (!closed_) ++calls_;
    return !closed_;
  }
  void Remove() {
    MutexLock lock(&mutex_);
    --calls_;
    ++ended_;
    changed_.SignalAll();
  }
  void WaitForNone(absl::Time until) {
    MutexLock lock(&mutex_);
    closed_ = true;
    int64_t ended = ended_;
    absl::Time unread = SteadyNow() + kUnread;
    while (calls_ > 0) {
      if (std::exchange(ended, ended_) != ended_) unread = SteadyNow() + kUnread;
      const absl::Duration left = std::min(until, unread) - SteadyNow();
      if (left <= absl::ZeroDuration()) return;
      changed_.WaitFor(&mutex_, absl::ToChronoNanoseconds(left));
    }
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int64_t calls_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t ended_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

// Lives as long as one call, and only tells the count so.
class CountedCall final : public grpc::experimental::Interceptor {
 public:
  explicit CountedCall(std::shared_ptr<CallCount> count) : count_(std::move(count)) {}
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
    if (!count_->Add()) return nullptr;
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
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                             Milliseconds(options.max_connection_idle));
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Milliseconds(kHandshakeTimeout));
}

class GrpcServer final : public RpcServer {
 public:
  struct Parts {
    std::shared_ptr<Certificates> certificates;
    std::unique_ptr<grpc::Server> server;
    std::shared_ptr<CallCount> calls;
  };

  GrpcServer(Parts parts, std::unique_ptr<Acceptor> acceptor)
      : parts_(std::move(parts)), acceptor_(std::move(acceptor)) {}

  ~GrpcServer() override { Shutdown(absl::ZeroDuration()); }

  int port() const override { return acceptor_->port(); }

  void SetServing(const std::string& name, ServingState state) override {
    parts_.server->GetHealthCheckService()->SetServingStatus(name, state == ServingState::kServing);
  }

  void Shutdown(absl::Duration limit) override {
    parts_.calls->WaitForNone(SteadyNow() + limit);
    MutexLock lock(&shutdown_mutex_);
    if (std::exchange(shut_down_, true)) return;
    // First the connections: a call that gRPC takes during its own shutdown ends with CANCELLED,
    // which no client tries again.
    acceptor_->Shutdown(kClosing);
    parts_.server->Shutdown(gpr_inf_past(GPR_CLOCK_MONOTONIC));
  }

  int64_t connections() const override { return acceptor_->connections(); }
  int64_t connection_pauses() const override { return acceptor_->pauses(); }
  std::optional<absl::Time> certificate_end() const override { return parts_.certificates->end(); }

 private:
  const Parts parts_;
  const std::unique_ptr<Acceptor> acceptor_;
  Mutex shutdown_mutex_;
  bool shut_down_ ABSL_GUARDED_BY(shutdown_mutex_) = false;
};

// Process-wide switches, set before the first server is built.
void EnableProcessWide() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    // gRPC's own service has no descriptor of itself; reflection finds the one that this links in.
    google::protobuf::LinkMessageReflection<grpc::health::v1::HealthCheckRequest>();
  });
}

}  // namespace

absl::StatusOr<RpcServerParts> RpcServer::Prepare(const RpcServerOptions& options,
                                                  LogFunction log) {
  RpcServerParts parts;
  ASSIGN_OR_RETURN(parts.certificates, Certificates::Load(options.tls, log));
  ASSIGN_OR_RETURN(parts.listener, Listener::Bind(options.listen));
  parts.log = std::move(log);
  return parts;
}

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(
    const RpcServerOptions& options, RpcServerParts parts,
    const std::function<void(grpc::ServerBuilder&)>& register_services) {
  using ConnectionType = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
  EnableProcessWide();
  grpc::ServerBuilder builder;
  SetBounds(options, builder);
  std::shared_ptr<grpc::experimental::ExternalConnectionAcceptor> connections =
      builder.experimental().AddExternalConnectionAcceptor(ConnectionType::FROM_FD,
                                                           CredentialsOf(parts.certificates));
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
    return absl::UnavailableError(absl::StrCat("gRPC cannot serve on ", options.listen));
  }
  server->GetHealthCheckService()->SetServingStatus("", false);
  RETURN_IF_ERROR(parts.listener->Listen(options.keepalive_timeout));
  const auto hand_over = [connections](int socket) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = socket;
    connections->HandleNewConnection(&connection);
  };
  auto acceptor = std::make_unique<Acceptor>(
      Acceptor::Parts{std::move(parts.listener), hand_over, std::move(parts.log)},
      options.max_connections);
  return std::make_unique<GrpcServer>(
      GrpcServer::Parts{std::move(parts.certificates), std::move(server), std::move(calls)},
      std::move(acceptor));
}

std::string TransportVersion() { return "gRPC " + grpc::Version(); }

}  // namespace dyad
