// The commands of dyadctl, one source file each (NAME_command.cc).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "server/base/console.h"

namespace dyad::client {

class Command;
struct Sample;

// Runs the command that words[0] names over a sample (Command::set_sample).
using RunSampled = std::function<absl::StatusOr<int>(std::span<const std::string> words,
                                                     Sample& sample, const Console& console)>;

std::unique_ptr<Command> GenerateCommand();
std::unique_ptr<Command> ScoreCommand();
std::unique_ptr<Command> SurprisalCommand();
std::unique_ptr<Command> PairsCommand();
std::unique_ptr<Command> BlimpCommand();
std::unique_ptr<Command> EvaluateCommand();
// `evaluate TASK` for a task with flags of its own: blimp, blimp_supplement or reading; null for
// another.
std::unique_ptr<Command> EvaluateTaskCommand(const std::string& task);
std::unique_ptr<Command> EvaluateReadingCommand();
std::unique_ptr<Command> TokenizeCommand();
std::unique_ptr<Command> DetokenizeCommand();
std::unique_ptr<Command> CompareCommand();
std::unique_ptr<Command> ReportCommand();
std::unique_ptr<Command> VerifyCommand(RunSampled run);
std::unique_ptr<Command> ModelsCommand();
std::unique_ptr<Command> HealthCommand();

}  // namespace dyad::client
