// Digests of headers, and the words for what differs.
#include "client/run_header.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/canonical_json.h"
#include "server/base/sha256.h"

namespace dyad::client {
namespace {

constexpr char kFormat[] = "dyad.run/1";
constexpr size_t kIdDigits = 12;
// Fields that are objects; the others are strings, and so is all that stands in these but options
// and counts.
constexpr std::array<std::string_view, 6> kObjects = {"model", "task",   "options",
                                                      "input", "server", "client"};
constexpr std::array<std::string_view, 2> kCounts = {"bytes", "items"};
constexpr std::string_view kStart = "{\"dyad_run\":";

// The named members of an object that are there.
Json Members(const Json& from, const std::vector<std::string>& keys) {
  Json picked = Json::object();
  for (const std::string& key : keys) {
    if (from.is_object() && from.contains(key)) picked[key] = from[key];
  }
  return picked;
}

Json Bound(const Json& header) {
  Json bound =
      Members(header, {"format", "task", "convention", "special_tokens", "options", "unit"});
  const Json parts = Members(header, {"model", "input"});
  if (parts.contains("model")) {
    bound["model"] = Members(
        parts["model"], {"digest", "tokenizer_digest", "weight_dtype", "kv_dtype", "arithmetic"});
  }
  if (parts.contains("input")) bound["input"] = Members(parts["input"], {"sha256"});
  return bound;
}

template <size_t kSize>
bool Contains(const std::array<std::string_view, kSize>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Every value that is no object, by its path: "model.digest".
void Flatten(const Json& value, const std::string& path, std::map<std::string, std::string>& flat) {
  if (!value.is_object()) {
    flat[path] = FormatLine(value);
    return;
  }
  for (const auto& [key, member] : value.items()) {
    Flatten(member, path.empty() ? key : absl::StrCat(path, ".", key), flat);
  }
}

std::string Differences(const Json& there, const Json& now) {
  std::map<std::string, std::string> old_values, new_values;
  Flatten(there, "", old_values);
  Flatten(now, "", new_values);
  std::map<std::string, std::string> all = old_values;
  all.insert(new_values.begin(), new_values.end());
  const auto shown = [](const std::map<std::string, std::string>& values, const std::string& path) {
    const auto value = values.find(path);
    return value == values.end() ? std::string("not given") : value->second;
  };
  std::vector<std::string> differences;
  for (const auto& [path, unused] : all) {
    const std::string old_value = shown(old_values, path), new_value = shown(new_values, path);
    if (old_value == new_value) continue;
    differences.push_back(absl::StrCat(path, " is ", old_value, " there and ", new_value, " now"));
  }
  return absl::StrJoin(differences, ", ");
}

}  // namespace

Json FinishHeader(const Json& fields) {
  Json header = {{"format", kFormat}, {kRunKey, ""}};
  header.update(Members(fields, {"model", "task", "convention", "special_tokens", "options", "unit",
                                 "input", "server", "client", "command", "created"}));
  header[kRunKey] = RunId(header);
  return header;
}

std::string RunId(const Json& header) {
  return Sha256Of(CanonicalJson(Bound(header))).substr(0, kIdDigits);
}

bool IsRunId(std::string_view text) {
  return text.size() == kIdDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isxdigit(static_cast<unsigned char>(c)) &&
                  !absl::ascii_isupper(static_cast<unsigned char>(c));
         });
}

std::string HeaderLine(const Json& header) { return FormatLine({{kHeaderKey, header}}); }

bool IsHeaderLine(std::string_view line) { return line.starts_with(kStart); }

bool MayBeginHeader(std::string_view piece) {
  return piece.substr(0, kStart.size()) == kStart.substr(0, piece.size());
}

absl::StatusOr<Json> ReadHeader(std::string_view line) {
  absl::StatusOr<Json> json = ParseLine(line);
  if (!json.ok() || !json->contains(kHeaderKey) || !(*json)[kHeaderKey].is_object()) {
    return absl::FailedPreconditionError(
        "it has no header of a run: another's file, or an output of an earlier version of dyadctl");
  }
  const Json& header = (*json)[kHeaderKey];
  for (const auto& [key, value] : header.items()) {
    const bool is_object = Contains(kObjects, key);
    bool fits = is_object ? value.is_object() : value.is_string();
    if (is_object && key != "options" && fits) {
      for (const auto& [name, member] : value.items()) {
        fits = fits && (Contains(kCounts, name) ? member.is_number_integer() : member.is_string());
      }
    }
    if (fits) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("its header has ", key, " ", FormatLine(value), ", which no run has"));
  }
  return header;
}

std::string RunName(const Json& header) { return RunNames({header}).front(); }

std::vector<std::string> RunNames(const std::vector<Json>& headers) {
  constexpr size_t kDigestShown = 12;
  const auto field = [](const Json& header, const char* key) {
    return header.value("model", Json::object()).value(key, "");
  };
  std::vector<std::vector<std::string>> apart(headers.size());
  for (const auto& [key, text] :
       {std::pair("digest", "digest %s"), std::pair("weight_dtype", "%s weights"),
        std::pair("kv_dtype", "%s KV cache"), std::pair("arithmetic", "%s arithmetic")}) {
    const bool differs =
        std::any_of(headers.begin(), headers.end(), [&, key = key](const Json& header) {
          return field(header, key) != field(headers.front(), key);
        });
    for (size_t i = 0; differs && i < headers.size(); ++i) {
      apart[i].push_back(
          absl::StrReplaceAll(text, {{"%s", field(headers[i], key).substr(0, kDigestShown)}}));
    }
  }
  std::vector<std::string> names;
  for (size_t i = 0; i < headers.size(); ++i) {
    const Json model = headers[i].value("model", Json::object());
    names.push_back(absl::StrCat(
        model.value("name", "?"),
        apart[i].empty() ? "" : absl::StrCat(" (", absl::StrJoin(apart[i], ", "), ")"), ", ",
        headers[i].value("convention", "-"), ", run ", headers[i].value(kRunKey, "-")));
  }
  return names;
}

absl::Status CheckSameRun(const Json& there, const Json& now) {
  Json old_fields = Bound(there), new_fields = Bound(now);
  std::string differences = Differences(old_fields, new_fields);
  // Somebody changed the header: its id does not fit it.
  if (differences.empty()) {
    differences = Differences(Members(there, {kRunKey}), Members(now, {kRunKey}));
  }
  if (differences.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("its answers are of another run: ", differences));
}

}  // namespace dyad::client
