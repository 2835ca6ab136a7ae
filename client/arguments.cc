// Parsing of flags; see the header.
#include "client/arguments.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace dyad::client {
namespace {

// Null for a name that is no flag.
const Flag* Find(absl::string_view name, std::span<const Flag> flags) {
  const auto found =
      std::find_if(flags.begin(), flags.end(), [&](const Flag& flag) { return flag.name == name; });
  return found == flags.end() ? nullptr : &*found;
}

absl::Status CheckSwitch(absl::string_view name, const std::string& value) {
  if (value == "true" || value == "false") return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", name, " is ", value, "; it must be true or false"));
}

}  // namespace

absl::StatusOr<Arguments> Arguments::Parse(std::span<const std::string> words,
                                           std::span<const Flag> flags) {
  Arguments arguments;
  for (size_t i = 0; i < words.size(); ++i) {
    absl::string_view word = words[i];
    if (word == "--") {
      arguments.positional_.insert(arguments.positional_.end(), words.begin() + i + 1, words.end());
      break;
    }
    if (!absl::StartsWith(word, "--")) {
      arguments.positional_.emplace_back(word);
      continue;
    }
    word.remove_prefix(2);
    const size_t equals = word.find('=');
    const absl::string_view name = word.substr(0, equals);
    const Flag* flag = Find(name, flags);
    if (flag == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("unknown flag --", name));
    }
    std::string value;
    if (equals != absl::string_view::npos) {
      value = std::string(word.substr(equals + 1));
    } else if (flag->kind == FlagKind::kSwitch) {
      value = "true";
    } else if (i + 1 < words.size()) {
      value = words[++i];
    } else {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " needs a value"));
    }
    if (flag->kind == FlagKind::kSwitch) {
      if (absl::Status checked = CheckSwitch(name, value); !checked.ok()) return checked;
    }
    std::vector<std::string>& values = arguments.values_[std::string(name)];
    if (flag->kind != FlagKind::kRepeated && !values.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " is given twice"));
    }
    values.push_back(std::move(value));
  }
  return arguments;
}

bool Arguments::On(absl::string_view name) const { return Text(name, "false") == "true"; }

std::string Arguments::Text(absl::string_view name, absl::string_view otherwise) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::string(otherwise) : found->second.back();
}

std::vector<std::string> Arguments::All(absl::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

absl::StatusOr<int64_t> Arguments::Integer(absl::string_view name, int64_t otherwise,
                                           Range range) const {
  if (!Has(name)) return otherwise;
  const std::string text = Text(name, "");
  int64_t value = 0;
  if (absl::SimpleAtoi(text, &value) && value >= range.least && value <= range.most) return value;
  return absl::InvalidArgumentError(absl::StrCat("--", name, " is ", text,
                                                 "; it must be a whole number from ", range.least,
                                                 " to ", range.most));
}

std::string FlagsHelp(std::span<const Flag> flags) {
  const auto head = [](const Flag& flag) {
    return absl::StrCat("--", flag.name, flag.value.empty() ? "" : "=", flag.value);
  };
  size_t width = 0;
  for (const Flag& flag : flags) width = std::max(width, head(flag).size());
  std::string help;
  for (const Flag& flag : flags) {
    absl::StrAppend(
        &help, absl::StrFormat("  %-*s  %s\n", static_cast<int>(width), head(flag), flag.help));
  }
  return help;
}

}  // namespace dyad::client
