// Addresses -> sockets.
#include "server/base/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

constexpr int kBacklog = 4096;  // bounded by net.core.somaxconn
constexpr int kType = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

void SetOption(int socket, int level, int name, int value) {
  setsockopt(socket, level, name, &value, sizeof(value));
}

// A v6 address has its port at the same place.
in_port_t& PortOf(sockaddr* address) { return reinterpret_cast<sockaddr_in*>(address)->sin_port; }

// Whether it stands in `list` before: some hosts files give localhost one address twice.
bool IsRepeated(const addrinfo* list, const addrinfo* address) {
  for (; list != address; list = list->ai_next) {
    if (list->ai_addrlen == address->ai_addrlen &&
        std::memcmp(list->ai_addr, address->ai_addr, address->ai_addrlen) == 0) {
      return true;
    }
  }
  return false;
}

// Whether the file is a socket that nobody listens to: what a crash leaves behind.
bool IsStale(const sockaddr_un& address) {
  struct stat info = {};
  if (lstat(address.sun_path, &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
  const int probe = socket(AF_UNIX, kType, 0);
  const bool refused =
      connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
      errno == ECONNREFUSED;
  close(probe);
  return refused;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Bind(const std::string& address) {
  std::unique_ptr<Listener> listener(new Listener(address));
  if (absl::StartsWith(address, "unix:")) {
    std::string path = address.substr(5);
    if (absl::StartsWith(path, "///")) path = path.substr(2);  // unix:///path
    RETURN_IF_ERROR(listener->BindPath(path));
    return listener;
  }
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is no host:port"));
  }
  const std::string host(absl::StripSuffix(absl::StripPrefix(address.substr(0, colon), "["), "]"));
  RETURN_IF_ERROR(listener->BindHost(host, address.substr(colon + 1)));
  return listener;
}

Listener::~Listener() {
  for (const int socket : sockets_) close(socket);
  if (!path_.empty()) unlink(path_.c_str());
}

absl::Status Listener::Failed(int error) const {
  return absl::UnavailableError(
      absl::StrCat("cannot listen on ", address_, ": ",
                   error == EADDRINUSE ? "it is in use by another process" : std::strerror(error)));
}

absl::Status Listener::BindPath(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return Failed(ENAMETOOLONG);
  std::copy(path.begin(), path.end(), address.sun_path);
  const int socket = ::socket(AF_UNIX, kType, 0);
  if (socket < 0) return Failed(errno);
  sockets_.push_back(socket);
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  int error = bind(socket, name, sizeof(address)) == 0 ? 0 : errno;
  if (error == EADDRINUSE && IsStale(address)) {
    unlink(path.c_str());
    error = bind(socket, name, sizeof(address)) == 0 ? 0 : errno;
  }
  if (error != 0) return Failed(error);
  path_ = path;
  return absl::OkStatus();
}

absl::Status Listener::BindHost(const std::string& host, const std::string& port) {
  const bool any = host == "0.0.0.0" || host == "::";
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int fault = getaddrinfo(any ? nullptr : host.c_str(), port.c_str(), &hints, &list);
  if (fault != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address_, ": ", gai_strerror(fault)));
  }
  const std::unique_ptr<addrinfo, FreeAddresses> owned(list);
  int error = EADDRNOTAVAIL;
  for (const addrinfo* found = list; found != nullptr; found = found->ai_next) {
    if (IsRepeated(list, found)) continue;
    const int socket = ::socket(found->ai_family, kType, 0);
    if (socket < 0) {  // a kind of address that this machine does not have
      error = errno;
      continue;
    }
    sockets_.push_back(socket);
    SetOption(socket, SOL_SOCKET, SO_REUSEADDR, 1);
    if (found->ai_family == AF_INET6) SetOption(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    // The port that the first socket gets is that of all.
    sockaddr_storage wanted = {};
    std::memcpy(&wanted, found->ai_addr, found->ai_addrlen);
    if (port_ != 0)
      PortOf(reinterpret_cast<sockaddr*>(&wanted)) = htons(static_cast<in_port_t>(port_));
    if (bind(socket, reinterpret_cast<sockaddr*>(&wanted), found->ai_addrlen) != 0) {
      error = errno;
      if (error == EADDRINUSE) return Failed(error);
      close(socket);
      sockets_.pop_back();
      continue;
    }
    sockaddr_storage bound = {};
    socklen_t size = sizeof(bound);
    getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size);
    port_ = ntohs(PortOf(reinterpret_cast<sockaddr*>(&bound)));
  }
  return sockets_.empty() ? Failed(error) : absl::OkStatus();
}

absl::Status Listener::Listen(absl::Duration send_timeout) {
  for (const int socket : sockets_) {
    if (path_.empty()) {  // accepted sockets inherit both
      SetOption(socket, IPPROTO_TCP, TCP_NODELAY, 1);
      SetOption(socket, IPPROTO_TCP, TCP_USER_TIMEOUT,
                static_cast<int>(absl::ToInt64Milliseconds(send_timeout)));
    }
    if (listen(socket, kBacklog) != 0) return Failed(errno);
  }
  return absl::OkStatus();
}

}  // namespace dyad
