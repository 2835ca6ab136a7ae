// Two lists of names, and what a prefix does to them.
#include "client/answer_keys.h"

#include "absl/strings/str_cat.h"
#include "server/base/message_text.h"

namespace dyad::client {

Json WithPrefix(const std::string& prefix, const Json& answer) {
  if (prefix.empty()) return answer;
  Json renamed = Json::object();
  for (const auto& [key, value] : answer.items()) {
    renamed[key == "error" ? key : prefix + key] = value;
  }
  return renamed;
}

Json WithoutPrefix(const std::string& prefix, const Json& answer) {
  if (prefix.empty()) return answer;
  Json renamed = answer;
  const auto rename = [&](std::span<const char* const> keys) {
    for (const char* key : keys) {
      renamed.erase(key);
      if (answer.contains(prefix + key)) renamed[key] = answer[prefix + key];
      renamed.erase(prefix + key);
    }
  };
  rename(kTaskAnswerKeys);
  rename(kPairAnswerKeys);
  return renamed;
}

absl::Status CheckOwnKeys(const Json& line, std::span<const char* const> keys,
                          const std::string& prefix) {
  for (const char* name : keys) {
    const std::string key = prefix + name;
    if (!line.contains(key)) continue;
    return absl::InvalidArgumentError(Text(
        "has the key ", key, ", which the answer has too; --prefix=dyad_ renames the answer's"));
  }
  return absl::OkStatus();
}

}  // namespace dyad::client
