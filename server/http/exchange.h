// One request and its answer, as a handler sees them, and the bounds of a connection.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "server/http/message.h"

namespace dyad {

// Threads: any; one at a time for what answers. After the answer, or when the client has left,
// calls do nothing.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;

  virtual const HttpRequest& request() const = 0;
  virtual const std::string& peer() const = 0;  // "ipv4:127.0.0.1:40122"

  // Does `work` on a thread of the server's, one after the other with all else of this connection;
  // also when the client has left. Long work belongs there, not on the thread that has a result.
  virtual void Post(std::function<void()> work) = 0;

  // The whole answer. Once, or else Begin.
  virtual void Answer(HttpResponse response) = 0;

  // The head of an answer that comes in pieces; its body is the first piece, and may be empty.
  // `filler` is written whenever there was no piece for the filler interval. `written` is called on
  // a thread of the server's when the piece has left, and not at all if the client leaves.
  virtual void Begin(HttpResponse head, std::string filler, std::function<void()> written) = 0;
  // REQUIRES: the last `written` was called.
  virtual void Write(std::string piece, std::function<void()> written) = 0;
  virtual void End() = 0;

  // `left` is called once, on a thread of the server's, if the client leaves, reads nothing for the
  // write timeout, or sends more than may wait, before the answer is out; at once if it has left.
  virtual void OnLeave(std::function<void()> left) = 0;

  // Holds `thing` until the answer is out or the client has left.
  virtual void Keep(std::shared_ptr<const void> thing) = 0;
};

// Ranges are checked with the server's options.
struct HttpServerOptions {
  const char* name = "http";  // of its threads; at most 15 bytes
  int32_t threads = 2;
  int32_t max_connections = 4096;  // the next one is answered 503 and closed
  int64_t max_body_bytes = 16 << 20;
  absl::Duration idle_timeout = absl::Seconds(75);     // between requests
  absl::Duration read_timeout = absl::Seconds(30);     // of one request, head and body together
  absl::Duration write_timeout = absl::Seconds(60);    // without progress of a write
  absl::Duration filler_interval = absl::Seconds(15);  // of a streamed answer without a piece
};

struct HttpHandlers {
  // Called on the server's threads; must not wait, and does not throw.
  std::function<void(std::shared_ptr<HttpExchange>)> handler;
  // The answer to what is no request; the connection closes behind it.
  std::function<HttpResponse(const HttpFault&)> on_fault;
};

}  // namespace dyad
