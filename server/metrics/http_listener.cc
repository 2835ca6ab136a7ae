// libevent reads requests and writes answers; here are the address, the page and the thread.
#include "server/metrics/http_listener.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/status_macros.h"
#include "server/base/thread.h"

namespace dyad {
namespace {

constexpr int kIdleSeconds = 10;
constexpr int kMaxHeadBytes = 8192;
constexpr absl::Duration kAcceptPause = absl::Milliseconds(10);

struct HostPort {
  std::string host;
  std::string port;
};

absl::StatusOr<HostPort> Split(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon != std::string::npos && colon > 0) {
    HostPort result = {address.substr(0, colon), address.substr(colon + 1)};
    const bool bracketed = result.host.front() == '[' && result.host.back() == ']';
    if (bracketed) result.host = result.host.substr(1, result.host.size() - 2);
    uint32_t port = 0;
    const bool digits = result.port.find_first_not_of("0123456789") == std::string::npos;
    if (digits && absl::SimpleAtoi(result.port, &port) && port <= 65535 && !result.host.empty()) {
      return result;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("metrics address is \"", address, "\"; expected host:port, port 0 to 65535"));
}

template <auto* function>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    function(object);
  }
};
using EventBase = std::unique_ptr<event_base, Deleter<event_base_free>>;
using HttpServer = std::unique_ptr<evhttp, Deleter<evhttp_free>>;
using Addresses = std::unique_ptr<addrinfo, Deleter<freeaddrinfo>>;

class EventListener final : public HttpListener {
 public:
  explicit EventListener(std::function<std::string()> page) : page_(std::move(page)) {
    evhttp_set_timeout(http_.get(), kIdleSeconds);
    evhttp_set_max_headers_size(http_.get(), kMaxHeadBytes);
    evhttp_set_max_body_size(http_.get(), 0);
    evhttp_set_allowed_methods(http_.get(), EVHTTP_REQ_GET);
    evhttp_set_cb(http_.get(), "/metrics", &EventListener::Answer, this);
  }

  ~EventListener() override {
    if (thread_.joinable()) {
      eventfd_write(wake_, 1);
      thread_.join();
    }
    close(wake_);
  }

  absl::Status Listen(const std::string& address) {
    ASSIGN_OR_RETURN(const HostPort where, Split(address));
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* list = nullptr;
    const int error = getaddrinfo(where.host.c_str(), where.port.c_str(), &hints, &list);
    if (error != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("metrics address is \"", address, "\": ", gai_strerror(error)));
    }
    const Addresses found(list);
    evconnlistener* listener = evconnlistener_new_bind(
        base_.get(), nullptr, nullptr,
        LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
        /*backlog=*/-1, found->ai_addr, static_cast<int>(found->ai_addrlen));
    if (listener == nullptr) {
      return absl::UnavailableError(
          absl::StrCat("cannot serve metrics on ", address, ": ", std::strerror(errno)));
    }
    socket_ = evconnlistener_get_fd(listener);
    evhttp_bind_listener(http_.get(), listener);
    evconnlistener_set_error_cb(listener, [](evconnlistener*, void*) {
      // No descriptor is free: the loop would come back at once.
      absl::SleepFor(kAcceptPause);
    });
    thread_ = std::thread([this] { Run(); });
    return absl::OkStatus();
  }

  int port() const override {
    sockaddr_storage address = {};
    socklen_t size = sizeof(address);
    getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    // A v6 address has its port at the same place.
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
  }

 private:
  static void Answer(evhttp_request* request, void* self) {
    evkeyvalq* head = evhttp_request_get_output_headers(request);
    evhttp_add_header(head, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    evhttp_add_header(head, "Connection", "close");
    const std::string page = static_cast<EventListener*>(self)->page_();
    evbuffer_add(evhttp_request_get_output_buffer(request), page.data(), page.size());
    evhttp_send_reply(request, HTTP_OK, "OK", nullptr);
  }

  void Run() {
    NameThread("metrics");
    // A caller that left shows as a failed write, not as a signal.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    const auto end = [](evutil_socket_t, short, void* base) {
      event_base_loopbreak(static_cast<event_base*>(base));
    };
    event_base_once(base_.get(), wake_, EV_READ, end, base_.get(), nullptr);
    event_base_dispatch(base_.get());
  }

  const std::function<std::string()> page_;
  const EventBase base_{event_base_new()};
  const HttpServer http_{evhttp_new(base_.get())};
  const int wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int socket_ = -1;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpListener>> HttpListener::Start(
    const std::string& address, std::function<std::string()> page) {
  auto listener = std::make_unique<EventListener>(std::move(page));
  RETURN_IF_ERROR(listener->Listen(address));
  return listener;
}

}  // namespace dyad
