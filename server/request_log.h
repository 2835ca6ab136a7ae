// The server's log (stderr), and one line of it per finished call.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/api/rpc_record.h"
#include "server/log_line.h"
#include "server/metrics/metrics.h"

namespace dyad {

// Threads: any. A line is queued (8192 at most; the oldest go first) and written by one thread, so
// that a slow reader of stderr never holds up a call. The destructor writes what is queued.
class ServerLog {
 public:
  ServerLog(LogFormat format, LogLevel level);
  ~ServerLog();
  ServerLog(const ServerLog&) = delete;
  ServerLog& operator=(const ServerLog&) = delete;

  void Write(LogLevel level, const std::string& event, const std::vector<LogField>& fields);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// The line of one call. Left out: empty fields, and for calls that ran nothing, counts and times.
std::vector<LogField> RequestFields(const RpcRecord& record);

// Writes each finished call at info and counts it in the metrics. `log` and `metrics` outlive it.
class RequestLog final : public RpcObserver {
 public:
  RequestLog(ServerLog& log, Metrics& metrics, PromptLogging prompts)
      : log_(log), metrics_(metrics), prompts_(prompts) {}

  bool WantsPrompts() const override { return prompts_ == PromptLogging::kOn; }
  void OnRpcEnd(const RpcRecord& record) override;

 private:
  ServerLog& log_;
  Metrics& metrics_;
  const PromptLogging prompts_;
};

}  // namespace dyad
