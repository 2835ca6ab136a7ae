// dyadctl report: outputs of runs as one page.
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/commands.h"
#include "client/replace_file.h"
#include "client/report_page.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

class Report final : public Command {
 public:
  using Command::Command;

  void AddFlags(CLI::App& app) override {
    AddFlag(app, "output", "FILE", output_, "The page, one file of HTML; a file there is replaced");
    AddFlag(app, "baselines", "FILE", baselines_,
            "CSV of what people or other models reach: source,task,row,accuracy,n");
  }

  absl::StatusOr<int> Run(const Console& console) override {
    if (words_.empty() || words_.size() > kMaxRunsOnPage) {
      return UsageError(absl::StrCat("takes 1 to ", kMaxRunsOnPage, " outputs of runs"));
    }
    if (output_.empty()) return UsageError("--output=FILE says where the page goes");
    for (const std::string& run : words_) {
      std::error_code ignored;
      if (std::filesystem::equivalent(run, output_, ignored)) {
        return UsageError("--output is one of the runs");
      }
    }
    ASSIGN_OR_RETURN(const std::string page, ReportPage(words_, baselines_));
    RETURN_IF_ERROR(ReplaceFile(output_, page));
    console.out << output_ << ": " << page.size() << " bytes\n";
    return 0;
  }

 private:
  std::string output_, baselines_;
};

}  // namespace

std::unique_ptr<Command> ReportCommand() {
  return std::make_unique<Report>(CommandHelp{
      "report", "RUN... --output=FILE", "One page of HTML about runs, to read, print and cite",
      R"(Outputs of blimp, pairs, evaluate and surprisal. The page has what the runs are of, accuracy by
phenomenon and row with intervals, chance and baselines, margins, what failed; of two runs over the same
items a comparison; of surprisal the sentences, shaded. It has no script and asks for nothing. No server
is asked.
)",
      WordsAre::kPaths});
}

}  // namespace dyad::client
