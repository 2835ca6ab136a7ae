// Takes connections, and knows them until they close.
#include "server/http/http_server.h"

#include <unistd.h>

#include <atomic>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/base/steady_clock.h"
#include "server/base/thread.h"
#include "server/http/connection.h"

namespace dyad {
namespace {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
using Tls = std::shared_ptr<asio::ssl::context>;

// A port that cannot take a connection, as all files are open, tries again after this.
constexpr absl::Duration kAcceptPause = absl::Milliseconds(10);
// So many more than --http_max_connections are told so; the others are closed.
constexpr size_t kRefusals = 64;

absl::StatusOr<Tls> ContextOf(const Pem& pem) {
  ErrorCode error;
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  context->use_certificate_chain(asio::buffer(pem.certificate), error);
  if (!error) context->use_private_key(asio::buffer(pem.key), asio::ssl::context::pem, error);
  if (!error && !pem.client_ca.empty()) {
    context->add_certificate_authority(asio::buffer(pem.client_ca), error);
    if (!error) {
      context->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert,
                               error);
    }
  }
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("--tls_cert, --tls_key or --tls_ca: ", error.message()));
  }
  return context;
}

class AsioServer final : public HttpServer {
 public:
  AsioServer(const HttpServerOptions& options, Parts parts)
      : options_(options), parts_(std::move(parts)), port_(parts_.listener->port()) {}

  ~AsioServer() override {
    Shutdown(absl::ZeroDuration());
    context_.stop();
    for (std::thread& thread : threads_) thread.join();
  }

  absl::Status Begin() {
    if (parts_.certificates != nullptr) {
      pem_ = parts_.certificates->Current();
      if (pem_ != nullptr) {
        ASSIGN_OR_RETURN(tls_, ContextOf(*pem_));
      }
    }
    RETURN_IF_ERROR(parts_.listener->Listen(options_.write_timeout));
    for (const int socket : parts_.listener->sockets()) {
      ErrorCode error;
      sockaddr_storage address = {};
      socklen_t size = sizeof(address);
      getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
      auto& port = ports_.emplace_back(accepting_);
      const auto protocol =
          address.ss_family == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4();
      port.acceptor.assign(protocol, dup(socket), error);
      if (error) return absl::UnavailableError(absl::StrCat("cannot listen: ", error.message()));
    }
    for (Port& port : ports_) Accept(port);
    for (int32_t i = 0; i < options_.threads; ++i) {
      threads_.emplace_back([this] {
        NameThread(options_.name);
        context_.run();
      });
    }
    return absl::OkStatus();
  }

  int port() const override { return port_; }

  int64_t connections() const override {
    MutexLock lock(&mutex_);
    return static_cast<int64_t>(connections_.size());
  }

  void Shutdown(absl::Duration limit) override {
    asio::post(accepting_, [this] {
      for (Port& port : ports_) {
        ErrorCode ignored;
        port.acceptor.close(ignored);
        port.pause.cancel();
      }
    });
    const absl::Time until = SteadyNow() + limit;
    MutexLock lock(&mutex_);
    is_ending_ = true;
    parts_.listener.reset();
    for (const auto& connection : connections_) connection->CloseWhenIdle();
    AwaitNone(until);
    for (const auto& connection : connections_) connection->CloseNow();
    AwaitNone(SteadyNow() + absl::Seconds(1));
  }

 private:
  struct Port {
    explicit Port(asio::strand<asio::io_context::executor_type>& strand)
        : acceptor(strand), pause(strand) {}
    asio::ip::tcp::acceptor acceptor;
    asio::steady_timer pause;
  };

  void AwaitNone(absl::Time until) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    while (!connections_.empty()) {
      const absl::Duration left = until - SteadyNow();
      if (left <= absl::ZeroDuration()) return;
      changed_.WaitFor(&mutex_, absl::ToChronoNanoseconds(left));
    }
  }

  // On the strand `accepting_`, as all that follows.
  void Accept(Port& port) {
    port.acceptor.async_accept(
        asio::make_strand(context_),
        asio::bind_executor(accepting_,
                            [this, &port](const ErrorCode& error, Transport::Socket socket) {
                              if (!error) {
                                Take(std::move(socket));
                              } else if (!port.acceptor.is_open()) {
                                return;
                              } else {
                                return Pause(port, error);
                              }
                              Accept(port);
                            }));
  }

  void Pause(Port& port, const ErrorCode& error) {
    const absl::Time now = SteadyNow();
    if (now - warned_ > absl::Seconds(1)) {
      warned_ = now;
      parts_.log(LogLevel::kWarning, "an http connection cannot be taken",
                 {{"message", error.message()}});
    }
    port.pause.expires_after(absl::ToChronoNanoseconds(kAcceptPause));
    port.pause.async_wait(asio::bind_executor(accepting_, [this, &port](const ErrorCode&) {
      if (port.acceptor.is_open()) Accept(port);
    }));
  }

  // That of the files as they are now; the one before if TLS does not take them.
  Tls CurrentTls() {
    if (pem_ == nullptr) return nullptr;
    std::shared_ptr<const Pem> pem = parts_.certificates->Current();
    if (pem == pem_) return tls_;
    pem_ = std::move(pem);
    absl::StatusOr<Tls> tls = ContextOf(*pem_);
    if (tls.ok()) {
      tls_ = *std::move(tls);
    } else {
      parts_.log(LogLevel::kError, "http tls", {{"message", std::string(tls.status().message())}});
    }
    return tls_;
  }

  void Take(Transport::Socket socket) {
    ErrorCode ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    const auto executor = socket.get_executor();
    const auto connection = std::make_shared<Connection>(
        Transport::Make(std::move(socket), CurrentTls()),
        Connection::Parts{options_, parts_.handlers, is_ending_, [this](Connection* closed) {
                            MutexLock lock(&mutex_);
                            connections_.erase(closed->shared_from_this());
                            changed_.SignalAll();
                          }});
    std::optional<HttpFault> refusal;
    {
      MutexLock lock(&mutex_);
      const auto most = static_cast<size_t>(options_.max_connections);
      if (is_ending_ || connections_.size() >= most + kRefusals) return;
      if (connections_.size() >= most) {
        refusal = HttpFault{503, absl::StrCat("the server has ", most, " connections, its limit")};
      }
      connections_.insert(connection);
    }
    asio::post(executor, [connection, refusal = std::move(refusal)]() mutable {
      connection->Start(std::move(refusal));
    });
  }

  const HttpServerOptions options_;
  Parts parts_;
  std::atomic<bool> is_ending_ = false;  // set with the mutex held
  const int port_;
  asio::io_context context_;
  const asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  asio::strand<asio::io_context::executor_type> accepting_{context_.get_executor()};
  std::deque<Port> ports_;
  std::shared_ptr<const Pem> pem_;
  Tls tls_;
  absl::Time warned_ = absl::InfinitePast();

  mutable Mutex mutex_;
  CondVar changed_;
  std::set<std::shared_ptr<Connection>> connections_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                              Parts parts) {
  auto server = std::make_unique<AsioServer>(options, std::move(parts));
  RETURN_IF_ERROR(server->Begin());
  return server;
}

}  // namespace dyad
