// A new file under another name, renamed.
#include "client/replace_file.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "server/base/new_file.h"

namespace dyad::client {

absl::Status ReplaceFile(const std::string& path, std::string_view text) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_regular_file(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is no regular file"));
  }
  const std::string beside = absl::StrCat(path, ".", getpid(), ".part");
  absl::Status status = WriteNewFile(beside, text);
  if (status.code() == absl::StatusCode::kAlreadyExists) return status;
  if (status.ok()) {
    fs::rename(beside, path, error);
    if (!error) return absl::OkStatus();
    status = absl::ErrnoToStatus(error.value(), absl::StrCat("cannot write ", path));
  }
  fs::remove(beside, error);
  return status;
}

}  // namespace dyad::client
