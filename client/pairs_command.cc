// dyadctl pairs: minimal pairs from a JSON-lines file, over one stream.
#include <utility>

#include "client/commands.h"
#include "client/pair_command.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

constexpr size_t kPairsOnScreen = 100;

class Pairs final : public PairCommand {
 public:
  using PairCommand::PairCommand;

  absl::StatusOr<int> Run(const Console& console) override {
    ASSIGN_OR_RETURN(PairRunOptions options, Options());
    ASSIGN_OR_RETURN(LineInput lines, Lines(console));
    // With --json and no file, the answers themselves are what is asked for.
    if (json_ && !output_.has_value()) options.output = "-";
    const bool for_people = !json_ && !output_.has_value();
    return Score(options, std::move(lines), for_people ? kPairsOnScreen : 0, console);
  }

 private:
  // The pair of the command line, or the lines of --input.
  absl::StatusOr<LineInput> Lines(const Console& console) const {
    if (words_.size() == 2 && !input_.has_value()) {
      return LineInput::Of(
          {FormatLine({{"sentence_good", words_[0]}, {"sentence_bad", words_[1]}})});
    }
    if (words_.empty() && input_.has_value()) return LineInput::Open(*input_, console.in);
    return absl::InvalidArgumentError("pairs takes --input, or a good and a bad sentence");
  }
};

}  // namespace

std::unique_ptr<Command> PairsCommand() {
  return std::make_unique<Pairs>(CommandHelp{
      .name = "pairs",
      .usage = "--input=FILE [--output=FILE] | GOOD BAD",
      .summary = "Score minimal pairs: which sentence is likelier",
      .text =
          "A line of --input has \"sentence_good\" and \"sentence_bad\"; its answer is the line "
          "with\n"
          "\"good_sum\", \"bad_sum\", \"margin\", \"tie\", \"correct\" and \"first_difference\".\n"
          "\"phenomenon\" (or \"linguistics_term\" and \"UID\") of the lines make the table's "
          "rows.\n"});
}

}  // namespace dyad::client
