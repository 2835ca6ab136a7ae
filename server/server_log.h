// The server's log: lines on stderr that never hold up whoever writes them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/log_line.h"

namespace dyad {

// Threads: any. A line is queued (8192 at most; the oldest go first) and written by one thread, so
// that a slow reader of stderr never holds up a call. What cannot be written, because nobody reads
// or the disk is full, is dropped and counted.
class ServerLog {
 public:
  ServerLog(LogFormat format, LogLevel level);
  // Writes what is queued, for at most a second: a reader that stands still is not waited for.
  ~ServerLog();
  ServerLog(const ServerLog&) = delete;
  ServerLog& operator=(const ServerLog&) = delete;

  void Write(LogLevel level, const std::string& event, const std::vector<LogField>& fields);

  int64_t dropped_lines() const;

 private:
  struct Queue;
  static void Run(const std::shared_ptr<Queue>& queue);

  const LogFormat format_;
  const LogLevel level_;
  const std::shared_ptr<Queue> queue_;
};

// Writes "dyad-server: ", the message and what is added to it as one line, past any log, for at
// most a second. Allocates nothing: memory that ran out may be what it has to tell.
void WriteLastLine(std::string_view message, std::string_view added = {});

}  // namespace dyad
