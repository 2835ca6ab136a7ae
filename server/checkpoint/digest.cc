// sha256sum's lines, and the digest of them.
#include "server/checkpoint/digest.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>

#include "server/base/file.h"
#include "server/base/message_text.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

constexpr size_t kPiece = size_t{1} << 20;

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

}  // namespace

absl::StatusOr<std::string> FilesDigest(const std::string& folder, std::vector<std::string> files) {
  std::sort(files.begin(), files.end());
  Sha256 sha;
  for (const std::string& name : files) {
    ASSIGN_OR_RETURN(const std::string hex, FileDigest(folder, name));
    sha.Add(Sha256Line(hex, name));
  }
  return sha.Hex();
}

}  // namespace dyad
