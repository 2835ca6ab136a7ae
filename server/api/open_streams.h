// The streams that may be idle, so that the end of the server can reach them.
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "server/base/mutex.h"

namespace dyad {

// A stream that waits for its client's next message would hold up the end for as long as the client
// likes. Threads: any.
class OpenStreams {
 public:
  // `on_shutdown` may be called, from another thread, until Remove returns. It must not call back.
  void Add(const void* stream, std::function<void()> on_shutdown) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    streams_.emplace(stream, std::move(on_shutdown));
  }
  void Remove(const void* stream) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    streams_.erase(stream);
  }

  // Tells every stream that the server shuts down.
  void Shutdown() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    for (const auto& [stream, on_shutdown] : streams_) on_shutdown();
  }

 private:
  Mutex mutex_;
  std::map<const void*, std::function<void()>> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dyad
