// dyadctl pairs and blimp: minimal pairs of a JSON-lines file, or of the BLiMP benchmark.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "client/accuracy.h"
#include "client/command.h"
#include "client/pair_run.h"
#include "client/task_flags.h"

namespace dyad::client {

// kLines: lines of --input, or two sentences. kBlimp: the files of a benchmark. kTask: the same,
// and a line that lacks a key of the task ends the command before anything is scored.
enum class PairSource { kLines, kBlimp, kTask };

class PairCommand final : public Command {
 public:
  // `task`: of the header. `convention`: where no flag gives one; empty: the server's default.
  PairCommand(const CommandHelp& help, PairSource source, const std::string& task,
              const std::string& convention = "")
      : Command(help), source_(source), task_(task) {
    if (!convention.empty()) fields_["convention"] = convention;
  }
  void AddFlags(CLI::App& app) override;
  absl::StatusOr<int> Run(const Console& console) override;

  // The flags, checked. Without --output, answers go nowhere: the summary is what is asked for.
  absl::StatusOr<PairRunOptions> Options() const;

 private:
  bool has_files() const { return source_ != PairSource::kLines; }
  // The pairs; also says what they are of.
  absl::StatusOr<LineInput> Lines(const Console& console);

  const PairSource source_;
  const std::string task_;
  std::optional<std::string> input_, output_;
  TaskFlags files_;
  Json fields_ = Json::object();  // of ScoreMinimalPairsRequest
  PairRunOptions flags_;
  std::function<absl::StatusOr<Json>()> describe_input_;  // for the header; set by Lines
};

// Table and speed as text, or one object that also has every paradigm.
std::string SummaryText(const Accuracy& accuracy, const PairRunResult& result);
Json SummaryJson(const Accuracy& accuracy, const PairRunResult& result);

}  // namespace dyad::client
