// OpenSSL's functions of one digest, which newer code is told to leave for EVP. Those allocate: a
// process whose memory ran out got digests of nothing, or a crash in OpenSSL's own start.
#include "server/base/sha256.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_replace.h"
#include "server/base/message_text.h"

namespace dyad {

Sha256::Sha256() { SHA256_Init(&context_); }

void Sha256::Add(std::string_view bytes) { SHA256_Update(&context_, bytes.data(), bytes.size()); }

Sha256::Digest Sha256::End() {
  Digest digest;
  SHA256_Final(digest.data(), &context_);
  return digest;
}

std::string Sha256::Hex() {
  const Digest digest = End();
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

std::string Sha256Of(std::string_view bytes) {
  Sha256 sha;
  sha.Add(bytes);
  return sha.Hex();
}

std::string Sha256Line(std::string_view hex, const std::string& name) {
  const std::string escaped =
      absl::StrReplaceAll(name, {{"\\", "\\\\"}, {"\n", "\\n"}, {"\r", "\\r"}});
  return Text(escaped == name ? "" : "\\", hex, "  ", escaped, "\n");
}

}  // namespace dyad
