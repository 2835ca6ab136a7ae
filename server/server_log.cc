// A queue of lines and the thread that writes them.
#include "server/server_log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <deque>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/base/mutex.h"
#include "server/base/thread.h"

namespace dyad {
namespace {

constexpr size_t kQueuedLines = 8192;
constexpr std::chrono::seconds kEnd{1};
constexpr int kForever = -1;

const char* Name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      break;
  }
  return "error";
}

// False: it cannot be written, or not within the limit in milliseconds. A piece of PIPE_BUF bytes
// goes into a pipe that polls as writable without waiting.
bool WriteToStderr(std::string_view text, int limit) {
  while (!text.empty()) {
    pollfd ready = {STDERR_FILENO, POLLOUT, 0};
    if (poll(&ready, 1, limit) == 0) return false;
    const ssize_t written =
        write(STDERR_FILENO, text.data(), std::min<size_t>(text.size(), PIPE_BUF));
    if (written > 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EINTR && errno != EAGAIN) {
      return false;
    }
  }
  return true;
}

}  // namespace

// Outlives the log while its thread is stuck in a write.
struct ServerLog::Queue {
  Mutex mutex;
  CondVar changed;
  std::deque<std::string> lines ABSL_GUARDED_BY(mutex);
  bool stop ABSL_GUARDED_BY(mutex) = false;
  bool ended ABSL_GUARDED_BY(mutex) = false;
  std::atomic<int64_t> dropped = 0;
};

ServerLog::ServerLog(LogFormat format, LogLevel level)
    : format_(format), level_(level), queue_(std::make_shared<Queue>()) {
  std::thread(&ServerLog::Run, queue_).detach();
}

ServerLog::~ServerLog() {
  const auto until = std::chrono::steady_clock::now() + kEnd;
  MutexLock lock(&queue_->mutex);
  queue_->stop = true;
  queue_->changed.SignalAll();
  while (!queue_->ended) {
    const auto left = until - std::chrono::steady_clock::now();
    if (left <= left.zero()) {
      queue_->lines.clear();
      return;
    }
    queue_->changed.WaitFor(&queue_->mutex, left);
  }
}

void ServerLog::Run(const std::shared_ptr<Queue>& queue) {
  NameThread("log");
  while (true) {
    std::string line;
    {
      MutexLock lock(&queue->mutex);
      while (queue->lines.empty() && !queue->stop) queue->changed.Wait(&queue->mutex);
      if (queue->lines.empty()) {
        queue->ended = true;
        return queue->changed.SignalAll();
      }
      line = std::move(queue->lines.front());
      queue->lines.pop_front();
    }
    if (!WriteToStderr(line, kForever)) ++queue->dropped;
  }
}

void ServerLog::Write(LogLevel level, const std::string& event,
                      const std::vector<LogField>& fields) {
  if (level < level_) return;
  // UTC: logs of several machines are read together.
  const std::string time =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  const std::string text = LogLine(format_, event, fields);
  std::string line =
      format_ == LogFormat::kJson
          ? absl::StrCat("{\"time\":\"", time, "\",\"level\":\"", Name(level), "\",", text, "}\n")
          : absl::StrCat(time, " ", Name(level), " ", text, "\n");
  MutexLock lock(&queue_->mutex);
  if (queue_->lines.size() == kQueuedLines) {
    queue_->lines.pop_front();
    ++queue_->dropped;
  }
  queue_->lines.push_back(std::move(line));
  queue_->changed.Signal();
}

int64_t ServerLog::dropped_lines() const { return queue_->dropped; }

void WriteLastLine(std::string_view message, std::string_view added) {
  const auto until = std::chrono::steady_clock::now() + kEnd;
  char piece[PIPE_BUF] = "dyad-server: ";
  size_t used = std::strlen(piece);
  const auto write = [&] {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    const bool written =
        WriteToStderr({piece, used}, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    used = 0;
    return written;
  };
  for (const std::string_view part : {message, added}) {
    for (const char c : part) {
      piece[used++] = c == '\n' ? ' ' : c;
      if (used == sizeof(piece) && !write()) return;
    }
  }
  piece[used++] = '\n';
  write();
}

}  // namespace dyad
