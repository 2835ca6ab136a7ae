// Takes connections and hands them to gRPC, whose own loop never takes another one after it has
// once run out of open files (CVE-2023-4785).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <unordered_set>

#include "absl/time/time.h"
#include "server/base/listener.h"
#include "server/base/log_line.h"

namespace dyad {

// A connection takes two open files: gRPC's and a duplicate, by which its end is seen. At the limit
// of connections, or of open files, new ones wait in the system's queue until there is room, and a
// warning is logged, once a second at most.
//
// Threads: one of its own takes connections. Shutdown and the destructor: one at a time.
class Acceptor {
 public:
  struct Parts {
    std::unique_ptr<Listener> listener;  // listens already
    std::function<void(int socket)> hand_over;
    LogFunction log;
  };

  // Raises the process's limit of open files as far as it may, and takes at most `max_connections`
  // at a time, and no more than half of the open files without kOwnFiles.
  Acceptor(Parts parts, int64_t max_connections);
  // As Shutdown(absl::ZeroDuration()).
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Closes the port. Then ends each connection as soon as its peer has received all that was
  // written, within `limit`: nothing more is read from it, and gRPC closes it. Calls that are
  // still on their way get UNAVAILABLE from their client's side.
  void Shutdown(absl::Duration limit);

  int port() const { return port_; }
  int64_t connections() const { return count_; }
  int64_t pauses() const { return pauses_; }  // how often the limit was reached

  // Open files that connections leave for all else: models, metrics, libraries.
  static constexpr int64_t kOwnFiles = 48;

 private:
  void Run();
  void WaitForEvents(int milliseconds);
  void Take(int listening);
  void Pause(const char* reason);
  void Watch(int fd, uint32_t events);

  const Parts parts_;
  const int port_;
  const int64_t max_connections_;
  const int epoll_;
  const int wake_;
  // The thread's, then Shutdown's.
  std::unordered_set<int> duplicates_;  // one for each connection
  bool is_paused_ = false;
  absl::Time warned_ = absl::InfinitePast();
  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> count_ = 0;
  std::atomic<int64_t> pauses_ = 0;
  std::thread thread_;
};

}  // namespace dyad
