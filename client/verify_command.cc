// dyadctl verify: some answers of a file asked for again, and their bits compared.
#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/commands.h"
#include "client/evaluate_task.h"
#include "client/reading.h"
#include "client/rows.h"
#include "client/run_file.h"
#include "client/sample.h"
#include "server/base/philox.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

constexpr size_t kDifferencesShown = 10;
// Some of a file's answers: those with the smallest random numbers, so that every machine takes the
// same. Errors are passed over.
class Taker {
 public:
  explicit Taker(size_t count) : count_(count) {}

  void Add(int64_t number, Json answer) {
    ++answers_;
    const uint32_t random = Philox({static_cast<uint32_t>(number), 0, 0, 0}, {0, 0})[0];
    least_.emplace(std::pair(random, number), std::move(answer));
    if (least_.size() > count_) least_.erase(std::prev(least_.end()));
  }

  int64_t answers() const { return answers_; }  // that were added
  std::map<int64_t, Json> Take() {
    std::map<int64_t, Json> taken;
    for (auto& [key, answer] : least_) taken.emplace(key.second, std::move(answer));
    return taken;
  }

 private:
  const size_t count_;
  int64_t answers_ = 0;
  std::map<std::pair<uint32_t, int64_t>, Json> least_;
};

// The rows of each item as {"row 1": {...}, ...}.
absl::Status TakeRows(std::istream& file, int64_t at, const RowLayout& layout, const Json& header,
                      Taker& taker) {
  Json rows = Json::object();
  int64_t item = -1;
  const auto close = [&] {
    if (!rows.empty()) taker.Add(item, std::exchange(rows, Json::object()));
  };
  RETURN_IF_ERROR(ReadRows(file, at, layout, header.value("run", ""), [&](OldRow row) {
    if (row.item != item) close();
    item = row.item;
    if (!row.is_error) rows[absl::StrCat("row ", rows.size() + 1)] = std::move(row.row);
    return absl::OkStatus();
  }));
  close();
  return absl::OkStatus();
}

absl::Status TakeLines(std::istream& file, Taker& taker) {
  std::string line;
  for (int64_t number = 0; std::getline(file, line) && !file.eof(); ++number) {
    absl::StatusOr<Json> answer = ParseLine(line);
    if (!answer.ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat("answer ", number + 1, ": ", answer.status().message()));
    }
    if (!answer->contains("error")) taker.Add(number, *std::move(answer));
  }
  return absl::OkStatus();
}

// The sample's header, format and answers.
absl::StatusOr<Sample> TakeSample(const std::string& path, Taker& taker) {
  ASSIGN_OR_RETURN(RunFile run, ReadRunFile(path));
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  file.seekg(run.begin);
  Sample sample = {.header = std::move(run.header), .format = run.layout.format};
  const std::string name = sample.header.value("task", Json::object()).value("name", "");
  const bool are_rows = name == "surprisal" || name == kReadingTask;
  const absl::Status taken = are_rows ? TakeRows(file, run.begin, run.layout, sample.header, taker)
                                      : TakeLines(file, taker);
  if (!taken.ok()) return absl::Status(taken.code(), absl::StrCat(path, ": ", taken.message()));
  if (file.bad()) return absl::DataLossError(absl::StrCat("cannot read ", path));
  sample.answers = taker.Take();
  return sample;
}

// The flags of the run that has this header.
std::vector<std::string> FlagsOf(const Json& header) {
  std::vector<std::string> flags;
  const auto add = [&](const std::string& key, const Json& value) {
    flags.push_back(absl::StrCat("--", key, "=",
                                 value.is_string() ? value.get<std::string>() : FormatLine(value)));
  };
  Json options = header.value("options", Json::object());
  options.erase("models");
  for (const char* key : {"convention", "special_tokens", "unit"}) {
    if (header.contains(key)) options[key] = header[key];
  }
  for (const auto& [key, value] : options.items()) {
    const bool texts = value.is_array() && !value.empty() && value[0].is_string();
    for (const Json& one : texts ? value : Json::array({value})) add(key, one);
  }
  return flags;
}

class Verify final : public Command {
 public:
  Verify(const CommandHelp& help, RunSampled run) : Command(help), run_(std::move(run)) {}

  void AddFlags(CLI::App& app) override {
    AddFlag(app, "sample", "N", count_, "Answers to ask for again (default 100)")
        ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000}));
    AddFlag(app, "input", "FILE", input_, "Where the run's input is now (default: where it was)");
    AddModelFlag(app);
    Command::AddFlags(app);
  }

  absl::StatusOr<int> Run(const Console& console) override {
    if (words_.size() != 1) return UsageError("takes one file: an output of dyadctl");
    Taker taker(static_cast<size_t>(count_));
    ASSIGN_OR_RETURN(Sample sample, TakeSample(words_[0], taker));
    if (sample.answers.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(words_[0], " has no answers to compare"));
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> words, WordsOf(sample.header));
    std::ostringstream unused;
    const absl::StatusOr<int> status = run_(
        words, sample,
        {.in = console.in, .out = unused, .err = console.err, .err_screen = console.err_screen});
    if (IsUsageError(status.status())) {
      return absl::FailedPreconditionError(absl::StrCat(
          words_[0],
          ": the header has what its command does not take: ", status.status().message()));
    }
    if (!status.ok() || *status == kInterrupted) return status;
    if (sample.compared != static_cast<int64_t>(sample.answers.size())) {
      return absl::FailedPreconditionError(
          absl::StrCat(words_[0], " has answers to lines that the ", "input does not have"));
    }
    Print(sample, taker.answers(), console);
    return sample.differences.empty() ? 0 : 1;
  }

 private:
  absl::StatusOr<std::vector<std::string>> WordsOf(const Json& header) const {
    const Json task = header.value("task", Json::object());
    const Json input = header.value("input", Json::object());
    const Json model = header.value("model", Json::object());
    if (!input.contains("sha256") || input.value("name", "") == "arguments") {
      return absl::FailedPreconditionError(
          absl::StrCat(words_[0], ": its input was no file, and cannot be read again"));
    }
    std::vector<std::string> words = {task.value("name", "")};
    const std::vector<std::string> tasks = EvaluateTaskNames();
    const bool is_task = std::find(tasks.begin(), tasks.end(), words[0]) != tasks.end();
    if (is_task || words[0] == "blimp_supplement" || words[0] == kReadingTask) {
      words.insert(words.begin(), "evaluate");
    }
    if (task.contains("variant")) words.push_back("--variant=" + task.value("variant", ""));
    const std::map<std::string, std::string> given = {
        {"input", input_.empty() ? input.value("name", "") : input_},
        {"model", model_.empty() ? model.value("name", "") : model_},
        {"server", connection_.server},
        {"tls_ca", connection_.tls_ca},
        {"tls_cert", connection_.tls_cert},
        {"tls_key", connection_.tls_key},
        {"api_key_file", connection_.api_key_file}};
    for (const auto& [flag, value] : given) {
      if (!value.empty()) words.push_back(absl::StrCat("--", flag, "=", value));
    }
    for (std::string& flag : FlagsOf(header)) words.push_back(std::move(flag));
    return words;
  }

  void Print(const Sample& sample, int64_t answers, const Console& console) const {
    if (json_) {
      console.out << FormatLine({{"run", sample.header.value("run", "")},
                                 {"answers", answers},
                                 {"compared", sample.compared},
                                 {"differences", sample.differences}})
                  << '\n';
      return;
    }
    console.out << words_[0] << ": " << sample.compared << " of " << answers
                << " answers asked for again, "
                << (sample.differences.empty() ? "all with the same bits\n"
                                               : "and not the same:\n");
    const size_t shown = std::min(kDifferencesShown, sample.differences.size());
    for (size_t i = 0; i < shown; ++i) console.out << "  " << sample.differences[i] << '\n';
    if (sample.differences.size() > shown) {
      console.out << "  and " << sample.differences.size() - shown << " more\n";
    }
  }

  const RunSampled run_;
  int64_t count_ = 100;
  std::string input_;
};

}  // namespace

std::unique_ptr<Command> VerifyCommand(RunSampled run) {
  return std::make_unique<Verify>(
      CommandHelp{
          "verify", "FILE [--sample=N]", "Ask again for some answers of a file",
          R"(FILE is an --output of dyadctl. The run is made again over some of its lines, with the input and
the options that its header names, and every value of an answer is compared by its bits. Exit status
1 if one differs, or if model, input or options are not those of the run.
)",
          WordsAre::kPaths},
      std::move(run));
}

}  // namespace dyad::client
