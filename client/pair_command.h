// What the commands `pairs` and `blimp` share: flags, the run, the summary.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "client/accuracy.h"
#include "client/command.h"
#include "client/pair_run.h"

namespace dyad::client {

class PairCommand : public Command {
 public:
  using Command::Command;
  void AddFlags(CLI::App& app) override;

  // The flags, checked. Without --output, answers go nowhere: the summary is what is asked for.
  absl::StatusOr<PairRunOptions> Options() const;

 protected:
  // Scores the lines; prints the first `shown` pairs and the summary, unless the answers themselves
  // go to `out`. Returns the exit status.
  absl::StatusOr<int> Score(const PairRunOptions& options, LineInput lines, size_t shown,
                            const Console& console) const;

  std::optional<std::string> input_, output_;

 private:
  std::string convention_, special_tokens_;
  PairRunOptions flags_;
};

// Table and speed as text, or one object that also has every paradigm.
std::string SummaryText(const Accuracy& accuracy, const PairRunResult& result);
Json SummaryJson(const Accuracy& accuracy, const PairRunResult& result);

}  // namespace dyad::client
