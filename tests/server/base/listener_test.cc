// Addresses of every kind, taken and free.
#include "server/base/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr absl::Duration kTimeout = absl::Seconds(20);

bool Connects(int family, const void* address, socklen_t size) {
  const int client = socket(family, SOCK_STREAM, 0);
  const bool connected = connect(client, static_cast<const sockaddr*>(address), size) == 0;
  close(client);
  return connected;
}

bool ConnectsTo4(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<in_port_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return Connects(AF_INET, &address, sizeof(address));
}

bool ConnectsTo6(int port) {
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(static_cast<in_port_t>(port));
  address.sin6_addr = in6addr_loopback;
  return Connects(AF_INET6, &address, sizeof(address));
}

bool ConnectsToPath(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return Connects(AF_UNIX, &address, sizeof(address));
}

bool HasIpv6() {
  const auto listener = Listener::Bind("[::1]:0");
  return listener.ok();
}

TEST(ListenerTest, ConnectionsAreRefusedUntilItListens) {
  const auto listener = Listener::Bind("127.0.0.1:0");
  ASSERT_OK(listener);
  const int port = (*listener)->port();
  EXPECT_GT(port, 0);
  EXPECT_FALSE(ConnectsTo4(port));
  EXPECT_OK((*listener)->Listen(kTimeout));
  EXPECT_TRUE(ConnectsTo4(port));
}

TEST(ListenerTest, ATakenPortIsNamed) {
  const auto first = Listener::Bind("127.0.0.1:0");
  ASSERT_OK(first);
  ASSERT_OK((*first)->Listen(kTimeout));
  const std::string address = absl::StrCat("127.0.0.1:", (*first)->port());
  EXPECT_THAT(Listener::Bind(address).status(),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr("cannot listen on " + address), HasSubstr("in use"))));
}

TEST(ListenerTest, OfTwoThatAreBoundOneListens) {
  const auto first = Listener::Bind("127.0.0.1:0");
  ASSERT_OK(first);
  const auto second = Listener::Bind(absl::StrCat("127.0.0.1:", (*first)->port()));
  if (!second.ok()) return;  // refused at once, which is as good
  ASSERT_OK((*first)->Listen(kTimeout));
  EXPECT_THAT((*second)->Listen(kTimeout),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("in use")));
}

TEST(ListenerTest, AnyAddressAndAHostNameAreOfBothKinds) {
  for (const char* address : {"0.0.0.0:0", "[::]:0", "localhost:0"}) {
    const auto listener = Listener::Bind(address);
    ASSERT_OK(listener);
    ASSERT_OK((*listener)->Listen(kTimeout));
    EXPECT_TRUE(ConnectsTo4((*listener)->port())) << address;
    const bool named = std::string(address) == "localhost:0";  // hosts files differ
    if (HasIpv6() && !named) {
      EXPECT_TRUE(ConnectsTo6((*listener)->port())) << address;
    }
  }
}

TEST(ListenerTest, AddressesThatAreNoneAreRefused) {
  for (const char* address : {"127.0.0.1", "no.such.host.invalid:1", "192.0.2.1:0"}) {
    EXPECT_FALSE(Listener::Bind(address).ok()) << address;
  }
}

TEST(ListenerTest, ASocketFileLivesAsLongAsItsListener) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/listener_", getpid());
  for (const char* prefix : {"unix:", "unix://"}) {
    auto listener = Listener::Bind(prefix + path);
    ASSERT_OK(listener);
    EXPECT_EQ((*listener)->port(), 0);
    ASSERT_OK((*listener)->Listen(kTimeout));
    EXPECT_TRUE(ConnectsToPath(path));
    EXPECT_THAT(Listener::Bind("unix:" + path).status(),
                StatusIs(absl::StatusCode::kUnavailable, HasSubstr("in use")));
    EXPECT_TRUE(ConnectsToPath(path)) << "the refused one took its file away";
    listener->reset();
    EXPECT_FALSE(std::filesystem::exists(path));
  }
}

TEST(ListenerTest, AFileThatACrashLeftIsReplaced) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/stale_", getpid());
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int stale = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(stale, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  close(stale);
  ASSERT_TRUE(std::filesystem::exists(path));
  const auto listener = Listener::Bind("unix:" + path);
  ASSERT_OK(listener);
  ASSERT_OK((*listener)->Listen(kTimeout));
  EXPECT_TRUE(ConnectsToPath(path));
}

TEST(ListenerTest, AFileThatIsNoSocketIsLeftAlone) {
  EXPECT_FALSE(Listener::Bind("unix:/dev/null").ok());
  EXPECT_TRUE(std::filesystem::exists("/dev/null"));
}

}  // namespace
}  // namespace dyad
