// The answers of a batch, put back in the order of their lines; a file can be gone on with.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/mutex.h"

namespace dyad::client {

// Threads: any number may call Put, AwaitRoom and Stop.
class OrderedOutput {
 public:
  // Sees the lines that a file has already, in order; an error says why one is not the run's.
  using OldLine = std::function<absl::Status(const std::string& line)>;

  // Goes on with the file at `path`: whole lines stay if `on_old_line` takes them; a torn end, as a
  // killed run may leave it, is cut off. "-" writes to `standard_output`, from line 0.
  // Errors: NotFound or PermissionDenied naming the path; FailedPrecondition if another run writes
  // the same file now, or if it holds a line that is no answer; those of `on_old_line`.
  static absl::StatusOr<std::unique_ptr<OrderedOutput>> Open(const std::string& path,
                                                             std::ostream& standard_output,
                                                             const OldLine& on_old_line);
  ~OrderedOutput();

  // Lines that were in the file already: the first line to be answered.
  int64_t old_lines() const { return old_lines_; }

  // Takes the answer of line `number` (0-based), without its line feed, and writes all answers that
  // are next in order. Each number from old_lines() on once; one before it replaces an old line,
  // when Finish is called.
  void Put(int64_t number, std::string line);

  // Whether all that was written so far has arrived. Errors: as Finish.
  absl::Status written();

  // Waits until line `number` is fewer than `window` lines ahead of the first unwritten one: bounds
  // what Put has to hold. After Stop it does not wait.
  void AwaitRoom(int64_t number, int64_t window);

  // Some line will get no answer.
  void Stop();

  // Whether everything was written, replaced lines too: they change a copy that takes the file's
  // place, so that a kill leaves the one or the other. Errors: DataLoss (a full disk, mostly)
  // naming the path.
  absl::Status Finish();

 private:
  absl::Status Arrived() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  OrderedOutput() = default;
  absl::Status OpenFile(const std::string& path, const OldLine& on_old_line);
  absl::Status WriteReplaced() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::string path_;
  std::ostream* out_ = nullptr;
  std::unique_ptr<std::ostream> file_;
  int lock_ = -1;  // descriptor that holds the file's lock
  int64_t old_lines_ = 0;

  Mutex mutex_;
  CondVar written_;
  std::map<int64_t, std::string> waiting_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, std::string> replaced_ ABSL_GUARDED_BY(mutex_);  // of the old lines
  int64_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace dyad::client
