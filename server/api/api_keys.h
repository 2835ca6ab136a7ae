// The keys that clients show, from a file that may be replaced while the server runs.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/base/log_line.h"
#include "server/base/mutex.h"
#include "server/base/sha256.h"

namespace dyad {

// One key a line, 16 to 512 visible ASCII characters; empty lines and those that begin with # do
// not count. The file is a regular one of at most 1 MiB. The file is looked at when a call comes
// and the last look is `reload` old. While it cannot be read, holds no key or a bad one, the keys
// before hold, and an error is logged. Only their digests are kept. Threads: any.
class ApiKeys {
 public:
  // Null without a path. Errors: those of ReadFile; InvalidArgument (with the line): what would not
  // be taken later either.
  static absl::StatusOr<std::unique_ptr<ApiKeys>> Load(const std::string& path, LogFunction log,
                                                       absl::Duration reload = absl::Seconds(1));

  // `authorizations` are the values of the request's authorization fields: there must be one,
  // "Bearer KEY", whatever the case of the first word. The time it takes does not tell where a key
  // differs. Errors: Unauthenticated.
  absl::Status Check(const std::vector<std::string>& authorizations) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  ApiKeys(std::string path, LogFunction log, absl::Duration reload)
      : path_(std::move(path)), log_(std::move(log)), reload_(reload) {}
  static absl::StatusOr<std::vector<Sha256::Digest>> Read(const std::string& path);
  void Look() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  const LogFunction log_;
  const absl::Duration reload_;
  Mutex mutex_;
  std::vector<Sha256::Digest> keys_ ABSL_GUARDED_BY(mutex_);
  absl::Time looked_ ABSL_GUARDED_BY(mutex_);
  std::string logged_ ABSL_GUARDED_BY(mutex_);  // what was wrong at the last look
};

}  // namespace dyad
