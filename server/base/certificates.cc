// PEM files are read and checked here before a library sees them: libraries take what they are
// given.
#include "server/base/certificates.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/base/steady_clock.h"

namespace dyad {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

bool IsSame(const Pem& a, const Pem& b) {
  return a.certificate == b.certificate && a.key == b.key && a.client_ca == b.client_ca;
}

absl::StatusOr<std::string> ReadFile(const std::string& flag, const std::string& path) {
  if (path.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, " is empty; --tls_cert and --tls_key are given together"));
  }
  errno = 0;
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();  // fails without a reason if the file is empty
  if (!file.is_open() || errno != 0) {
    return absl::NotFoundError(
        absl::StrCat("--", flag, ": cannot read ", path, ": ", std::strerror(errno)));
  }
  return text.str();
}

Owned<BIO> Memory(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

absl::Time TimeOf(const ASN1_TIME* time) {
  tm parts = {};
  ASN1_TIME_to_tm(time, &parts);
  return absl::FromTimeT(timegm(&parts));
}

// The first certificate of a file that holds nothing but whole ones.
absl::StatusOr<Owned<X509>> ParseCertificates(const std::string& flag, const std::string& path,
                                              const std::string& text) {
  const Owned<BIO> bio = Memory(text);
  Owned<X509> first;
  while (Owned<X509> next{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    if (first == nullptr) first = std::move(next);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (first == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, ": ", path, " holds no PEM certificate"));
  }
  if (!at_end) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, ": ", path, " holds a certificate that cannot be read"));
  }
  return first;
}

absl::StatusOr<Owned<EVP_PKEY>> ParseKey(const std::string& path, const std::string& text) {
  // An encrypted key would ask for its pass phrase on the terminal; this answers that there is
  // none.
  const auto no_pass_phrase = [](char*, int, int, void*) { return 0; };
  Owned<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(Memory(text).get(), nullptr, no_pass_phrase, nullptr));
  ERR_clear_error();
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("--tls_key: ", path, " holds no PEM private key without pass phrase"));
  }
  return key;
}

absl::StatusOr<Pem> ReadPem(const TlsFiles& files) {
  Pem pem;
  ASSIGN_OR_RETURN(pem.certificate, ReadFile("tls_cert", files.certificate));
  ASSIGN_OR_RETURN(const Owned<X509> certificate,
                   ParseCertificates("tls_cert", files.certificate, pem.certificate));
  ASSIGN_OR_RETURN(pem.key, ReadFile("tls_key", files.key));
  ASSIGN_OR_RETURN(const Owned<EVP_PKEY> key, ParseKey(files.key, pem.key));
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(absl::StrCat(
        "--tls_key: ", files.key, " is not the key of the certificate in ", files.certificate));
  }
  pem.begin = TimeOf(X509_get0_notBefore(certificate.get()));
  pem.end = TimeOf(X509_get0_notAfter(certificate.get()));
  if (files.client_ca.empty()) return pem;
  ASSIGN_OR_RETURN(pem.client_ca, ReadFile("tls_ca", files.client_ca));
  RETURN_IF_ERROR(ParseCertificates("tls_ca", files.client_ca, pem.client_ca).status());
  return pem;
}

class NoFiles final : public Certificates {
 public:
  std::shared_ptr<const Pem> Current() override { return nullptr; }
  std::optional<absl::Time> end() const override { return std::nullopt; }
};

class WatchedFiles final : public Certificates {
 public:
  WatchedFiles(TlsFiles files, LogFunction log, Pem pem)
      : files_(std::move(files)),
        log_(std::move(log)),
        pem_(std::make_shared<const Pem>(std::move(pem))) {
    MutexLock lock(&mutex_);
    Warn(absl::OkStatus());
  }

  std::shared_ptr<const Pem> Current() override {
    MutexLock lock(&mutex_);
    Look();
    return pem_;
  }

  std::optional<absl::Time> end() const override {
    MutexLock lock(&mutex_);
    return pem_->end;
  }

 private:
  void Look() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const absl::Time now = SteadyNow();
    if (now - looked_ < files_.reload) return;
    looked_ = now;
    absl::StatusOr<Pem> pem = ReadPem(files_);
    if (pem.ok() && !IsSame(*pem, *pem_)) pem_ = std::make_shared<const Pem>(*std::move(pem));
    Warn(pem.status());
  }

  // Once for each thing that is wrong.
  void Warn(const absl::Status& found) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<std::string> warnings;
    if (!found.ok()) {
      warnings.push_back(
          absl::StrCat(std::string(found.message()), "; the files read before are used"));
    }
    const absl::Time now = absl::Now();  // the certificate speaks of the wall clock
    if (now < pem_->begin || now > pem_->end) {
      warnings.push_back(absl::StrCat(files_.certificate, " is valid from ",
                                      absl::FormatTime(pem_->begin, absl::UTCTimeZone()), " to ",
                                      absl::FormatTime(pem_->end, absl::UTCTimeZone())));
    }
    struct stat info = {};
    if (stat(files_.key.c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0) {
      warnings.push_back(absl::StrCat(files_.key, ", the private key, may be read by everybody"));
    }
    std::string message = absl::StrJoin(warnings, "; ");
    if (message == warned_of_) return;
    warned_of_ = message;
    if (message.empty()) return log_(LogLevel::kInfo, "tls files are in order", {});
    log_(LogLevel::kWarning, "tls", {{"message", std::move(message)}});
  }

  const TlsFiles files_;
  const LogFunction log_;
  mutable Mutex mutex_;
  std::shared_ptr<const Pem> pem_ ABSL_GUARDED_BY(mutex_);
  absl::Time looked_ ABSL_GUARDED_BY(mutex_) = SteadyNow();
  std::string warned_of_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::shared_ptr<Certificates>> Certificates::Load(const TlsFiles& files,
                                                                 LogFunction log) {
  if (files.empty()) return std::make_shared<NoFiles>();
  ASSIGN_OR_RETURN(Pem pem, ReadPem(files));
  return std::make_shared<WatchedFiles>(files, std::move(log), std::move(pem));
}

}  // namespace dyad
