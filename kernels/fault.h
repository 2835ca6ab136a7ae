// Errors of this folder, which knows no status type: text for people.
#pragma once

#include <string>

namespace dyad::kernels {

// What is wrong: where, what was found, what was expected. Empty: nothing.
using Fault = std::string;

}  // namespace dyad::kernels
