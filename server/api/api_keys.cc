// Digests, compared all and in constant time.
#include "server/api/api_keys.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/base/file.h"
#include "server/base/status_macros.h"
#include "server/base/steady_clock.h"

namespace dyad {
namespace {

constexpr size_t kLeastBytes = 16;
constexpr size_t kMostBytes = 512;
constexpr int64_t kMostFileBytes = 1 << 20;
constexpr char kScheme[] = "bearer ";

Sha256::Digest DigestOf(const std::string& key) {
  Sha256 sha;
  sha.Add(key);
  return sha.End();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ApiKeys>> ApiKeys::Load(const std::string& path, LogFunction log,
                                                       absl::Duration reload) {
  if (path.empty()) return std::unique_ptr<ApiKeys>();
  std::unique_ptr<ApiKeys> keys(new ApiKeys(path, std::move(log), reload));
  MutexLock lock(&keys->mutex_);
  ASSIGN_OR_RETURN(keys->keys_, Read(path));
  keys->looked_ = SteadyNow();
  return keys;
}

absl::Status ApiKeys::Check(const std::vector<std::string>& authorizations) {
  if (authorizations.empty()) {
    return absl::UnauthenticatedError("this server needs a key: authorization: Bearer KEY");
  }
  if (authorizations.size() > 1) {
    return absl::UnauthenticatedError("authorization stands there more than once");
  }
  const std::string& given = authorizations.front();
  const size_t scheme = std::strlen(kScheme);
  if (absl::AsciiStrToLower(given.substr(0, scheme)) != kScheme) {
    return absl::UnauthenticatedError("authorization must be Bearer, a blank, and a key");
  }
  const Sha256::Digest digest = DigestOf(given.substr(scheme));
  MutexLock lock(&mutex_);
  Look();
  int same = 0;
  for (const Sha256::Digest& key : keys_) {
    same |= CRYPTO_memcmp(key.data(), digest.data(), digest.size()) == 0 ? 1 : 0;
  }
  return same != 0 ? absl::OkStatus() : absl::UnauthenticatedError("this is no key of this server");
}

absl::StatusOr<std::vector<Sha256::Digest>> ApiKeys::Read(const std::string& path) {
  const std::string flag = absl::StrCat("--api_key_file=", path, ": ");
  const absl::StatusOr<std::string> text = ReadFile(path, kMostFileBytes);
  if (!text.ok()) {
    return absl::Status(text.status().code(), absl::StrCat(flag, text.status().message()));
  }
  std::vector<Sha256::Digest> keys;
  std::istringstream lines(*text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    const bool is_visible = std::all_of(line.begin(), line.end(), [](char c) {
      return absl::ascii_isgraph(static_cast<unsigned char>(c));
    });
    // The key itself stays out of the message.
    if (!is_visible || line.size() < kLeastBytes || line.size() > kMostBytes) {
      return absl::InvalidArgumentError(absl::StrCat(flag, "line ", number, ": a key has ",
                                                     kLeastBytes, " to ", kMostBytes,
                                                     " visible ASCII characters"));
    }
    keys.push_back(DigestOf(line));
  }
  if (keys.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(flag, "holds no key"));
  }
  return keys;
}

void ApiKeys::Look() {
  const absl::Time now = SteadyNow();
  if (now - looked_ < reload_) return;
  looked_ = now;
  absl::StatusOr<std::vector<Sha256::Digest>> keys = Read(path_);
  std::string fault = keys.ok() ? "" : std::string(keys.status().message());
  if (keys.ok()) keys_ = *std::move(keys);
  if (fault == logged_) return;
  logged_ = fault;
  if (fault.empty()) return log_(LogLevel::kInfo, "api keys are in order", {});
  log_(LogLevel::kError, "api keys",
       {{"message", absl::StrCat(fault, "; the keys read before are used")}});
}

}  // namespace dyad
