// Certificates made by the openssl command line: handshakes, client certificates, rotation, bad
// files.
#include "server/grpc/tls.h"

#include <grpcpp/grpcpp.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "server/base/mutex.h"
#include "server/grpc/rpc_server.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::HasSubstr;

std::string Read(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class TlsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (std::system("openssl version > /dev/null 2>&1") != 0) return;
    std::string name = std::filesystem::temp_directory_path() / "dyad_tls_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    // Each signs itself and is its own authority: "other" stands for the rotated pair.
    for (const char* pair : {"server", "other", "client", "stranger"}) {
      const std::string command = absl::StrCat(
          "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
          "-subj /CN=",
          pair, " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout ", Path(pair, ".key"),
          " -out ", Path(pair, ".pem"), " > /dev/null 2>&1");
      ASSERT_EQ(std::system(command.c_str()), 0) << command;
    }
  }
  static void TearDownTestSuite() {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  void SetUp() override {
    if (folder_.empty()) GTEST_SKIP() << "needs the openssl command";
  }

  static std::string Path(const std::string& pair, const std::string& suffix) {
    return folder_ / (pair + suffix);
  }
  static std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }

  LogFunction Log() {
    return [this](LogLevel, const std::string& event, const std::vector<LogField>& fields) {
      MutexLock lock(&mutex_);
      log_ += event;
      for (const LogField& field : fields) {
        if (const auto* text = std::get_if<std::string>(&field.value)) log_ += " " + *text;
      }
      log_ += "\n";
    };
  }
  std::string Logged() {
    MutexLock lock(&mutex_);
    return log_;
  }
  absl::Status Load(const TlsFiles& files) { return Certificates::Load(files, Log()).status(); }

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

  static inline std::filesystem::path folder_;
  Mutex mutex_;
  std::string log_;
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

TEST_F(TlsTest, WarnsOfAnExpiredCertificateAndOfAKeyThatAllMayRead) {
  const std::string expired = folder_ / "expired.pem";
  const std::string command =
      absl::StrCat("openssl x509 -in ", Path("server", ".pem"), " -signkey ",
                   Path("server", ".key"), " -days -1 -out ", expired, " > /dev/null 2>&1");
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  const std::string key = Write("open.key", Read(Path("server", ".key")));
  std::filesystem::permissions(key, std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  EXPECT_OK(Load({.certificate = expired, .key = key}));
  EXPECT_THAT(Logged(), HasSubstr(expired + " is valid from "));
  EXPECT_THAT(Logged(), HasSubstr(key + ", the private key, may be read by everybody"));
}

TEST_F(TlsTest, NoFilesMeanPlaintext) { EXPECT_OK(Load({})); }

TEST_F(TlsTest, MissingFileIsNamedWithItsFlag) {
  EXPECT_THAT(
      Load({.certificate = Path("server", ".pem"), .key = "/nowhere/key"}),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("--tls_key: cannot read /nowhere/key")));
}

TEST_F(TlsTest, CertificateAndKeyGoTogether) {
  EXPECT_THAT(Load({.certificate = Path("server", ".pem")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--tls_key is empty")));
  EXPECT_THAT(Load({.client_ca = Path("client", ".pem")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--tls_cert is empty")));
}

TEST_F(TlsTest, KeyOfAnotherCertificateIsRefused) {
  EXPECT_THAT(Load({.certificate = Path("server", ".pem"), .key = Path("other", ".key")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is not the key of")));
}

TEST_F(TlsTest, FilesThatAreNoPemAreRefused) {
  const std::string junk = Write("junk", "not a certificate\n");
  EXPECT_THAT(Load({.certificate = junk, .key = Path("server", ".key")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no PEM certificate")));
  EXPECT_THAT(Load({.certificate = Path("server", ".pem"), .key = junk}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no PEM private key")));
  EXPECT_THAT(Load({.certificate = Path("server", ".pem"),
                    .key = Path("server", ".key"),
                    .client_ca = junk}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--tls_ca")));
}

}  // namespace
}  // namespace dyad
