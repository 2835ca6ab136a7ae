// What a connection to /metrics sends, through a socket of this machine. libevent is Debian's and
// not instrumented: coverage tells little here, the sanitizers see our side and libevent's calls.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>

#include "server/metrics/http_listener.h"
#include "tests/fuzz/fuzz_input.h"

namespace dyad {
namespace {

using testing::Require;

constexpr std::string_view kPage = "dyad_ready 1\n";
constexpr timeval kPatience = {.tv_sec = 5, .tv_usec = 0};
// A connection ends with a reset: thousands a second would else leave no port free.
constexpr linger kReset = {.l_onoff = 1, .l_linger = 0};

enum class End { kShut, kOpen };  // whether the caller says that it sends no more

std::string Ask(int port, std::string_view request, End end) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
  setsockopt(connection, SOL_SOCKET, SO_LINGER, &kReset, sizeof(kReset));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  while (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 &&
         errno != EISCONN) {
    // No port is free for a moment, or libFuzzer's clock interrupts.
    Require(errno == EADDRNOTAVAIL || errno == EINTR || errno == EALREADY, "the listener accepts");
    usleep(1000);
  }
  // It may close before all is sent.
  (void)!send(connection, request.data(), request.size(), MSG_NOSIGNAL);
  if (end == End::kShut) shutdown(connection, SHUT_WR);
  std::string answer;
  std::array<char, 4096> buffer;
  ssize_t count = 0;
  do {
    errno = 0;
    count = recv(connection, buffer.data(), buffer.size(), 0);
    if (count > 0) answer.append(buffer.data(), static_cast<size_t>(count));
  } while (count > 0 || errno == EINTR);  // libFuzzer's clock interrupts
  Require(count == 0 || errno != EAGAIN, "the connection ends");
  close(connection);
  return answer;
}

}  // namespace
}  // namespace dyad

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyad;
  static const auto& listener = *[] {
    auto started = HttpListener::Start("127.0.0.1:0", [] { return std::string(kPage); });
    Require(started.ok(), started.status().ToString());
    return started->release();
  }();
  const std::string answer = Ask(listener.port(), testing::AsText(data, size), End::kShut);
  Require(answer.empty() || answer.starts_with("HTTP/"), "an answer is HTTP");
  static int64_t count = 0;
  if (++count % 256 != 0) return 0;
  const std::string page =
      Ask(listener.port(), "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n", End::kOpen);
  Require(page.starts_with("HTTP/1.1 200") && page.ends_with(kPage),
          "others get their page, not: " + page);
  return 0;
}
