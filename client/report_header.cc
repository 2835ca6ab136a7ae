// Fields in the order of the schema.
#include "client/report_header.h"

#include <array>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/html.h"
#include "client/run_header.h"

namespace dyad::client {
namespace {

struct HeaderField {
  const char* title;
  const char* part;  // of the header
  const char* key;   // inside it; null: the part itself
};

constexpr std::array<HeaderField, 27> kHeaderFields = {{
    {"run", "run", nullptr},
    {"model digest", "model", "digest"},
    {"tokenizer digest", "model", "tokenizer_digest"},
    {"weights", "model", "weight_dtype"},
    {"KV cache", "model", "kv_dtype"},
    {"arithmetic", "model", "arithmetic"},
    {"task", "task", "name"},
    {"variant", "task", "variant"},
    {"convention", "convention", nullptr},
    {"special tokens", "special_tokens", nullptr},
    {"options", "options", nullptr},
    {"unit", "unit", nullptr},
    {"input SHA-256", "input", "sha256"},
    {"model", "model", "name"},
    {"architecture", "model", "architecture"},
    {"structure", "model", "structure"},
    {"device", "model", "device"},
    {"input", "input", "name"},
    {"input bytes", "input", "bytes"},
    {"input items", "input", "items"},
    {"server version", "server", "version"},
    {"server commit", "server", "commit"},
    {"client", "client", "name"},
    {"client version", "client", "version"},
    {"command", "command", nullptr},
    {"created", "created", nullptr},
    {"format", "format", nullptr},
}};

std::string FieldText(const Json& header, const HeaderField& field) {
  const auto part = header.find(field.part);
  if (part == header.end()) return "";
  if (field.key == nullptr) return part->is_string() ? part->get<std::string>() : FormatLine(*part);
  if (!part->is_object() || !part->contains(field.key)) return "";
  const Json& value = (*part)[field.key];
  return value.is_string() ? value.get<std::string>() : FormatLine(value);
}

std::string ModelField(const Json& header, const char* key) {
  return FieldText(header, {"", "model", key});
}

}  // namespace

std::string HeaderHtml(const std::vector<NamedHeader>& headers) {
  HtmlTable table = {.caption =
                         "What the run's id binds stands first, from the model's digest to "
                         "the input's.",
                     .columns = {{"field"}}};
  if (headers.size() > 1) {
    for (size_t i = 0; i < headers.size(); ++i) {
      table.columns.push_back({absl::StrCat("run ", i + 1)});
    }
  } else {
    table.columns.push_back({"value"});
  }
  std::vector<std::string> files = {"file"};
  for (const NamedHeader& header : headers) files.push_back(Isolated(header.path));
  table.rows.push_back(std::move(files));
  for (const HeaderField& field : kHeaderFields) {
    std::vector<std::string> row = {field.title};
    bool has_value = false;
    for (const NamedHeader& header : headers) {
      const std::string text = FieldText(header.header, field);
      has_value = has_value || !text.empty();
      row.push_back(text.empty() ? "" : "<code>" + Isolated(text) + "</code>");
    }
    if (has_value) table.rows.push_back(std::move(row));
  }
  return TableHtml(table);
}

std::string ConventionsHtml(const std::vector<NamedHeader>& headers) {
  static const std::map<std::string, const char*> texts = {
      {"LM_EVAL",
       "as lm-evaluation-harness: the model reads its prefix token, a blank and the text. Every "
       "token of the text counts; the larger sum wins."},
      {"BABYLM",
       "as BabyLM's pipeline: the model reads the text as its tokenizer encodes it by default. The "
       "first token does not count, and of a text with a context only the phrase behind it; the "
       "larger sum wins."},
      {"MINICONS_MEAN",
       "as minicons: the model reads the text as its tokenizer encodes it by default. The first "
       "token does not count; the larger mean over tokens wins."},
      {"MINICONS_SUM",
       "as minicons: the model reads the text as its tokenizer encodes it by default. The first "
       "token does not count; the larger sum wins."},
      {"CONDITIONAL",
       "as the text stands: the model reads its prefix token, or the context, and the text. Every "
       "token of the text counts; the larger sum wins."}};
  std::set<std::string> conventions;
  for (const NamedHeader& header : headers) {
    conventions.insert(header.header.value("convention", ""));
  }
  std::string html;
  for (const std::string& convention : conventions) {
    const auto text = texts.find(convention);
    if (text == texts.end()) continue;
    absl::StrAppend(&html, "<p>", convention, ", ", Escaped(text->second), "</p>\n");
  }
  return html;
}

std::string TaskName(const Json& header) {
  const Json task = header.value("task", Json::object());
  const std::string variant = task.value("variant", "");
  return absl::StrCat(task.value("name", "?"), variant.empty() ? "" : " (" + variant + ")");
}

std::string ModelName(const Json& header) {
  std::string name = ModelField(header, "name");
  if (name.empty()) name = "A model";
  const std::string digest = ModelField(header, "digest"),
                    weights = ModelField(header, "weight_dtype"),
                    arithmetic = ModelField(header, "arithmetic");
  std::string what;
  const auto add = [&](const std::string& text) {
    absl::StrAppend(&what, what.empty() ? "" : ", ", text);
  };
  if (!digest.empty()) add("digest " + digest.substr(0, 12));
  if (!weights.empty()) add(weights + " weights");
  if (!arithmetic.empty()) add(arithmetic + " arithmetic");
  return what.empty() ? name : absl::StrCat(name, " (", what, ")");
}

}  // namespace dyad::client
