// Lines of a batch, and its output read back. The first byte chooses the command; the rest is a
// file of lines, which the batch answers without a server. Then the same run goes on with
// - the output cut anywhere, as a kill leaves it: it must end with the same bytes; or
// - behind a byte 0 in the input, an output of somebody else: it must be left as it is, or taken.
#include <cstdint>
#include <sstream>
#include <string>

#include "client/batch.h"
#include "client/input_digest.h"
#include "client/json_line.h"
#include "client/request_json.h"
#include "server/base/status_macros.h"
#include "tests/fuzz/fuzz_input.h"

namespace dyad::client {
namespace {

using testing::FuzzFolder;
using testing::Require;

const FuzzFolder& Folder() {
  static const FuzzFolder folder;
  return folder;
}

template <typename Request>
absl::StatusOr<Json> Answer(const absl::StatusOr<Request>& request) {
  if (!request.ok()) return request.status();
  return Json{{"bytes", request->ByteSizeLong()}};
}

struct LineKind {
  absl::StatusOr<Json> (*answer)(const Json& line);
  const std::vector<std::string>& (*options)();
};

const std::vector<std::string>& PairOptions() {
  static const std::vector<std::string> options = {"context"};
  return options;
}

constexpr LineKind kKinds[] = {
    {[](const Json& line) { return Answer(GenerateRequestFromJson(line)); }, GenerateOptions},
    {[](const Json& line) { return Answer(ScoreRequestFromJson(line)); }, ScoreOptions},
    {[](const Json& line) { return Answer(MinimalPairFromJson(line)); }, PairOptions},
    {[](const Json& line) { return Answer(TokenizeRequestFromJson(line)); }, TokenizeOptions},
    {[](const Json& line) { return Answer(DetokenizeRequestFromJson(line)); }, DetokenizeOptions},
};

absl::StatusOr<RunDescription> Description() {
  ASSIGN_OR_RETURN(const Json input, DescribeFile(Folder().Path("input")));
  return RunDescription{.header = {{"model", {{"digest", "d1"}}},
                                   {"task", {{"name", "score"}}},
                                   {"options", Json::object()},
                                   {"input", input}}};
}

// Answers the lines of the file "input" into the file "output".
absl::Status Run(const LineKind& kind) {
  std::istringstream in;
  std::ostringstream out, err;
  const Console console = {.in = in, .out = out, .err = err};
  ASSIGN_OR_RETURN(LineInput lines, LineInput::Open(Folder().Path("input"), in));
  Batch::Options options;
  options.input = Folder().Path("input");
  options.output = Folder().Path("output");
  options.own_keys = [&](const Json& line) { return OwnKeysOf(line, kind.options()); };
  options.describe = [] { return Description(); };
  ASSIGN_OR_RETURN(const auto batch, Batch::Open(std::move(lines), std::move(options), console));
  while (const auto line = batch->Next()) {
    batch->Answer(line->number, line->head, kind.answer(line->json));
  }
  return batch->Finish().status();
}

}  // namespace
}  // namespace dyad::client

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyad;
  using namespace dyad::client;
  if (size < 3) return 0;
  const LineKind& kind = kKinds[data[0] % std::size(kKinds)];
  const auto parts = testing::Parts(testing::AsText(data + 3, size - 3), '\0', 2);
  Folder().Write("input", parts[0]);
  if (parts.size() > 1) {
    Folder().Write("output", parts[1]);
    const absl::Status status = Run(kind);
    if (absl::IsFailedPrecondition(status)) {
      Require(Folder().Read("output") == parts[1], "what is refused stays as it is");
    }
    return 0;
  }
  Folder().Put("output", std::nullopt);
  // What cannot be read at all is refused before the output is made.
  if (!Run(kind).ok()) return 0;
  const std::string output = Folder().Read("output");
  const size_t cut = (data[1] * size_t{256} + data[2]) % (output.size() + 1);
  Folder().Write("output", output.substr(0, cut));
  const absl::Status again = Run(kind);
  Require(again.ok(), again.ToString());
  Require(Folder().Read("output") == output, "a run that goes on ends with the same bytes");
  return 0;
}
