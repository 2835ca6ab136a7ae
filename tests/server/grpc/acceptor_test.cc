// The loop with a stand-in for gRPC, which keeps sockets and closes them when the test says so.
#include "server/grpc/acceptor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "server/base/mutex.h"
#include "server/base/steady_clock.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::Eventually;

class AcceptorTest : public ::testing::Test {
 protected:
  void Start(int64_t most) {
    auto listener = Listener::Bind("127.0.0.1:0");
    ASSERT_OK(listener);
    ASSERT_OK((*listener)->Listen(absl::Seconds(20)));
    const auto log = [this](LogLevel, const std::string& event, const std::vector<LogField>&) {
      MutexLock lock(&mutex_);
      if (event == "new connections wait") ++warnings_;
    };
    const auto keep = [this](int socket) {
      MutexLock lock(&mutex_);
      sockets_.push_back(socket);
    };
    acceptor_ = std::make_unique<Acceptor>(Acceptor::Parts{*std::move(listener), keep, log}, most);
  }
  void TearDown() override {
    CloseAll();
    acceptor_.reset();
    for (const int client : clients_) close(client);
  }

  // What gRPC does with a socket at its end.
  void CloseAll() {
    MutexLock lock(&mutex_);
    for (const int socket : sockets_) {
      shutdown(socket, SHUT_RDWR);
      close(socket);
    }
    sockets_.clear();
  }
  size_t Held() {
    MutexLock lock(&mutex_);
    return sockets_.size();
  }
  int Warnings() {
    MutexLock lock(&mutex_);
    return warnings_;
  }

  int Connect() {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<in_port_t>(acceptor_->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    clients_.push_back(client);
    return client;
  }

  Mutex mutex_;
  std::vector<int> sockets_;
  int warnings_ = 0;
  std::vector<int> clients_;
  std::unique_ptr<Acceptor> acceptor_;
};

TEST_F(AcceptorTest, HandsOverAndSeesTheEnd) {
  Start(10);
  for (int i = 0; i < 3; ++i) Connect();
  EXPECT_TRUE(Eventually([&] { return Held() == 3; }));
  EXPECT_EQ(acceptor_->connections(), 3);
  CloseAll();
  EXPECT_TRUE(Eventually([&] { return acceptor_->connections() == 0; }));
  EXPECT_EQ(acceptor_->pauses(), 0);
}

TEST_F(AcceptorTest, AtTheLimitNewOnesWaitAndOneWarningIsEnough) {
  Start(2);
  for (int i = 0; i < 5; ++i) Connect();
  EXPECT_TRUE(Eventually([&] { return acceptor_->pauses() >= 3; }));
  EXPECT_EQ(Held(), 2u);
  EXPECT_EQ(Warnings(), 1);
  CloseAll();
  EXPECT_TRUE(Eventually([&] { return Held() == 2; }));
  CloseAll();
  EXPECT_TRUE(Eventually([&] { return Held() == 1; }));
}

TEST_F(AcceptorTest, TakesConnectionsAgainWhenFilesAreFree) {
  Start(1000);
  rlimit old = {};
  getrlimit(RLIMIT_NOFILE, &old);
  const int client = Connect();
  EXPECT_TRUE(Eventually([&] { return Held() == 1; }));
  CloseAll();
  EXPECT_TRUE(Eventually([&] { return acceptor_->connections() == 0; }));
  // No file is left: the number that is free next is the limit.
  const int waiting = socket(AF_INET, SOCK_STREAM, 0);
  const int next = dup(client);
  close(next);
  const rlimit none = {static_cast<rlim_t>(next), old.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  sockaddr_in address = {};
  socklen_t size = sizeof(address);
  getpeername(client, reinterpret_cast<sockaddr*>(&address), &size);
  EXPECT_EQ(connect(waiting, reinterpret_cast<const sockaddr*>(&address), size), 0);
  EXPECT_TRUE(Eventually([&] { return acceptor_->pauses() > 1; }));
  EXPECT_EQ(Held(), 0u);
  setrlimit(RLIMIT_NOFILE, &old);
  EXPECT_TRUE(Eventually([&] { return Held() == 1; }));
  close(waiting);
}

TEST_F(AcceptorTest, TheLimitOfOpenFilesIsRaised) {
  rlimit old = {};
  getrlimit(RLIMIT_NOFILE, &old);
  const rlimit low = {256, old.rlim_max};
  setrlimit(RLIMIT_NOFILE, &low);
  Start(10);
  rlimit now = {};
  getrlimit(RLIMIT_NOFILE, &now);
  setrlimit(RLIMIT_NOFILE, &old);
  EXPECT_EQ(now.rlim_cur, old.rlim_max);
}

// What was written arrives before the connection ends.
TEST_F(AcceptorTest, ShutdownEndsReadingOnceAllHasArrived) {
  Start(10);
  const int client = Connect();
  ASSERT_TRUE(Eventually([&] { return Held() == 1; }));
  // More than the client's buffers take while it does not read.
  std::string text(std::size_t{16} << 20, 'x');
  const ssize_t written = send(sockets_[0], text.data(), text.size(), MSG_DONTWAIT);
  ASSERT_GT(written, 0);
  std::atomic<bool> ended = false;
  std::thread shutdown([&] {
    acceptor_->Shutdown(absl::Seconds(30));
    ended = true;
  });
  pollfd end = {sockets_[0], POLLRDHUP, 0};
  EXPECT_EQ(poll(&end, 1, 200), 0) << "ended before all had arrived";
  ssize_t received = 0;
  while (received < written) {
    const ssize_t count = recv(client, text.data(), text.size(), 0);
    ASSERT_GT(count, 0);
    received += count;
  }
  EXPECT_EQ(poll(&end, 1, 10000), 1);
  EXPECT_FALSE(ended) << "gRPC has not closed the socket yet";
  CloseAll();
  shutdown.join();
  EXPECT_EQ(acceptor_->connections(), 0);
}

TEST_F(AcceptorTest, AfterShutdownThePortIsClosed) {
  Start(10);
  sockaddr_in address = {};
  socklen_t size = sizeof(address);
  getpeername(Connect(), reinterpret_cast<sockaddr*>(&address), &size);
  ASSERT_TRUE(Eventually([&] { return Held() == 1; }));
  const absl::Time begin = SteadyNow();
  acceptor_->Shutdown(absl::Milliseconds(50));  // the stand-in closes nothing
  EXPECT_LT(SteadyNow() - begin, absl::Seconds(5));
  const int late = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_NE(connect(late, reinterpret_cast<const sockaddr*>(&address), size), 0);
  close(late);
}

}  // namespace
}  // namespace dyad
