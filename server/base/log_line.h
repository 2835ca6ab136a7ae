// One event as one line of a log, to be read by people (key=value) or by programs (JSON).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace dyad {

enum class LogFormat { kText, kJson };
enum class LogLevel { kDebug, kInfo, kWarning, kError };
// Whether the lines of calls carry the first text of the request. Off by default: prompts are
// private.
enum class PromptLogging { kOff, kOn };

// A text in a variant. libstdc++ 12 destroys a bare string there that was never made, when there is
// no memory for its copy.
struct FieldText {
  FieldText(std::string value) : text(std::move(value)) {}  // NOLINT: implicit
  FieldText(const char* value) : text(value) {}             // NOLINT: implicit
  std::string text;
};
struct LogField {
  std::string key;
  std::variant<FieldText, int64_t, double> value;
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
