// The commands of dyadctl, one source file each (NAME_command.cc).
#pragma once

#include "client/command.h"

namespace dyad::client {

Command GenerateCommand();
Command ScoreCommand();
Command PairsCommand();
Command BlimpCommand();
Command TokenizeCommand();
Command DetokenizeCommand();
Command ModelsCommand();
Command HealthCommand();

}  // namespace dyad::client
