// Many connections: their number, TLS, and the end.
#include "server/http/http_server.h"

#include <openssl/ssl.h>

#include <thread>

#include "tests/server/http/http_fixture.h"
#include "tests/support/certificate_files.h"

namespace dyad {
namespace {

using ::dyad::testing::CertificateFilesTest;
using ::dyad::testing::Eventually;
using ::dyad::testing::Get;
using ::dyad::testing::HttpServerTest;
using ::dyad::testing::RawClient;
using ::dyad::testing::Read;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(HttpServerTest, TooManyConnectionsAreToldSo) {
  HttpServerOptions options;
  options.max_connections = 2;
  Start(options);
  RawClient first(server_->port());
  RawClient second(server_->port());
  for (RawClient* client : {&first, &second}) {
    client->Send(Get("/x"));
    EXPECT_THAT(client->ReadUntil("GET"), StartsWith("HTTP/1.1 200 "));
  }
  EXPECT_EQ(server_->connections(), 2);
  EXPECT_THAT(Ask(""), AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("2 connections")));
  first.Close();
  EXPECT_TRUE(Eventually([&] { return server_->connections() == 1; }));
  EXPECT_THAT(Ask(Get("/x", "Connection: close\r\n")), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, EndsIdleConnectionsAtOnceAndOthersWithTheirAnswer) {
  Start();
  RawClient idle(server_->port());
  RawClient waiting(server_->port());
  idle.Send(Get("/x"));
  idle.ReadUntil("GET");
  waiting.Send(Get("/hold"));
  const auto exchange = TakeHeld();
  std::thread end([&] { server_->Shutdown(absl::Seconds(20)); });
  idle.Forget();
  EXPECT_EQ(idle.ReadAll(), "");
  exchange->Answer({200, {}, "late"});
  EXPECT_THAT(waiting.ReadAll(), AllOf(HasSubstr("Connection: close"), EndsWith("late")));
  end.join();
  EXPECT_EQ(server_->connections(), 0);
}

TEST_F(HttpServerTest, TheEndDoesNotWaitLongerThanItsLimit) {
  Start();
  RawClient client(server_->port());
  client.Send(Get("/hold"));
  const auto exchange = TakeHeld();
  server_->Shutdown(absl::Milliseconds(50));
  EXPECT_EQ(client.ReadAll(), "");
  EXPECT_EQ(left_, 1);
}

TEST_F(HttpServerTest, ManyConnectionsInTurnLeaveNothing) {
  Start();
  for (int i = 0; i < 300; ++i) {
    EXPECT_THAT(Ask(Get("/x", "Connection: close\r\n")), StartsWith("HTTP/1.1 200 "));
  }
  EXPECT_TRUE(Eventually([&] { return server_->connections() == 0; }));
}

// A request over TLS; what was answered, or empty if there was no handshake.
std::string AskTls(int port, const std::string& bytes, const std::string& root,
                   const std::string& pair_certificate, const std::string& pair_key) {
  RawClient client(port);
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  EXPECT_EQ(SSL_CTX_load_verify_locations(context, root.c_str(), nullptr), 1);
  if (!pair_certificate.empty()) {
    SSL_CTX_use_certificate_file(context, pair_certificate.c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context, pair_key.c_str(), SSL_FILETYPE_PEM);
  }
  SSL* ssl = SSL_new(context);
  SSL_set_fd(ssl, client.fd());
  std::string answer;
  if (SSL_connect(ssl) == 1 && SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size())) > 0) {
    char buffer[4096];
    for (int n; (n = SSL_read(ssl, buffer, sizeof(buffer))) > 0;) {
      answer.append(buffer, static_cast<size_t>(n));
    }
    SSL_shutdown(ssl);
  }
  SSL_free(ssl);
  SSL_CTX_free(context);
  return answer;
}

class HttpTlsTest : public HttpServerTest {
 protected:
  // Its members make pairs of files.
  struct Files : CertificateFilesTest {
    using CertificateFilesTest::folder_;
    using CertificateFilesTest::Log;
    using CertificateFilesTest::Path;
    using CertificateFilesTest::SetUpTestSuite;
    using CertificateFilesTest::TearDownTestSuite;
    using CertificateFilesTest::Write;
    void TestBody() override {}
  };
  static void SetUpTestSuite() { Files::SetUpTestSuite(); }
  static void TearDownTestSuite() { Files::TearDownTestSuite(); }
  void SetUp() override {
    if (Files::folder_.empty()) GTEST_SKIP() << "needs the openssl command";
  }
  void StartTls(const TlsFiles& files) {
    auto certificates = Certificates::Load(files, files_.Log());
    ASSERT_OK(certificates);
    Start({}, *std::move(certificates));
  }
  std::string AskServer(const std::string& root, const std::string& pair = "",
                        const std::string& path = "/x") {
    return AskTls(server_->port(), Get(path, "Connection: close\r\n"), Files::Path(root, ".pem"),
                  pair.empty() ? "" : Files::Path(pair, ".pem"),
                  pair.empty() ? "" : Files::Path(pair, ".key"));
  }

  Files files_;
};

TEST_F(HttpTlsTest, AnswersThoseWhoTrustItAndNobodyInPlain) {
  StartTls({.certificate = Files::Path("server", ".pem"), .key = Files::Path("server", ".key")});
  EXPECT_THAT(AskServer("server"), AllOf(StartsWith("HTTP/1.1 200 OK"), EndsWith("GET")));
  EXPECT_THAT(AskServer("server", "", "/stream"), EndsWith("2\r\nbc\r\n0\r\n\r\n"));
  EXPECT_EQ(AskServer("other"), "");
  EXPECT_THAT(Ask(Get("/x", "Connection: close\r\n")), ::testing::Not(HasSubstr("HTTP/1.1")));
  EXPECT_TRUE(Eventually([&] { return server_->connections() == 0; }));
}

TEST_F(HttpTlsTest, WithAnAuthorityClientsMustShowACertificateOfIt) {
  StartTls({.certificate = Files::Path("server", ".pem"),
            .key = Files::Path("server", ".key"),
            .client_ca = Files::Path("client", ".pem")});
  EXPECT_THAT(AskServer("server", "client"), StartsWith("HTTP/1.1 200 OK"));
  EXPECT_EQ(AskServer("server", ""), "");
  EXPECT_EQ(AskServer("server", "stranger"), "");
}

TEST_F(HttpTlsTest, NewConnectionsGetTheFilesAsTheyAreNow) {
  const std::string certificate = Files::Write("live.pem", Read(Files::Path("server", ".pem")));
  const std::string key = Files::Write("live.key", Read(Files::Path("server", ".key")));
  StartTls({.certificate = certificate, .key = key, .reload = absl::ZeroDuration()});
  EXPECT_THAT(AskServer("server"), StartsWith("HTTP/1.1 200 OK"));
  Files::Write("live.pem", Read(Files::Path("other", ".pem")));
  EXPECT_THAT(AskServer("server"), StartsWith("HTTP/1.1 200 OK")) << "half replaced";
  Files::Write("live.key", Read(Files::Path("other", ".key")));
  EXPECT_THAT(AskServer("other"), StartsWith("HTTP/1.1 200 OK"));
  EXPECT_EQ(AskServer("server"), "");
}

}  // namespace
}  // namespace dyad
