// Files are read in pieces.
#include "client/input_digest.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPiece = size_t{1} << 20;

struct FileDigest {
  std::string sha256;
  int64_t bytes = 0;
};

absl::StatusOr<FileDigest> DigestOf(const fs::path& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path.string()));
  Sha256 digest;
  FileDigest result;
  std::string piece(kPiece, '\0');
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())) || file.gcount() > 0) {
    digest.Add(std::string_view(piece).substr(0, static_cast<size_t>(file.gcount())));
    result.bytes += file.gcount();
  }
  if (file.bad()) return absl::DataLossError(absl::StrCat("cannot read ", path.string()));
  result.sha256 = digest.Hex();
  return result;
}

}  // namespace

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
    lines += Sha256Line(file.sha256, name);
    bytes += file.bytes;
  }
  return Json{{"name", path}, {"sha256", Sha256Of(lines)}, {"bytes", bytes}};
}

Json DescribeArguments(std::string_view text) {
  return {{"name", "arguments"}, {"sha256", Sha256Of(text)}, {"bytes", text.size()}};
}

}  // namespace dyad::client
