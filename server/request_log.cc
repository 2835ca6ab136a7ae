// spdlog behind the server's log, and the fields of a call's line.
#include "server/request_log.h"

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <utility>

namespace dyad {
namespace {

constexpr size_t kQueuedLines = 8192;

spdlog::level::level_enum Level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

}  // namespace

class ServerLog::Impl {
 public:
  Impl(LogFormat format, LogLevel level)
      : format_(format),
        writer_(std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1)),
        logger_(std::make_shared<spdlog::async_logger>(
            "dyad", std::make_shared<spdlog::sinks::stderr_sink_mt>(), writer_,
            spdlog::async_overflow_policy::overrun_oldest)) {
    logger_->set_level(Level(level));
    // Times are UTC: logs of several machines are read together.
    logger_->set_pattern(format == LogFormat::kJson
                             ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                             : "%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                         spdlog::pattern_time_type::utc);
  }

  void Write(LogLevel level, const std::string& event, const std::vector<LogField>& fields) {
    if (!logger_->should_log(Level(level))) return;
    logger_->log(spdlog::source_loc{}, Level(level),
                 spdlog::string_view_t(LogLine(format_, event, fields)));
  }

 private:
  const LogFormat format_;
  const std::shared_ptr<spdlog::details::thread_pool> writer_;  // its destructor empties the queue
  const std::shared_ptr<spdlog::async_logger> logger_;
};

ServerLog::ServerLog(LogFormat format, LogLevel level)
    : impl_(std::make_unique<Impl>(format, level)) {}
ServerLog::~ServerLog() = default;

void ServerLog::Write(LogLevel level, const std::string& event,
                      const std::vector<LogField>& fields) {
  impl_->Write(level, event, fields);
}

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
  metrics_.OnRpc(record.method, record.code, record.total);
  log_.Write(LogLevel::kInfo, "rpc", RequestFields(record));
}

}  // namespace dyad
