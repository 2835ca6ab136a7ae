// The words behind `dyadctl COMMAND`: flags and positional arguments, checked against what the
// command takes. Not Abseil's flags: those are global, the same for every command, and cannot be
// set twice by a test.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace dyad::client {

enum class FlagKind {
  kValue,     // --name=VALUE or --name VALUE; at most once
  kRepeated,  // as kValue, any number of times
  kSwitch,    // --name, --name=true or --name=false
};

struct Flag {
  absl::string_view name;  // words joined by underscores, without the dashes
  FlagKind kind;
  absl::string_view value;  // what stands for the value in the help text; empty for a switch
  absl::string_view help;   // one sentence, with unit, range and default
};

// Immutable; any number of threads.
class Arguments {
 public:
  // `words` is what follows the command's name. "--" ends the flags.
  // Errors: InvalidArgument naming the word: an unknown flag, one without its value, or given
  // twice.
  static absl::StatusOr<Arguments> Parse(std::span<const std::string> words,
                                         std::span<const Flag> flags);

  bool Has(absl::string_view name) const { return values_.contains(name); }
  // Whether a switch is on; false if absent.
  bool On(absl::string_view name) const;
  // The value, or `otherwise` if absent.
  std::string Text(absl::string_view name, absl::string_view otherwise) const;
  // All values of a repeated flag, in order.
  std::vector<std::string> All(absl::string_view name) const;

  struct Range {
    int64_t least;
    int64_t most;
  };
  // Errors: InvalidArgument naming flag, value and range.
  absl::StatusOr<int64_t> Integer(absl::string_view name, int64_t otherwise, Range range) const;

  const std::vector<std::string>& positional() const { return positional_; }

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::vector<std::string> positional_;
};

// The flags as help text, one per line, names padded to one column.
std::string FlagsHelp(std::span<const Flag> flags);

}  // namespace dyad::client
