// Answers in order; see the header. A run that was killed at any moment can be gone on with,
// because only whole lines count and the file is cut behind the last of them.
#include "client/ordered_output.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

struct OldLines {
  int64_t lines = 0;
  int64_t failed = 0;
  int64_t bytes = 0;  // of those lines, line feeds included
};

// Reads answers up to the first thing that is none. Only the last piece of the file may be that: a
// file with something else in the middle is not ours to cut.
absl::StatusOr<OldLines> ReadOldLines(const std::string& path,
                                      const std::function<void(const Json&)>& on_old_answer) {
  std::ifstream file(path, std::ios::binary);
  OldLines old;
  for (std::string line; std::getline(file, line);) {
    const bool torn = file.eof();  // no line feed at its end
    const auto answer = ParseLine(line);
    if (torn || !answer.ok()) {
      if (file.peek() == std::ifstream::traits_type::eof()) return old;
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": line ", old.lines + 1, " is no answer; move the file away first"));
    }
    on_old_answer(*answer);
    ++old.lines;
    old.failed += IsErrorLine(line) ? 1 : 0;
    old.bytes += static_cast<int64_t>(line.size()) + 1;
  }
  return old;
}

}  // namespace

absl::StatusOr<std::unique_ptr<OrderedOutput>> OrderedOutput::Open(
    const std::string& path, std::ostream& standard_output,
    const std::function<void(const Json& answer)>& on_old_answer) {
  auto output = std::unique_ptr<OrderedOutput>(new OrderedOutput);
  output->path_ = path;
  if (path == "-") {
    output->out_ = &standard_output;
    return output;
  }
  RETURN_IF_ERROR(output->OpenFile(path, on_old_answer));
  return output;
}

absl::Status OrderedOutput::OpenFile(const std::string& path,
                                     const std::function<void(const Json& answer)>& on_old_answer) {
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  struct stat info;
  const bool regular = ::fstat(lock_, &info) == 0 && S_ISREG(info.st_mode);
  // The lock lives as long as the descriptor and dies with the process: no stale lock files.
  // Devices and pipes hold nothing to go on with.
  if (regular) {
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
      return absl::FailedPreconditionError(absl::StrCat(path, " is being written by another run"));
    }
    ASSIGN_OR_RETURN(const OldLines old, ReadOldLines(path, on_old_answer));
    if (::ftruncate(lock_, old.bytes) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot cut the torn end of ", path));
    }
    MutexLock lock(&mutex_);
    old_lines_ = next_ = old.lines;
    failed_ = old.failed;
  }
  file_ = std::make_unique<std::ofstream>(path, std::ios::binary | std::ios::app);
  if (!*file_) return absl::PermissionDeniedError(absl::StrCat("cannot write ", path));
  out_ = file_.get();
  return absl::OkStatus();
}

OrderedOutput::~OrderedOutput() {
  if (lock_ >= 0) ::close(lock_);
}

int64_t OrderedOutput::failed() const {
  MutexLock lock(&mutex_);
  return failed_;
}

void OrderedOutput::Put(int64_t number, std::string line) {
  MutexLock lock(&mutex_);
  waiting_.emplace(number, std::move(line));
  bool wrote = false;
  for (auto first = waiting_.begin(); first != waiting_.end() && first->first == next_;
       first = waiting_.erase(first), ++next_) {
    if (IsErrorLine(first->second)) ++failed_;
    *out_ << first->second << '\n';
    wrote = true;
  }
  if (!wrote) return;
  // Line by line, so that a kill loses what is in flight and nothing more. The kernel keeps the
  // rest.
  out_->flush();
  written_.SignalAll();
}

void OrderedOutput::AwaitRoom(int64_t number, int64_t window) {
  MutexLock lock(&mutex_);
  while (number >= next_ + window) written_.Wait(&mutex_);
}

absl::Status OrderedOutput::Finish() {
  MutexLock lock(&mutex_);
  out_->flush();
  if (*out_) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("cannot write to ",
                                          path_ == "-" ? "standard output" : path_,
                                          ": not all answers have arrived"));
}

}  // namespace dyad::client
