// What a checkpoint's linear layers are, as text.
#pragma once

#include <string>

#include "server/model/load_model.h"

namespace dyad {

// A line for each layer, the steps of structured ones below it, and sums. Ends with a line feed.
std::string InspectionTable(const ModelInfo& info);
// One object on one line.
std::string InspectionJson(const ModelInfo& info);

}  // namespace dyad
