// One connection to an HTTP/1.1 server: requests one after the other, plaintext. As little of HTTP
// as our own door writes: a status line, headers, and a body with a length or in chunks.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace dyad::bench {

class HttpConnection {
 public:
  // `timeout` of each wait for bytes. Errors: InvalidArgument: no HOST:PORT; Unavailable.
  static absl::StatusOr<HttpConnection> Connect(const std::string& address, absl::Duration timeout);
  HttpConnection(HttpConnection&& other) noexcept;
  HttpConnection& operator=(HttpConnection&& other) noexcept;
  ~HttpConnection();

  // Posts JSON and hands the body over as it comes. Errors: Unavailable: the connection ended or
  // timed out; ResourceExhausted: 429; Unknown: another status than 200, with the body; DataLoss:
  // no HTTP. The connection can be used again only after success.
  absl::Status Post(const std::string& path, std::string_view body,
                    const std::function<void(std::string_view)>& on_body);

 private:
  explicit HttpConnection(int socket) : socket_(socket) {}
  absl::Status Send(std::string_view text);
  absl::StatusOr<std::string> Line();  // without CR LF
  absl::Status Take(size_t bytes, const std::function<void(std::string_view)>& on_bytes);
  absl::Status Fill();  // reads some more

  int socket_ = -1;
  std::string read_;  // not yet used up, from begin_ on
  size_t begin_ = 0;
};

}  // namespace dyad::bench
