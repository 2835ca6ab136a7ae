// A raw socket to a server on loopback, for tests that send what no client would.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "gtest/gtest.h"

namespace dyad::testing {

class RawClient {
 public:
  explicit RawClient(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    const timeval limit = {.tv_sec = 30, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  }
  ~RawClient() { Close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void Send(const std::string& text) {
    // A server that has refused already may have closed.
    send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
  }
  // All until the server closes.
  std::string ReadAll() {
    while (ReadSome()) {
    }
    return read_;
  }
  // What was read so far, once `end` is in it or the server closes.
  std::string ReadUntil(const std::string& end) {
    while (read_.find(end) == std::string::npos && ReadSome()) {
    }
    return read_;
  }
  void Forget() { read_.clear(); }
  void EndWriting() { shutdown(fd_, SHUT_WR); }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  int fd() const { return fd_; }

 private:
  bool ReadSome() {
    char buffer[4096];
    const ssize_t n = read(fd_, buffer, sizeof(buffer));
    if (n > 0) read_.append(buffer, static_cast<size_t>(n));
    return n > 0;
  }

  int fd_;
  std::string read_;
};

}  // namespace dyad::testing
