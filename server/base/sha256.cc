// OpenSSL's digest.
#include "server/base/sha256.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_replace.h"
#include "server/base/message_text.h"

namespace dyad {

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256()
    : context_(EVP_MD_CTX_new()),
      ok_(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1) {}

void Sha256::Add(std::string_view bytes) {
  ok_ = ok_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
}

absl::StatusOr<std::string> Sha256::Hex() {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  auto* const bytes = reinterpret_cast<unsigned char*>(digest.data());
  if (!ok_ || EVP_DigestFinal_ex(context_.get(), bytes, nullptr) != 1) {
    return absl::InternalError("SHA-256 is not available in this build of OpenSSL");
  }
  return absl::BytesToHexString(digest);
}

std::string Sha256Of(std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return absl::BytesToHexString(digest);
}

std::string Sha256Line(std::string_view hex, const std::string& name) {
  const std::string escaped =
      absl::StrReplaceAll(name, {{"\\", "\\\\"}, {"\n", "\\n"}, {"\r", "\\r"}});
  return Text(escaped == name ? "" : "\\", hex, "  ", escaped, "\n");
}

}  // namespace dyad
