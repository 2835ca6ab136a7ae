// The sockets that listen where --listen says.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace dyad {

// Bound at first, so that a port that is taken shows before models are loaded; a client that
// connects before Listen is refused. Threads: one at a time.
class Listener {
 public:
  // host:port, [v6]:port or unix:path. A host with several addresses is listened to on all of them,
  // 0.0.0.0 and [::] on every address of both kinds. Port 0 picks one. A socket file that nobody
  // listens to is replaced. Errors: Unavailable (in use, no such address), InvalidArgument.
  static absl::StatusOr<std::unique_ptr<Listener>> Bind(const std::string& address);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // A peer that acknowledges nothing for `send_timeout` has lost its connection. Errors:
  // Unavailable.
  absl::Status Listen(absl::Duration send_timeout);

  int port() const { return port_; }  // 0 for unix:path
  const std::vector<int>& sockets() const { return sockets_; }

 private:
  explicit Listener(std::string address) : address_(std::move(address)) {}
  absl::Status BindPath(const std::string& path);
  absl::Status BindHost(const std::string& host, const std::string& port);
  absl::Status Failed(int error) const;

  const std::string address_;
  std::vector<int> sockets_;
  std::string path_;  // of the socket file that is to be removed
  int port_ = 0;
};

}  // namespace dyad
