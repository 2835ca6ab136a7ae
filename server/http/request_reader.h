// Bytes of a connection -> requests, or what is wrong with them. No sockets.
//
// Boost.Beast parses; the version that Debian has lets through what two servers in a row may read
// in two ways (two lengths, a length beside a coding, codings that it does not know), so lengths
// and codings are looked at once more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "server/http/message.h"

namespace dyad {

// Bounds: 16 KiB of head, 8 KiB of target, 64 KiB behind a whole request. Threads: one at a time.
class RequestReader {
 public:
  enum class State {
    kNothing,  // no byte of a request has come
    kPart,
    kWhole,    // Take it
    kRefused,  // fault() says why; nothing more is read
  };

  explicit RequestReader(int64_t max_body_bytes);
  ~RequestReader();

  // Goes on with `bytes` behind what came before. While a request is whole they are kept.
  State Feed(std::string_view bytes);

  // True once for each request that waits for "100 Continue" before it sends its body.
  bool TakeExpectation();

  // REQUIRES: kWhole. Feed({}) then reads what came behind it.
  HttpRequest Take();

  // Of the request taken last: whether its version is 1.1, and another one may follow it.
  bool is_version_11() const { return is_version_11_; }
  bool keeps_alive() const { return keeps_alive_; }

  // REQUIRES: kRefused.
  const HttpFault& fault() const { return fault_; }

 private:
  struct Parser;
  State Parse();
  State Refuse(int status, std::string message);
  State CheckHead();

  const int64_t max_body_bytes_;
  std::unique_ptr<Parser> parser_;
  State state_ = State::kNothing;
  std::string pending_;  // not parsed yet
  bool expects_continue_ = false;
  bool is_version_11_ = true;
  bool keeps_alive_ = true;
  HttpFault fault_;
};

}  // namespace dyad
