// One epoll set: the listening sockets, the duplicates, and an event that ends the loop.
#include "server/grpc/acceptor.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "server/base/steady_clock.h"
#include "server/base/thread.h"

namespace dyad {
namespace {

// How soon a paused loop looks again, for files that others than connections gave back.
constexpr int kPausedMilliseconds = 100;
constexpr int kEndingMilliseconds = 5;

int64_t MostConnections(int64_t wanted) {
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_NOFILE, &files);
  const auto most = static_cast<int64_t>(std::min<rlim_t>(files.rlim_cur, rlim_t{1} << 30));
  return std::clamp<int64_t>((most - Acceptor::kOwnFiles) / 2, 1, wanted);
}

// Whether the peer has acknowledged all that was written.
bool AllArrived(int socket) {
  int waiting = 0;
  return ioctl(socket, SIOCOUTQ, &waiting) != 0 || waiting == 0;
}

}  // namespace

Acceptor::Acceptor(Parts parts, int64_t max_connections)
    : parts_(std::move(parts)),
      port_(parts_.listener->port()),
      max_connections_(MostConnections(max_connections)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  Watch(wake_, EPOLLIN);
  for (const int listening : parts_.listener->sockets()) Watch(listening, EPOLLIN);
  thread_ = std::thread([this] { Run(); });
}

Acceptor::~Acceptor() {
  Shutdown(absl::ZeroDuration());
  for (const int duplicate : duplicates_) close(duplicate);
  close(epoll_);
  close(wake_);
}

void Acceptor::Run() {
  NameThread("accept");
  while (!stop_) {
    WaitForEvents(is_paused_ ? kPausedMilliseconds : -1);
    is_paused_ = false;
    for (const int listening : parts_.listener->sockets()) Take(listening);
    // A paused loop must not wake up for those that wait.
    epoll_event event = {is_paused_ ? 0u : uint32_t{EPOLLIN}, {}};
    for (const int listening : parts_.listener->sockets()) {
      event.data.fd = listening;
      epoll_ctl(epoll_, EPOLL_CTL_MOD, listening, &event);
    }
  }
}

void Acceptor::WaitForEvents(int milliseconds) {
  std::array<epoll_event, 64> events;
  const int count =
      epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), milliseconds);
  for (int i = 0; i < count; ++i) {
    const int fd = events[static_cast<size_t>(i)].data.fd;
    // gRPC shuts a socket down when it is done with it; only then this file is the last.
    if ((events[static_cast<size_t>(i)].events & EPOLLHUP) == 0) continue;
    if (duplicates_.erase(fd) == 0) continue;
    close(fd);
    --count_;
  }
}

void Acceptor::Take(int listening) {
  while (!is_paused_ && !stop_) {
    if (count_ >= max_connections_) return Pause("the limit of connections is reached");
    const int socket = accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) {
      if (errno == EAGAIN) return;
      // Those of the peer's making (ECONNABORTED, EPROTO …) are about one connection only.
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        Pause(std::strerror(errno));
      }
      continue;
    }
    const int duplicate = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    if (duplicate < 0) {
      Pause(std::strerror(errno));
      close(socket);
      continue;
    }
    duplicates_.insert(duplicate);
    ++count_;
    Watch(duplicate, EPOLLET);  // EPOLLHUP is always watched for
    parts_.hand_over(socket);
  }
}

void Acceptor::Pause(const char* reason) {
  is_paused_ = true;
  ++pauses_;
  const absl::Time now = SteadyNow();
  if (now - warned_ < absl::Seconds(1)) return;
  warned_ = now;
  parts_.log(LogLevel::kWarning, "new connections wait",
             {{"reason", reason}, {"connections", count_.load()}, {"most", max_connections_}});
}

void Acceptor::Watch(int fd, uint32_t events) {
  epoll_event event = {events, {}};
  event.data.fd = fd;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

void Acceptor::Shutdown(absl::Duration limit) {
  if (stop_.exchange(true)) return;
  eventfd_write(wake_, 1);
  thread_.join();
  epoll_ctl(epoll_, EPOLL_CTL_DEL, wake_, nullptr);
  const absl::Time until = SteadyNow() + limit;
  // Sockets that listened are closed with the listener; until then nobody takes what comes.
  for (const int listening : parts_.listener->sockets()) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, listening, nullptr);
    shutdown(listening, SHUT_RDWR);
  }
  while (count_ > 0 && SteadyNow() < until) {
    for (const int duplicate : duplicates_) {
      if (AllArrived(duplicate)) shutdown(duplicate, SHUT_RD);
    }
    WaitForEvents(kEndingMilliseconds);
  }
}

}  // namespace dyad
