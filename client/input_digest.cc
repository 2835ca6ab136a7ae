// SHA-256 in pieces, of files and of sha256sum's lines.
#include "client/input_digest.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPiece = size_t{1} << 20;

std::string HexOf(const std::array<unsigned char, SHA256_DIGEST_LENGTH>& digest) {
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new()) {
    ok_ = EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
  }
  void Add(std::string_view bytes) {
    ok_ = ok_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
  }
  absl::StatusOr<std::string> Hex() {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
    if (!ok_ || EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) != 1) {
      return absl::InternalError("SHA-256 is not available in this build of OpenSSL");
    }
    return HexOf(digest);
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
  bool ok_ = false;
};

struct FileDigest {
  std::string sha256;
  int64_t bytes = 0;
};

absl::StatusOr<FileDigest> DigestOf(const fs::path& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path.string()));
  Digest digest;
  FileDigest result;
  std::string piece(kPiece, '\0');
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())) || file.gcount() > 0) {
    digest.Add(std::string_view(piece).substr(0, static_cast<size_t>(file.gcount())));
    result.bytes += file.gcount();
  }
  if (file.bad()) return absl::DataLossError(absl::StrCat("cannot read ", path.string()));
  ASSIGN_OR_RETURN(result.sha256, digest.Hex());
  return result;
}

// As sha256sum prints it: names with a backslash or line break are escaped, and the line says so.
std::string Line(const std::string& sha256, const std::string& name) {
  const std::string escaped =
      absl::StrReplaceAll(name, {{"\\", "\\\\"}, {"\n", "\\n"}, {"\r", "\\r"}});
  return absl::StrCat(escaped == name ? "" : "\\", sha256, "  ", escaped, "\n");
}

}  // namespace

std::string Sha256(std::string_view bytes) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  return HexOf(digest);
}

absl::StatusOr<Json> DescribeFile(const std::string& path) {
  std::error_code ignored;
  if (path == "-" || (fs::exists(path, ignored) && !fs::is_regular_file(path, ignored))) {
    return Json{{"name", path}};
  }
  ASSIGN_OR_RETURN(const FileDigest file, DigestOf(path));
  return Json{{"name", path}, {"sha256", file.sha256}, {"bytes", file.bytes}};
}

absl::StatusOr<Json> DescribeFolder(const std::string& path, std::vector<std::string> files) {
  std::sort(files.begin(), files.end());
  std::string lines;
  int64_t bytes = 0;
  for (const std::string& name : files) {
    ASSIGN_OR_RETURN(const FileDigest file, DigestOf(fs::path(path) / name));
    lines += Line(file.sha256, name);
    bytes += file.bytes;
  }
  return Json{{"name", path}, {"sha256", Sha256(lines)}, {"bytes", bytes}};
}

Json DescribeArguments(std::string_view text) {
  return {{"name", "arguments"}, {"sha256", Sha256(text)}, {"bytes", text.size()}};
}

}  // namespace dyad::client
