// Hooks of the two libraries, which take plain functions, and the log that they write into.
#include "server/grpc/grpc_log.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include <string>
#include <utility>

#include "server/base/message_text.h"
#include "server/base/mutex.h"

namespace dyad {
namespace {

Mutex mutex;
LogFunction& TheLog() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
  static auto& log = *new LogFunction;  // threads of gRPC's may outlive main
  return log;
}

void Write(const char* library, LogLevel level, const std::string& message, const char* file,
           int line) {
  std::string_view name = file;
  name.remove_prefix(name.rfind('/') + 1);
  MutexLock lock(&mutex);
  if (const LogFunction& log = TheLog()) {
    log(level, library, {{"message", message}, {"source", Text(name, ":", line)}});
  }
}

void FromGrpc(gpr_log_func_args* args) {
  const LogLevel level = args->severity == GPR_LOG_SEVERITY_ERROR  ? LogLevel::kError
                         : args->severity == GPR_LOG_SEVERITY_INFO ? LogLevel::kInfo
                                                                   : LogLevel::kDebug;
  Write("grpc", level, args->message, args->file, args->line);
}

void FromProtobuf(google::protobuf::LogLevel severity, const char* file, int line,
                  const std::string& message) {
  const LogLevel level = severity == google::protobuf::LOGLEVEL_INFO      ? LogLevel::kInfo
                         : severity == google::protobuf::LOGLEVEL_WARNING ? LogLevel::kWarning
                                                                          : LogLevel::kError;
  Write("protobuf", level, message, file, line);
}

}  // namespace

void SetLibraryLog(LogFunction log) {
  {
    MutexLock lock(&mutex);
    TheLog() = std::move(log);
  }
  gpr_set_log_function(FromGrpc);
  google::protobuf::SetLogHandler(FromProtobuf);
}

}  // namespace dyad
