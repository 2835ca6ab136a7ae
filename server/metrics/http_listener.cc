// Non-blocking sockets and one poll loop.
#include "server/metrics/http_listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <list>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

constexpr size_t kMaxConnections = 32;
constexpr size_t kMaxRequestBytes = 8192;
constexpr absl::Duration kConnectionLimit = absl::Seconds(10);
constexpr absl::Duration kAcceptPause = absl::Milliseconds(10);

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

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

absl::StatusOr<Socket> Listen(const std::string& address) {
  ASSIGN_OR_RETURN(const HostPort where, Split(address));
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(where.host.c_str(), where.port.c_str(), &hints, &found);
  if (error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("metrics address is \"", address, "\": ", gai_strerror(error)));
  }
  Socket socket(::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on =
      1;  // a restarted server need not wait for the old one's connections to be forgotten
  setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const bool listens =
      bind(socket.fd(), found->ai_addr, found->ai_addrlen) == 0 && listen(socket.fd(), 64) == 0;
  const int reason = errno;
  freeaddrinfo(found);
  if (!listens) {
    return absl::UnavailableError(
        absl::StrCat("cannot serve metrics on ", address, ": ", std::strerror(reason)));
  }
  return socket;
}

int PortOf(const Socket& socket) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                             : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

std::string Answer(const char* status, const std::string& body) {
  return absl::StrCat(
      "HTTP/1.1 ", status,
      "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: ", body.size(),
      "\r\nConnection: close\r\n\r\n", body);
}

// `request` begins with its request line.
std::string AnswerTo(const std::string& request, const std::function<std::string()>& page) {
  const std::string line = request.substr(0, request.find_first_of("\r\n"));
  const size_t first = line.find(' ');
  const size_t second = line.find(' ', first + 1);
  if (first == std::string::npos || second == std::string::npos ||
      line.compare(second, 6, " HTTP/") != 0) {
    return Answer("400 Bad Request", "not an HTTP request\n");
  }
  std::string path = line.substr(first + 1, second - first - 1);
  path = path.substr(0, path.find('?'));
  if (path != "/metrics") return Answer("404 Not Found", "only /metrics is here\n");
  if (line.compare(0, first, "GET") != 0) return Answer("405 Method Not Allowed", "only GET\n");
  return Answer("200 OK", page());
}

struct Connection {
  Socket socket;
  absl::Time until;
  std::string request = "";
  std::string answer = "";  // empty while the request is incomplete
  size_t sent = 0;

  bool writing() const { return !answer.empty(); }
};

enum class Progress { kMore, kDone };

class PollingListener final : public HttpListener {
 public:
  PollingListener(Socket listening, std::function<std::string()> page)
      : listening_(std::move(listening)),
        wake_(eventfd(0, EFD_CLOEXEC)),
        page_(std::move(page)),
        thread_([this] { Run(); }) {}

  ~PollingListener() override {
    const uint64_t one = 1;
    while (write(wake_.fd(), &one, sizeof(one)) < 0 && errno == EINTR) {
    }
    thread_.join();
  }

  int port() const override { return PortOf(listening_); }

 private:
  void Run() {
    while (true) {
      std::vector<pollfd> polled = {{wake_.fd(), POLLIN, 0}, {listening_.fd(), POLLIN, 0}};
      for (const Connection& connection : connections_) {
        const short events = connection.writing() ? POLLOUT : POLLIN;
        polled.push_back({connection.socket.fd(), events, 0});
      }
      poll(polled.data(), polled.size(), connections_.empty() ? -1 : 500);
      if (polled[0].revents != 0) return;
      size_t i = 2;
      for (auto it = connections_.begin(); it != connections_.end(); ++i) {
        const bool ready = polled[i].revents != 0;
        const bool done = (ready && Serve(*it) == Progress::kDone) || absl::Now() > it->until;
        it = done ? connections_.erase(it) : std::next(it);
      }
      if (polled[1].revents != 0) Accept();
    }
  }

  void Accept() {
    Socket socket(accept4(listening_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.fd() < 0) {
      absl::SleepFor(kAcceptPause);  // no descriptor is free: poll would come back at once
      return;
    }
    if (connections_.size() == kMaxConnections) connections_.pop_front();
    connections_.push_back({std::move(socket), absl::Now() + kConnectionLimit});
  }

  Progress Serve(Connection& connection) {
    if (!connection.writing()) {
      char buffer[2048];
      const ssize_t count = recv(connection.socket.fd(), buffer, sizeof(buffer), 0);
      if (count < 0 && (errno == EAGAIN || errno == EINTR)) return Progress::kMore;
      if (count <= 0) return Progress::kDone;
      connection.request.append(buffer, static_cast<size_t>(count));
      const bool complete = connection.request.find("\r\n\r\n") != std::string::npos;
      if (!complete && connection.request.size() < kMaxRequestBytes) return Progress::kMore;
      connection.answer = complete ? AnswerTo(connection.request, page_)
                                   : Answer("431 Request Header Fields Too Large", "");
    }
    const std::string_view rest = std::string_view(connection.answer).substr(connection.sent);
    const ssize_t count = send(connection.socket.fd(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (count < 0) return errno == EAGAIN || errno == EINTR ? Progress::kMore : Progress::kDone;
    connection.sent += static_cast<size_t>(count);
    return connection.sent == connection.answer.size() ? Progress::kDone : Progress::kMore;
  }

  const Socket listening_;
  const Socket wake_;
  const std::function<std::string()> page_;
  std::list<Connection> connections_;  // oldest first; the thread's own
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpListener>> HttpListener::Start(
    const std::string& address, std::function<std::string()> page) {
  ASSIGN_OR_RETURN(Socket socket, Listen(address));
  return std::make_unique<PollingListener>(std::move(socket), std::move(page));
}

}  // namespace dyad
