// dyadctl blimp: the BLiMP benchmark, all paradigms over one stream.
#include <memory>
#include <utility>

#include "client/accuracy.h"
#include "client/blimp_corpus.h"
#include "client/commands.h"
#include "client/pair_command.h"
#include "client/pair_run.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

absl::StatusOr<std::string> CorpusPath(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.positional();
  if (words.size() == 1 && !arguments.Has("input")) return words.front();
  if (words.empty() && arguments.Has("input")) return arguments.Text("input", "");
  return absl::InvalidArgumentError("blimp takes one path: a folder or a tar.gz of BLiMP's files");
}

absl::StatusOr<int> RunBlimp(const Arguments& arguments, const Console& console) {
  ASSIGN_OR_RETURN(PairRunOptions options, PairRunFrom(arguments));
  ASSIGN_OR_RETURN(const std::string path, CorpusPath(arguments));
  std::optional<int64_t> limit;
  if (arguments.Has("limit")) {
    ASSIGN_OR_RETURN(limit, arguments.Integer("limit", 0, {1, 1'000'000}));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> lines, ReadBlimp(path, limit));
  options.total = static_cast<int64_t>(lines.size());
  size_t next = 0;
  Accuracy accuracy;
  ASSIGN_OR_RETURN(const PairRunResult result,
                   RunPairs(
                       options, console,
                       [&]() -> std::optional<std::string> {
                         if (next == lines.size()) return std::nullopt;
                         return lines[next++];
                       },
                       [&](int64_t, const Json& answer) { accuracy.Add(answer); }));
  if (options.output != "-") PrintSummary(accuracy, result, arguments, console);
  return ReportBatch(result.batch, console);
}

}  // namespace

Command BlimpCommand() {
  std::vector<Flag> flags = PairFlags();
  flags.push_back({"limit", FlagKind::kValue, "N", "Only the first N pairs of each file"});
  return {
      .name = "blimp",
      .usage = "PATH [--output=FILE] [--streams=N]",
      .summary = "Run the BLiMP benchmark; accuracy by phenomenon",
      .text =
          "PATH is a folder or a tar archive (compressed or not) with BLiMP's *.jsonl files. The\n"
          "table has BLiMP's 12 phenomena; --json adds the 67 paradigms. A tie counts as right.\n"
          "--output gets each pair's line with its sums, margin, tie and first difference.\n",
      .flags = std::move(flags),
      .takes_batches = false,
      .run = &RunBlimp};
}

}  // namespace dyad::client
