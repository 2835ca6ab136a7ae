// What an output says of the run that wrote it: a header, {"dyad_run": {...}}, whose fields are
// those of client/schema/run.schema.json. The run's id is a digest of the fields that decide over
// the answers; each answer carries it. So no other run, and no other input, goes on with a file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/json_line.h"

namespace dyad::client {

inline constexpr char kHeaderKey[] = "dyad_run";
// Of an answer: the id of its run.
inline constexpr char kRunKey[] = "run";
// Behind the name of a file in which no header can stand: the header is in the file of that name.
inline constexpr char kHeaderSuffix[] = ".run.json";
// Of such a file; more is no header.
inline constexpr int64_t kMaxHeaderBytes = int64_t{1} << 24;

struct RunDescription {
  // The header without "format", "run" and the number of items: {"model", "task", "convention",
  // "special_tokens", "options", "unit", "input", "server", "client", "command", "created"}; what
  // the run does not have is absent.
  Json header = Json::object();
  // The digest of each model of the server, by the model's name.
  std::map<std::string, std::string> digests = {};
};

// The whole header, in the schema's order.
Json FinishHeader(const Json& fields);

// The first 12 hexadecimal digits of the SHA-256 of CanonicalJson of the bound fields: format,
// task, convention, special_tokens, options, unit; of the model digests, types and arithmetic; of
// the input the digest.
std::string RunId(const Json& header);

// Whether `text` looks like a run's id.
bool IsRunId(std::string_view text);

// {"dyad_run": header}, without its line feed.
std::string HeaderLine(const Json& header);

// Whether the line begins as a header's does; and whether it may be cut off from one.
bool IsHeaderLine(std::string_view line);
bool MayBeginHeader(std::string_view piece);

// The header in such a line. Errors: FailedPrecondition.
absl::StatusOr<Json> ReadHeader(std::string_view line);

// "demo, BABYLM, run 0123456789ab": what a person calls the run.
std::string RunName(const Json& header);
// Of several, with what tells their models apart: "demo (int8 weights), BABYLM, run 0123456789ab".
std::vector<std::string> RunNames(const std::vector<Json>& headers);

// Errors: FailedPrecondition that names each bound field in which the two differ, with both values.
absl::Status CheckSameRun(const Json& there, const Json& now);

}  // namespace dyad::client
