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
#include "client/json_line.h"
#include "server/base/mutex.h"

namespace dyad::client {

// Threads: any number may call Put and AwaitRoom.
class OrderedOutput {
 public:
  // Goes on with the file at `path`: whole lines that are JSON objects stay, `on_old_answer` sees
  // each; a torn end, as a killed run may leave it, is cut off. "-" writes to `standard_output`,
  // from line 0. Errors: NotFound or PermissionDenied naming the path; FailedPrecondition if
  // another run writes the same file now, or if it holds a line that is no answer.
  static absl::StatusOr<std::unique_ptr<OrderedOutput>> Open(
      const std::string& path, std::ostream& standard_output,
      const std::function<void(const Json& answer)>& on_old_answer);
  ~OrderedOutput();

  // Lines that were in the file already: the first line to be answered.
  int64_t old_lines() const { return old_lines_; }
  // Of all answers, old ones included, those that are error objects.
  int64_t failed() const;

  // Takes the answer of line `number` (0-based), without its line feed, and writes all answers that
  // are next in order. Each number from old_lines() on once.
  void Put(int64_t number, std::string line);

  // Waits until line `number` is fewer than `window` lines ahead of the first unwritten one: bounds
  // what Put has to hold.
  void AwaitRoom(int64_t number, int64_t window);

  // Whether everything was written. Errors: DataLoss (a full disk, mostly) naming the path.
  absl::Status Finish();

 private:
  OrderedOutput() = default;
  absl::Status OpenFile(const std::string& path,
                        const std::function<void(const Json& answer)>& on_old_answer);

  std::string path_;
  std::ostream* out_ = nullptr;
  std::unique_ptr<std::ostream> file_;
  int lock_ = -1;  // descriptor that holds the file's lock
  int64_t old_lines_ = 0;

  mutable Mutex mutex_;
  CondVar written_;
  std::map<int64_t, std::string> waiting_ ABSL_GUARDED_BY(mutex_);
  int64_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t failed_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace dyad::client
