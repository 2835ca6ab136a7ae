// The commands of dyadctl, one source file each (NAME_command.cc).
#pragma once

#include <memory>

namespace dyad::client {

class Command;

std::unique_ptr<Command> GenerateCommand();
std::unique_ptr<Command> ScoreCommand();
std::unique_ptr<Command> PairsCommand();
std::unique_ptr<Command> BlimpCommand();
std::unique_ptr<Command> TokenizeCommand();
std::unique_ptr<Command> DetokenizeCommand();
std::unique_ptr<Command> ModelsCommand();
std::unique_ptr<Command> HealthCommand();

}  // namespace dyad::client
