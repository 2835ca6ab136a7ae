// Raw sockets against the listener: good requests, bad ones, slow ones, many at once.
#include "server/metrics/http_listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpListenerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<HttpListener>> listener =
        HttpListener::Start("127.0.0.1:0", [this] {
          ++pages_;
          if (write_fails_) raise(SIGPIPE);
          return *page_.load();
        });
    ASSERT_OK(listener);
    listener_ = *std::move(listener);
  }

  int Connect() const {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(listener_->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
  static void Send(int fd, const std::string& text) {
    EXPECT_EQ(send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  static std::string ReadAll(int fd) {
    std::string answer;
    char buffer[4096];
    for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;) {
      answer.append(buffer, static_cast<size_t>(n));
    }
    close(fd);
    return answer;
  }
  std::string Request(const std::string& text) const {
    const int fd = Connect();
    Send(fd, text);
    return ReadAll(fd);
  }

  const std::string small_ = "dyad_metric 1\n";
  const std::string large_ = std::string(16 << 20, 'm');
  std::atomic<const std::string*> page_ = &small_;
  std::atomic<int> pages_ = 0;
  std::atomic<bool> write_fails_ = false;
  std::unique_ptr<HttpListener> listener_;
};

TEST_F(HttpListenerTest, AnswersMetrics) {
  EXPECT_THAT(Request("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                    HasSubstr("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
                    HasSubstr("\r\nContent-Length: 14\r\n"), HasSubstr("\r\nConnection: close\r\n"),
                    EndsWith("\r\n\r\ndyad_metric 1\n")));
}

TEST_F(HttpListenerTest, QueryIsIgnored) {
  EXPECT_THAT(Request("GET /metrics?name=x HTTP/1.0\r\n\r\n"), HasSubstr("200 OK"));
}

TEST_F(HttpListenerTest, NothingElseIsHere) {
  for (const char* path : {"/", "/metrics/", "/metricsx", "/../etc/passwd", "//metrics"}) {
    EXPECT_THAT(Request(absl::StrCat("GET ", path, " HTTP/1.1\r\n\r\n")),
                StartsWith("HTTP/1.1 404 "))
        << path;
  }
  EXPECT_THAT(Request("POST /metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 501 "));
  EXPECT_EQ(pages_, 0);
}

TEST_F(HttpListenerTest, NonsenseIsABadRequest) {
  for (const char* line :
       {"", "GET", "GET /metrics", "/metrics HTTP/1.1", "\x16\x03\x01", "GET  "}) {
    EXPECT_THAT(Request(absl::StrCat(line, "\r\n\r\n")), StartsWith("HTTP/1.1 400 ")) << line;
  }
}

TEST_F(HttpListenerTest, RequestMayComeInPieces) {
  const int fd = Connect();
  for (const char* piece : {"GET /met", "rics HTTP/1.1\r\n", "Host: x\r\n\r", "\n"}) {
    Send(fd, piece);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_THAT(ReadAll(fd), HasSubstr("200 OK"));
}

TEST_F(HttpListenerTest, EndlessHeaderIsCutOff) {
  const int fd = Connect();
  Send(fd, "GET /metrics HTTP/1.1\r\nX: " + std::string(8192, 'x'));
  EXPECT_THAT(ReadAll(fd), StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpListenerTest, PageLargerThanASocketBufferArrivesWhole) {
  page_ = &large_;
  const std::string answer = Request("GET /metrics HTTP/1.1\r\n\r\n");
  EXPECT_GT(answer.size(), large_.size());
  EXPECT_THAT(answer.substr(answer.size() - 10), EndsWith("mmmmmmmmmm"));
}

TEST_F(HttpListenerTest, SilentConnectionsDoNotKeepOthersOut) {
  std::vector<int> silent;
  for (int i = 0; i < 100; ++i) silent.push_back(Connect());
  EXPECT_THAT(Request("GET /metrics HTTP/1.1\r\n\r\n"), HasSubstr("200 OK"));
  for (const int fd : silent) close(fd);
}

TEST_F(HttpListenerTest, CallerThatLeavesEarlyHarmsNobody) {
  page_ = &large_;
  for (int i = 0; i < 5; ++i) {
    const int fd = Connect();
    Send(fd, "GET /metrics HTTP/1.1\r\n\r\n");
    close(fd);
  }
  page_ = &small_;
  EXPECT_THAT(Request("GET /metrics HTTP/1.1\r\n\r\n"), EndsWith("dyad_metric 1\n"));
}

TEST_F(HttpListenerTest, SignalOfAFailedWriteEndsNothing) {
  write_fails_ = true;
  EXPECT_THAT(Request("GET /metrics HTTP/1.1\r\n\r\n"), EndsWith("dyad_metric 1\n"));
}

TEST_F(HttpListenerTest, EndsWithConnectionsOpen) {
  const int fd = Connect();
  listener_.reset();
  EXPECT_EQ(ReadAll(fd), "");
}

TEST(HttpListenerStartTest, RefusesWhatIsNoAddress) {
  for (const char* address : {"", "9464", ":9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:9464s",
                              "127.0.0.1:65536", "127.0.0.1:-1", "+80:80", "[]:80", "a b:80"}) {
    EXPECT_THAT(HttpListener::Start(address, nullptr),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr(absl::StrCat("metrics address is \"", address, "\""))))
        << address;
  }
}

TEST(HttpListenerStartTest, SaysWhyItCannotListen) {
  const auto page = [] { return std::string(); };
  const auto first = HttpListener::Start("127.0.0.1:0", page);
  ASSERT_OK(first);
  const std::string taken = absl::StrCat("127.0.0.1:", (*first)->port());
  EXPECT_THAT(HttpListener::Start(taken, page),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr(taken), HasSubstr("Address already in use"))));
  // An address for documentation, which no machine has.
  EXPECT_THAT(
      HttpListener::Start("192.0.2.1:0", page),
      StatusIs(absl::StatusCode::kUnavailable,
               AllOf(HasSubstr("192.0.2.1:0"), HasSubstr("Cannot assign requested address"))));
}

TEST(HttpListenerStartTest, ListensOnAName) {
  const auto listener = HttpListener::Start("localhost:0", [] { return std::string(); });
  ASSERT_OK(listener);
  EXPECT_GT((*listener)->port(), 0);
}

TEST(HttpListenerStartTest, ListensOnIpv6WhereThereIsOne) {
  const auto listener = HttpListener::Start("[::1]:0", [] { return std::string(); });
  if (!listener.ok()) GTEST_SKIP() << "no IPv6 here: " << listener.status();
  EXPECT_GT((*listener)->port(), 0);
}

}  // namespace
}  // namespace dyad
