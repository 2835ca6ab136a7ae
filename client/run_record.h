// What an output file says of the run that wrote it: each answer names the input line that it is
// of, the first one also the run. So that no other run, and no other input, goes on with it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "client/json_line.h"

namespace dyad::client {

// Of an answer: {"line": digest}; of the first one also "run".
inline constexpr char kRecordKey[] = "dyadctl";

struct RunDescription {
  // Everything that changes an answer: {"command", "model", "model_digest", "convention", ...}.
  Json run = Json::object();
  // The same of each model that a line may name, by its name.
  std::map<std::string, Json> models = {};
};

// First half of the SHA-256, in hexadecimal digits.
std::string ShortDigest(std::string_view bytes);

// Threads: any.
class RunRecord {
 public:
  explicit RunRecord(RunDescription description) : description_(std::move(description)) {}

  // The record of the answer to input line `number` (from 0). Its digest is of the whole line, of
  // the run, and of the model that the line names.
  Json Of(int64_t number, std::string_view line) const;

  // Whether `answer` is one of this run to this line. Errors: FailedPrecondition saying what
  // differs: the run, option by option; the line; or that the answer has no record at all.
  absl::Status Check(int64_t number, std::string_view line, const Json& answer) const;

  const RunDescription& description() const { return description_; }

 private:
  const RunDescription description_;
};

}  // namespace dyad::client
