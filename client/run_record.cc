// Digests of lines, and the words for what differs.
#include "client/run_record.h"

#include <openssl/sha.h>

#include <array>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace dyad::client {
namespace {

// `fields` may be anything: it comes from a file.
std::string Shown(const Json& fields, const std::string& key) {
  if (!fields.is_object() || !fields.contains(key)) return "not given";
  return FormatLine(fields[key]);
}

std::string Differences(const Json& there, const Json& now) {
  Json keys = now;
  if (there.is_object()) keys.update(there);
  std::vector<std::string> differences;
  for (const auto& [key, unused] : keys.items()) {
    const std::string old_value = Shown(there, key), new_value = Shown(now, key);
    if (old_value == new_value) continue;
    differences.push_back(absl::StrCat(key, " is ", old_value, " there and ", new_value, " now"));
  }
  return absl::StrJoin(differences, ", ");
}

}  // namespace

std::string ShortDigest(std::string_view bytes) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), digest.size() / 2});
}

Json RunRecord::Of(int64_t number, std::string_view line) const {
  const Json& run = description_.run;
  std::string all = absl::StrCat(FormatLine(run), "\n");
  // Most lines name no model: they need not be read for that.
  if (line.find("\"model\"") != std::string_view::npos) {
    const auto json = ParseLine(line);
    const std::string name = json.ok() && json->contains("model") && (*json)["model"].is_string()
                                 ? (*json)["model"].get<std::string>()
                                 : std::string();
    const auto model = description_.models.find(name);
    if (model != description_.models.end()) absl::StrAppend(&all, FormatLine(model->second), "\n");
  }
  Json record = {{"line", ShortDigest(all.append(line))}};
  if (number == 0) record["run"] = run;
  return record;
}

absl::Status RunRecord::Check(int64_t number, std::string_view line, const Json& answer) const {
  const std::string name = absl::StrCat("line ", number + 1);
  const auto found = answer.find(kRecordKey);
  if (found == answer.end() || !found->is_object() || (number == 0 && !found->contains("run"))) {
    return absl::FailedPreconditionError(
        absl::StrCat(name,
                     " is no answer of a run: another's file, or an output of an earlier "
                     "version of dyadctl"));
  }
  if (number == 0) {
    const std::string differences = Differences((*found)["run"], description_.run);
    if (!differences.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("its answers are of another run: ", differences));
    }
  }
  if (found->contains("line") && (*found)["line"] == Of(number, line)["line"]) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat(name, " does not answer ", name,
                   " of the input: the input, or a model that it names, has changed"));
}

}  // namespace dyad::client
