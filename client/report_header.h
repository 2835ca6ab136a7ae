// What the runs of a report are, from their headers.
#pragma once

#include <string>
#include <vector>

#include "client/json_line.h"

namespace dyad::client {

struct NamedHeader {
  std::string path = {};
  Json header = {};
};

// A table of every field that one of the headers has, a column a run; those that the run's id binds
// first.
std::string HeaderHtml(const std::vector<NamedHeader>& headers);

// What the conventions of the runs mean, a paragraph each.
std::string ConventionsHtml(const std::vector<NamedHeader>& headers);

// "blimp", "ewok (babylm)".
std::string TaskName(const Json& header);

// "demo (0123456789ab, float32 weights, exact arithmetic)": for a sentence.
std::string ModelName(const Json& header);

}  // namespace dyad::client
