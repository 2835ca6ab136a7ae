// Handshakes, client certificates and rotation. Bad files: tests/server/base/certificates_test.cc.
#include "server/grpc/tls.h"

#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "server/grpc/rpc_server.h"
#include "tests/support/certificate_files.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::CertificateFilesTest;
using ::dyad::testing::Read;
using ::testing::HasSubstr;

class TlsTest : public CertificateFilesTest {
 protected:
  // Puts the files of `pair` in the place of live.pem and live.key, in one of the two orders, by
  // renames.
  void Replace(const std::string& pair, const std::string& suffix) {
    std::filesystem::rename(Write("new", Read(Path(pair, suffix))), folder_ / ("live" + suffix));
  }

  void Start(const TlsFiles& files) {
    RpcServerOptions options;
    options.listen = "127.0.0.1:0";
    options.tls = files;
    absl::StatusOr<RpcServerParts> parts = RpcServer::Prepare(options, Log());
    ASSERT_OK(parts);
    absl::StatusOr<std::unique_ptr<RpcServer>> server =
        RpcServer::Start(options, *std::move(parts), [](grpc::ServerBuilder&) {});
    ASSERT_OK(server);
    server_ = *std::move(server);
  }

  // A health check over a connection of its own, by a client that trusts `root` and may show
  // `pair`. A refusal is asked for again: see tests/support/connected_channel.h.
  bool Connects(const std::string& root, const std::string& pair) {
    for (int attempt = 0; attempt < 3; ++attempt) {
      if (ConnectsAtOnce(root, pair)) return true;
    }
    return false;
  }

  bool ConnectsAtOnce(const std::string& root, const std::string& pair) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = Read(Path(root, ".pem"));
    if (!pair.empty()) {
      options.pem_cert_chain = Read(Path(pair, ".pem"));
      options.pem_private_key = Read(Path(pair, ".key"));
    }
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto channel = grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                                   grpc::SslCredentials(options), arguments);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    grpc::health::v1::HealthCheckResponse response;
    return grpc::health::v1::Health::NewStub(channel)
        ->Check(&context, grpc::health::v1::HealthCheckRequest(), &response)
        .ok();
  }

  std::unique_ptr<RpcServer> server_;
};

TEST_F(TlsTest, ClientThatTrustsTheCertificateConnectsAndNoOther) {
  Start({.certificate = Path("server", ".pem"), .key = Path("server", ".key")});
  EXPECT_TRUE(Connects("server", ""));
  EXPECT_FALSE(Connects("other", ""));
}

TEST_F(TlsTest, PlaintextIsNotAnswered) {
  Start({.certificate = Path("server", ".pem"), .key = Path("server", ".key")});
  const auto channel = grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                           grpc::InsecureChannelCredentials());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::health::v1::HealthCheckResponse response;
  EXPECT_FALSE(grpc::health::v1::Health::NewStub(channel)
                   ->Check(&context, grpc::health::v1::HealthCheckRequest(), &response)
                   .ok());
}

TEST_F(TlsTest, WithAnAuthorityClientsMustShowACertificateOfIt) {
  Start({.certificate = Path("server", ".pem"),
         .key = Path("server", ".key"),
         .client_ca = Path("client", ".pem")});
  EXPECT_TRUE(Connects("server", "client"));
  EXPECT_FALSE(Connects("server", ""));
  EXPECT_FALSE(Connects("server", "stranger"));
}

TEST_F(TlsTest, NewHandshakesUseTheRotatedCertificate) {
  const std::string certificate = Write("live.pem", Read(Path("server", ".pem")));
  const std::string key = Write("live.key", Read(Path("server", ".key")));
  Start({.certificate = certificate, .key = key, .reload = absl::Seconds(1)});
  ASSERT_TRUE(Connects("server", ""));
  std::filesystem::rename(Write("new.key", Read(Path("other", ".key"))), key);
  std::filesystem::rename(Write("new.pem", Read(Path("other", ".pem"))), certificate);
  bool rotated = false;
  for (int attempt = 0; attempt < 100 && !rotated; ++attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    rotated = Connects("other", "");
  }
  EXPECT_TRUE(rotated);
  EXPECT_FALSE(Connects("server", ""));
}

// Each way to be half done: the old pair serves until both are there.
TEST_F(TlsTest, TheOldPairServesUntilAWholeOneIsThere) {
  const TlsFiles files = {.certificate = Write("live.pem", Read(Path("server", ".pem"))),
                          .key = Write("live.key", Read(Path("server", ".key"))),
                          .reload = absl::ZeroDuration()};
  Start(files);
  const auto serves_old = [&](const std::string& warning) {
    EXPECT_TRUE(Connects("server", "")) << warning;
    EXPECT_FALSE(Connects("other", "")) << warning;
    EXPECT_THAT(Logged(), HasSubstr(warning));
    EXPECT_THAT(Logged(), HasSubstr("the files read before are used"));
  };
  const auto restore = [&] {
    Replace("server", ".pem");
    Replace("server", ".key");
    ASSERT_TRUE(Connects("server", ""));
    MutexLock lock(&mutex_);
    log_.clear();
  };
  Replace("other", ".pem");
  serves_old(files.key + " is not the key of the certificate in " + files.certificate);
  restore();
  Replace("other", ".key");
  serves_old(files.key + " is not the key");
  restore();
  const std::string whole = Read(Path("other", ".pem"));
  Write("live.pem", whole.substr(0, whole.size() / 2));
  serves_old(files.certificate + " holds no PEM certificate");
  Write("live.pem", Read(Path("server", ".pem")) + whole.substr(0, whole.size() / 2));
  serves_old(files.certificate + " holds a certificate that cannot be read");
  Write("live.pem", "");
  serves_old(files.certificate);
  std::filesystem::remove(files.certificate);
  serves_old("cannot read " + files.certificate);
  restore();
  std::filesystem::remove(files.key);
  serves_old("cannot read " + files.key);
  Replace("other", ".key");
  Replace("other", ".pem");
  EXPECT_TRUE(Connects("other", ""));
  EXPECT_FALSE(Connects("server", ""));
}

TEST_F(TlsTest, TornAuthoritiesOfClientsAreNotTaken) {
  const TlsFiles files = {.certificate = Path("server", ".pem"),
                          .key = Path("server", ".key"),
                          .client_ca = Write("live.ca", Read(Path("client", ".pem"))),
                          .reload = absl::ZeroDuration()};
  Start(files);
  Write("live.ca", "");
  EXPECT_TRUE(Connects("server", "client"));
  EXPECT_FALSE(Connects("server", "stranger"));
  EXPECT_THAT(Logged(), HasSubstr("--tls_ca: " + files.client_ca));
  Write("live.ca", Read(Path("stranger", ".pem")));
  EXPECT_TRUE(Connects("server", "stranger"));
  EXPECT_FALSE(Connects("server", "client"));
}

TEST_F(TlsTest, TheEndOfTheCertificateIsKnown) {
  Start({.certificate = Path("server", ".pem"), .key = Path("server", ".key")});
  const absl::Duration left = server_->certificate_end().value() - absl::Now();
  EXPECT_GT(left, absl::Hours(47));
  EXPECT_LT(left, absl::Hours(49));
}

}  // namespace
}  // namespace dyad
