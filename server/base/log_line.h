// One event as one line of a log, to be read by people (key=value) or by programs (JSON).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace dyad {

enum class LogFormat { kText, kJson };
enum class LogLevel { kDebug, kInfo, kWarning, kError };
// Whether the lines of calls carry the first text of the request. Off by default: prompts are
// private.
enum class PromptLogging { kOff, kOn };

struct LogField {
  std::string key;
  std::variant<std::string, int64_t, double> value;
};

// Where a part of the server writes its lines: an event and its fields. Any thread; never waits.
using LogFunction =
    std::function<void(LogLevel, const std::string& event, const std::vector<LogField>& fields)>;

// kText: event key=value key="quoted where needed". kJson: the members of an object, without
// braces: "event":"…","key":value. Control characters, quotes and bad UTF-8 are escaped or
// replaced, so that an event is always one line. Doubles: six digits after the point.
std::string LogLine(LogFormat format, const std::string& event,
                    const std::vector<LogField>& fields);

}  // namespace dyad
