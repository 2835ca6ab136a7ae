// One line of the server's log per finished call.
#pragma once

#include <vector>

#include "server/api/rpc_record.h"
#include "server/metrics/metrics.h"
#include "server/server_log.h"

namespace dyad {

// The line of one call. Left out: empty fields, and for calls that ran nothing, counts and times.
std::vector<LogField> RequestFields(const RpcRecord& record);

// Writes each finished call at info, at error if the fault is the server's own, and counts it in
// the metrics. `log` and `metrics` outlive it.
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
