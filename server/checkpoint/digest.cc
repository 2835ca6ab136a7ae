// sha256sum's lines, and the digest of them.
#include "server/checkpoint/digest.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_replace.h"
#include "server/base/file.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

constexpr size_t kPiece = size_t{1} << 20;

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) {
    ok_ = EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
  }

  void Add(std::string_view bytes) {
    ok_ = ok_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
  }

  absl::StatusOr<std::string> Hex() {
    std::string digest(EVP_MAX_MD_SIZE, '\0');
    unsigned size = 0;
    if (!ok_ || EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()),
                                   &size) != 1) {
      return absl::InternalError("SHA-256 is not available in this build of OpenSSL");
    }
    return absl::BytesToHexString(digest.substr(0, size));
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
  bool ok_ = false;
};

absl::StatusOr<std::string> FileDigest(const std::string& folder, const std::string& name) {
  ASSIGN_OR_RETURN(const OpenFile file, OpenFile::Open(std::filesystem::path(folder) / name));
  Sha256 sha;
  std::string piece(kPiece, '\0');
  for (off_t at = 0;;) {
    const ssize_t count = pread(file.descriptor(), piece.data(), piece.size(), at);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, Text(Quoted(name), ": cannot read"));
    if (count == 0) return sha.Hex();
    sha.Add(std::string_view(piece).substr(0, static_cast<size_t>(count)));
    at += count;
  }
}

// As sha256sum prints it: names with a backslash or line break are escaped, and the line says so.
std::string Line(const std::string& hex, const std::string& name) {
  const std::string escaped =
      absl::StrReplaceAll(name, {{"\\", "\\\\"}, {"\n", "\\n"}, {"\r", "\\r"}});
  return Text(escaped == name ? "" : "\\", hex, "  ", escaped, "\n");
}

}  // namespace

absl::StatusOr<std::string> FilesDigest(const std::string& folder, std::vector<std::string> files) {
  std::sort(files.begin(), files.end());
  Sha256 sha;
  for (const std::string& name : files) {
    ASSIGN_OR_RETURN(const std::string hex, FileDigest(folder, name));
    sha.Add(Line(hex, name));
  }
  return sha.Hex();
}

}  // namespace dyad
