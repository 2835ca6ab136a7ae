// Files that are whole, torn, foreign, expired, replaced.
#include "server/base/certificates.h"

#include "tests/support/certificate_files.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::CertificateFilesTest;
using ::dyad::testing::Read;
using ::dyad::testing::StatusIs;
using ::testing::HasSubstr;

class CertificatesTest : public CertificateFilesTest {
 protected:
  absl::Status Load(const TlsFiles& files) { return Certificates::Load(files, Log()).status(); }
};

TEST_F(CertificatesTest, StayTheSameUntilAnotherWholePairIsThere) {
  const TlsFiles files = {.certificate = Write("live.pem", Read(Path("server", ".pem"))),
                          .key = Write("live.key", Read(Path("server", ".key"))),
                          .reload = absl::ZeroDuration()};
  const auto certificates = Certificates::Load(files, Log());
  ASSERT_OK(certificates);
  const std::shared_ptr<const Pem> first = (*certificates)->Current();
  EXPECT_EQ(first->certificate, Read(Path("server", ".pem")));
  EXPECT_EQ((*certificates)->Current(), first);
  Write("live.pem", Read(Path("other", ".pem")));
  EXPECT_EQ((*certificates)->Current(), first);
  EXPECT_THAT(Logged(), HasSubstr("the files read before are used"));
  Write("live.key", Read(Path("other", ".key")));
  EXPECT_EQ((*certificates)->Current()->key, Read(Path("other", ".key")));
}

TEST_F(CertificatesTest, WithoutFilesThereAreNone) {
  const auto certificates = Certificates::Load({}, Log());
  ASSERT_OK(certificates);
  EXPECT_EQ((*certificates)->Current(), nullptr);
  EXPECT_EQ((*certificates)->end(), std::nullopt);
}

TEST_F(CertificatesTest, WarnsOfAnExpiredCertificateAndOfAKeyThatAllMayRead) {
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

TEST_F(CertificatesTest, MissingFileIsNamedWithItsFlag) {
  EXPECT_THAT(
      Load({.certificate = Path("server", ".pem"), .key = "/nowhere/key"}),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("--tls_key: cannot read /nowhere/key")));
}

TEST_F(CertificatesTest, CertificateAndKeyGoTogether) {
  EXPECT_THAT(Load({.certificate = Path("server", ".pem")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--tls_key is empty")));
  EXPECT_THAT(Load({.client_ca = Path("client", ".pem")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--tls_cert is empty")));
}

TEST_F(CertificatesTest, KeyOfAnotherCertificateIsRefused) {
  EXPECT_THAT(Load({.certificate = Path("server", ".pem"), .key = Path("other", ".key")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is not the key of")));
}

TEST_F(CertificatesTest, FilesThatAreNoPemAreRefused) {
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
