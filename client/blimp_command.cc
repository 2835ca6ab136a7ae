// dyadctl blimp: the BLiMP benchmark, all paradigms over one stream.
#include <optional>
#include <utility>

#include "client/blimp_corpus.h"
#include "client/commands.h"
#include "client/pair_command.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

class Blimp final : public PairCommand {
 public:
  using PairCommand::PairCommand;

  void AddFlags(CLI::App& app) override {
    AddNumber(app, "limit", limit_, 1, kNoLimit, {"N", "Only the first N pairs of each file"});
    PairCommand::AddFlags(app);
  }

  absl::StatusOr<int> Run(const Console& console) override {
    ASSIGN_OR_RETURN(const PairRunOptions options, Options());
    std::vector<std::string> paths = words_;
    if (input_.has_value()) paths.push_back(*input_);
    if (paths.size() != 1) {
      return absl::InvalidArgumentError(
          "blimp takes one path: a folder or a tar.gz of BLiMP's files");
    }
    ASSIGN_OR_RETURN(std::vector<std::string> lines, ReadBlimp(paths.front(), limit_));
    return Score(options, LineInput::Of(std::move(lines)), 0, console);
  }

 private:
  // A line has more than a byte, so no file reaches it.
  static constexpr int64_t kNoLimit = kMaxCorpusBytes;
  int64_t limit_ = kNoLimit;
};

}  // namespace

std::unique_ptr<Command> BlimpCommand() {
  return std::make_unique<Blimp>(CommandHelp{
      .name = "blimp",
      .usage = "PATH [--output=FILE] [--streams=N]",
      .summary = "Run the BLiMP benchmark; accuracy by phenomenon",
      .text =
          "PATH is a folder or a tar archive (compressed or not) with BLiMP's *.jsonl files. The\n"
          "table has BLiMP's 12 phenomena; --json adds the 67 paradigms. A tie counts as right.\n"
          "--output gets each pair's line with its sums, margin, tie and first difference.\n"});
}

}  // namespace dyad::client
