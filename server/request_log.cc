// The fields of a call's line.
#include "server/request_log.h"

#include <utility>

namespace dyad {
namespace {

// The server's own fault, not the caller's.
bool IsServerFault(std::string_view code) {
  return code == "INTERNAL" || code == "DATA_LOSS" || code == "UNKNOWN";
}

}  // namespace

std::vector<LogField> RequestFields(const RpcRecord& record) {
  std::vector<LogField> fields;
  const auto text = [&](const char* key, std::string value) {
    if (!value.empty()) fields.push_back({key, std::move(value)});
  };
  const auto count = [&](const char* key, int64_t value) {
    if (value > 0) fields.push_back({key, value});
  };
  const auto seconds = [&](const char* key, absl::Duration value) {
    fields.push_back({key, absl::ToDoubleSeconds(value)});
  };
  text("request_id", record.request_id);
  text("method", std::string(record.method));
  text("code", std::string(record.code));
  count("status", record.http_status);
  text("model", record.model);
  text("peer", record.peer);
  count("prompt_tokens", record.prompt_tokens);
  count("generated_tokens", record.generated_tokens);
  count("scored_tokens", record.scored_tokens);
  text("finish_reason", std::string(record.finish_reason));
  if (record.prompt_tokens > 0) {
    seconds("queue_seconds", record.timing.queue);
    seconds("prefill_seconds", record.timing.prefill);
    seconds("decode_seconds", record.timing.decode);
  }
  seconds("total_seconds", record.total);
  text("message", record.message);
  text("prompt", record.prompt);
  return fields;
}

void RequestLog::OnRpcEnd(const RpcRecord& record) {
  const bool is_http = record.http_status != 0;
  if (is_http) {
    metrics_.OnHttp(record.method, record.http_status, record.total);
  } else {
    metrics_.OnRpc(record.method, record.code, record.total);
  }
  log_.Write(IsServerFault(record.code) ? LogLevel::kError : LogLevel::kInfo,
             is_http ? "http" : "rpc", RequestFields(record));
}

}  // namespace dyad
