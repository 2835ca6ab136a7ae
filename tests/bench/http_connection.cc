// Sockets and the shape of answers: tests/bench/http_connection.h.
#include "tests/bench/http_connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/status_macros.h"

namespace dyad::bench {

absl::StatusOr<HttpConnection> HttpConnection::Connect(const std::string& address,
                                                       absl::Duration timeout) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(address, " is no HOST:PORT"));
  }
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(address.substr(0, colon).c_str(),
                                  address.substr(colon + 1).c_str(), &hints, &found);
  if (failure != 0) {
    return absl::InvalidArgumentError(absl::StrCat(address, ": ", gai_strerror(failure)));
  }
  HttpConnection connection(socket(found->ai_family, found->ai_socktype, found->ai_protocol));
  const bool is_there = connect(connection.socket_, found->ai_addr, found->ai_addrlen) == 0;
  freeaddrinfo(found);
  if (!is_there) return absl::UnavailableError(absl::StrCat("cannot connect to ", address));
  const int on = 1;
  setsockopt(connection.socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (timeout < absl::Hours(1)) {
    const timeval limit = absl::ToTimeval(timeout);
    setsockopt(connection.socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  }
  return connection;
}

HttpConnection::HttpConnection(HttpConnection&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      read_(std::move(other.read_)),
      begin_(std::exchange(other.begin_, 0)) {}

HttpConnection& HttpConnection::operator=(HttpConnection&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(read_, other.read_);
  std::swap(begin_, other.begin_);
  return *this;
}

HttpConnection::~HttpConnection() {
  if (socket_ >= 0) close(socket_);
}

absl::Status HttpConnection::Send(std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return absl::UnavailableError("the connection ended");
    text.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

absl::Status HttpConnection::Fill() {
  read_.erase(0, std::exchange(begin_, 0));
  char buffer[16384];
  const ssize_t count = read(socket_, buffer, sizeof(buffer));
  if (count <= 0) return absl::UnavailableError("the connection ended or timed out");
  read_.append(buffer, static_cast<size_t>(count));
  return absl::OkStatus();
}

absl::StatusOr<std::string> HttpConnection::Line() {
  size_t end = read_.find("\r\n", begin_);
  while (end == std::string::npos) {
    RETURN_IF_ERROR(Fill());
    end = read_.find("\r\n", begin_);
  }
  std::string line = read_.substr(begin_, end - begin_);
  begin_ = end + 2;
  return line;
}

absl::Status HttpConnection::Take(size_t bytes,
                                  const std::function<void(std::string_view)>& on_bytes) {
  while (bytes > 0) {
    if (begin_ == read_.size()) RETURN_IF_ERROR(Fill());
    const size_t some = std::min(bytes, read_.size() - begin_);
    on_bytes(std::string_view(read_).substr(begin_, some));
    begin_ += some;
    bytes -= some;
  }
  return absl::OkStatus();
}

absl::Status HttpConnection::Post(const std::string& path, std::string_view body,
                                  const std::function<void(std::string_view)>& on_body) {
  RETURN_IF_ERROR(Send(absl::StrCat(
      "POST ", path, " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n",
      "Content-Length: ", body.size(), "\r\n\r\n", absl::string_view(body.data(), body.size()))));
  ASSIGN_OR_RETURN(const std::string status, Line());
  int code = 0;
  if (!absl::StartsWith(status, "HTTP/1.1 ") || !absl::SimpleAtoi(status.substr(9, 3), &code)) {
    return absl::DataLossError(absl::StrCat("no HTTP: ", status));
  }
  size_t length = 0;
  bool is_chunked = false;
  for (std::string line = "first"; !line.empty();) {
    ASSIGN_OR_RETURN(line, Line());
    absl::string_view value = line;
    if (absl::StartsWithIgnoreCase(line, "Content-Length: ")) {
      value.remove_prefix(16);
      if (!absl::SimpleAtoi(value, &length)) return absl::DataLossError(line);
    }
    is_chunked |= absl::EqualsIgnoreCase(line, "Transfer-Encoding: chunked");
  }
  std::string error;
  const std::function<void(std::string_view)> keep = [&](std::string_view text) { error += text; };
  const auto& on_bytes = code == 200 ? on_body : keep;
  if (!is_chunked) RETURN_IF_ERROR(Take(length, on_bytes));
  while (is_chunked) {
    ASSIGN_OR_RETURN(const std::string size, Line());
    uint32_t bytes = 0;
    if (!absl::SimpleHexAtoi(size, &bytes)) return absl::DataLossError("chunk of " + size);
    RETURN_IF_ERROR(Take(bytes, on_bytes));
    RETURN_IF_ERROR(Line().status());
    is_chunked = bytes > 0;
  }
  if (code == 429) return absl::ResourceExhaustedError(error);
  return code == 200 ? absl::OkStatus() : absl::UnknownError(absl::StrCat(code, ": ", error));
}

}  // namespace dyad::bench
