// Values are compared by their text: numbers have the digits of their bits.
#include "client/sample.h"

#include "absl/strings/str_cat.h"

namespace dyad::client {

void CompareWith(Sample& sample, int64_t number, const Json& answer) {
  ++sample.compared;
  for (const auto& [key, value] : sample.answers.at(number).items()) {
    const std::string there = FormatLine(value);
    const std::string now = answer.contains(key) ? FormatLine(answer[key]) : "not there";
    if (there == now) continue;
    sample.differences.push_back(
        absl::StrCat("answer ", number + 1, ": ", key, " is ", there, " there and ", now, " now"));
  }
}

}  // namespace dyad::client
