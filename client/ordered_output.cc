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
#include "client/json_line.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

struct OldLines {
  int64_t lines = 0;
  int64_t bytes = 0;  // of those lines, line feeds included
};

// Reads answers up to the first thing that is none. Only the last piece of the file may be that: a
// file with something else in the middle is not ours to cut.
absl::StatusOr<OldLines> ReadOldLines(const std::string& path,
                                      const OrderedOutput::OldLine& on_old_line) {
  std::ifstream file(path, std::ios::binary);
  OldLines old;
  for (std::string line; std::getline(file, line);) {
    const bool torn = file.eof();  // no line feed at its end
    if (torn || !ParseLine(line).ok()) {
      if (file.peek() == std::ifstream::traits_type::eof()) return old;
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": line ", old.lines + 1, " is no answer; move the file away first"));
    }
    RETURN_IF_ERROR(on_old_line(line));
    ++old.lines;
    old.bytes += static_cast<int64_t>(line.size()) + 1;
  }
  return old;
}

}  // namespace

absl::StatusOr<std::unique_ptr<OrderedOutput>> OrderedOutput::Open(const std::string& path,
                                                                   std::ostream& standard_output,
                                                                   const OldLine& on_old_line) {
  auto output = std::unique_ptr<OrderedOutput>(new OrderedOutput);
  output->path_ = path;
  if (path == "-") {
    output->out_ = &standard_output;
    return output;
  }
  RETURN_IF_ERROR(output->OpenFile(path, on_old_line));
  return output;
}

absl::Status OrderedOutput::OpenFile(const std::string& path, const OldLine& on_old_line) {
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
    ASSIGN_OR_RETURN(const OldLines old, ReadOldLines(path, on_old_line));
    if (::ftruncate(lock_, old.bytes) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot cut the torn end of ", path));
    }
    MutexLock lock(&mutex_);
    old_lines_ = next_ = old.lines;
  }
  file_ = std::make_unique<std::ofstream>(path, std::ios::binary | std::ios::app);
  if (!*file_) return absl::PermissionDeniedError(absl::StrCat("cannot write ", path));
  out_ = file_.get();
  return absl::OkStatus();
}

OrderedOutput::~OrderedOutput() {
  if (lock_ >= 0) ::close(lock_);
}

void OrderedOutput::Put(int64_t number, std::string line) {
  MutexLock lock(&mutex_);
  if (number < old_lines_) {
    replaced_.emplace(number, std::move(line));
    return;
  }
  waiting_.emplace(number, std::move(line));
  bool wrote = false;
  for (auto first = waiting_.begin(); first != waiting_.end() && first->first == next_;
       first = waiting_.erase(first), ++next_) {
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
  while (number >= next_ + window && !stopped_) written_.Wait(&mutex_);
}

void OrderedOutput::Stop() {
  MutexLock lock(&mutex_);
  stopped_ = true;
  written_.SignalAll();
}

absl::Status OrderedOutput::written() {
  MutexLock lock(&mutex_);
  return Arrived();
}

absl::Status OrderedOutput::Arrived() const {
  if (*out_) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("cannot write to ",
                                          path_ == "-" ? "standard output" : path_,
                                          ": not all answers have arrived"));
}

absl::Status OrderedOutput::Finish() {
  MutexLock lock(&mutex_);
  out_->flush();
  RETURN_IF_ERROR(Arrived());
  return replaced_.empty() ? absl::OkStatus() : WriteReplaced();
}

absl::Status OrderedOutput::WriteReplaced() {
  std::error_code error;
  // A link stays one.
  const std::string target = std::filesystem::canonical(path_, error).string();
  std::string copy = absl::StrCat(target, ".XXXXXX");
  const int descriptor = error ? -1 : ::mkostemp(copy.data(), O_CLOEXEC);
  struct stat info;
  bool good =
      descriptor >= 0 && ::fstat(lock_, &info) == 0 && ::fchmod(descriptor, info.st_mode) == 0;
  if (good) {
    std::ifstream old(target, std::ios::binary);
    std::ofstream fresh(copy, std::ios::binary);
    int64_t number = 0;
    for (std::string line; std::getline(old, line); ++number) {
      const auto replaced = replaced_.find(number);
      fresh << (replaced == replaced_.end() ? line : replaced->second) << '\n';
    }
    fresh.close();
    good = number == next_ && fresh && ::fsync(descriptor) == 0 &&
           ::rename(copy.c_str(), target.c_str()) == 0;
  }
  if (descriptor >= 0) ::close(descriptor);
  if (good) return absl::OkStatus();
  if (descriptor >= 0) ::unlink(copy.c_str());
  return absl::DataLossError(absl::StrCat(path_, " keeps its old errors: no copy with the ",
                                          replaced_.size(), " new answers could be written"));
}

}  // namespace dyad::client
