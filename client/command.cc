// What commands share: flags, and the two ways to run.
#include "client/command.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/error_owner.h"
#include "client/input_digest.h"
#include "client/request_json.h"
#include "client/server_address.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

Json FieldValue(FieldKind kind, const std::string& text) {
  if (kind == FieldKind::kText) return text;
  if (kind == FieldKind::kIds) return *IdList(text);
  // What is no JSON, such as BABYLM, is a string. A quoted string stays as it was typed.
  const absl::StatusOr<Json> value = ParseJson(text);
  return !value.ok() || value->is_string() ? Json(text) : *value;
}

Json HeaderModel(const v1::Model& model) {
  std::string structure = "dense";
  for (const v1::LinearLayer& layer : model.layers()) {
    const std::string kind = layer.structure().substr(0, layer.structure().find(' '));
    if (kind == "dense") continue;
    structure = kind;
    break;
  }
  Json json = {{"name", model.name()},
               {"digest", model.digest()},
               {"tokenizer_digest", model.tokenizer_digest()},
               {"architecture", model.architecture()},
               {"structure", structure},
               {"weight_dtype", model.weight_dtype()},
               {"kv_dtype", model.kv_dtype()},
               {"arithmetic", model.arithmetic()},
               {"device", model.device()}};
  // Without tokenizer it has no digest.
  if (model.tokenizer_digest().empty()) json.erase("tokenizer_digest");
  return json;
}

// Of the lines that name one. Most do not, and need not be read for that.
absl::StatusOr<std::set<std::string>> ModelsNamedIn(const std::string& path) {
  std::istringstream unused;
  ASSIGN_OR_RETURN(const LineInput lines, LineInput::Open(path, unused));
  std::set<std::string> names;
  while (const std::optional<std::string> line = lines.next()) {
    if (!absl::StrContains(*line, "\"model\"")) continue;
    const absl::StatusOr<Json> json = ParseLine(*line);
    if (!json.ok() || !json->contains("model") || !(*json)["model"].is_string()) continue;
    names.insert((*json)["model"].get<std::string>());
  }
  return names;
}

// As a shell reads it back.
std::string ShellWord(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("-_=./:,@%+", c);
  });
  return plain ? word : absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

}  // namespace

void Command::set_arguments(std::span<const std::string> arguments) {
  typed_ = "dyadctl " + help_.name;
  for (const std::string& word : arguments) absl::StrAppend(&typed_, " ", ShellWord(word));
}

void Command::AddFlags(CLI::App& app) {
  AddFlag(app, "server", "ADDR", connection_.server,
          "HOST:PORT, or a gRPC target such as dns:///NAME:PORT (default 127.0.0.1:50051)");
  AddFlag(app, "tls_ca", "FILE", connection_.tls_ca,
          "PEM certificate to check the server with; turns TLS on");
  AddFlag(app, "tls_cert", "FILE", connection_.tls_cert, "PEM client certificate");
  AddFlag(app, "tls_key", "FILE", connection_.tls_key, "PEM key of the client certificate");
  AddFlag(app, "api_key_file", "FILE", connection_.api_key_file,
          "Key to show, on the first line (default: the environment's DYAD_API_KEY)");
  Needs("--tls_cert", "--tls_key");
  Needs("--tls_key", "--tls_cert");
  app.add_flag("--json", json_, "Print JSON instead of text for people; a batch always does");
}

void Command::AddModelFlag(CLI::App& app) {
  AddFlag(app, "model", "NAME", model_, "Model of the server (default: its only one)");
}

void Command::AddTimeoutFlag(CLI::App& app) {
  AddFlag(app, "timeout", "SECONDS", timeout_seconds_, "Limit of each request (default: none)")
      ->check([](const std::string& text) {
        double seconds = 0;
        const bool good = absl::SimpleAtod(text, &seconds) && seconds > 0;
        return good ? std::string() : absl::StrCat("must be above 0 seconds, found ", text);
      });
}

void Command::Needs(const std::string& flag, const std::string& other) {
  rules_.push_back({flag, other, Together::kAlways});
}

void Command::Excludes(const std::string& flag, const std::string& other) {
  rules_.push_back({flag, other, Together::kNever});
}

absl::Status Command::CheckRules(const CLI::App& app) const {
  for (const Rule& rule : rules_) {
    if (app.count(rule.flag) == 0) continue;
    const bool other = app.count(rule.other) > 0;
    if (other == (rule.together == Together::kAlways)) continue;
    return UsageError(
        absl::StrCat(rule.flag, other ? " has no effect beside " : " needs ", rule.other));
  }
  return absl::OkStatus();
}

absl::StatusOr<Client> Command::MakeClient() const {
  ASSIGN_OR_RETURN(auto channel, Connect(connection_));
  return Client(std::move(channel), absl::Seconds(timeout_seconds_));
}

absl::StatusOr<RunDescription> Command::DescribeRun(Json fields,
                                                    const std::set<std::string>& named) const {
  ASSIGN_OR_RETURN(const Client client, MakeClient());
  ASSIGN_OR_RETURN(const v1::ListModelsResponse list, client.ListModels());
  RunDescription description;
  std::map<std::string, const v1::Model*> models;
  for (const v1::Model& model : list.models()) {
    models[model.name()] = &model;
    description.digests[model.name()] = model.digest();
  }
  std::string own = model_;
  if (own.empty() && models.size() == 1) own = models.begin()->first;
  if (!own.empty()) {
    ASSIGN_OR_RETURN(const v1::Model model, client.GetModel(own));
    fields["model"] = HeaderModel(model);
  }
  for (const std::string& name : named) {
    const auto model = models.find(name);
    if (name == own || model == models.end()) continue;
    Json described = HeaderModel(*model->second);
    for (const char* key : {"name", "architecture", "structure", "device"}) described.erase(key);
    fields["options"]["models"][name] = std::move(described);
  }
  const absl::StatusOr<v1::GetServerInfoResponse> info = client.GetServerInfo();
  if (info.ok()) {
    fields["server"] = {{"version", info->version()}, {"commit", info->commit()}};
  } else if (!absl::IsUnimplemented(info.status())) {
    return info.status();
  }
  AddOrigin(fields);
  description.header = std::move(fields);
  return description;
}

void Command::AddOrigin(Json& header) const {
  if (!header.contains("task")) header["task"] = {{"name", help_.name}};
  header["client"] = {{"name", "dyadctl"}, {"version", DYAD_VERSION}};
  header["command"] = typed_;
  header["created"] = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone());
}

void Command::AddOutputFlags(CLI::App& app, OldErrors& old_errors, Headers& headers) {
  app.add_flag_callback(
      "--retry_errors", [&old_errors] { old_errors = OldErrors::kAskAgain; },
      "Ask again the lines whose answer in --output is an error object");
  app.add_option_function<std::string>(
         "--header", [&headers](const std::string&) { headers = Headers::kOfAll; },
         "on: standard output begins with the header of the run, too; files always do")
      ->type_name("on")
      ->check(CLI::IsMember({"on"}));
}

absl::Status Command::CheckDigest(const RunDescription& description, const std::string& model,
                                  const std::string& digest) {
  const auto known = description.digests.find(model);
  if (known == description.digests.end() || known->second == digest) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(
      "the server has other weights than when the run began: model ", model, ", digest ", digest));
}

absl::StatusOr<int> Command::EndRun(const absl::Status& failure, const std::string& output,
                                    const Console& console) const {
  RETURN_IF_ERROR(Flush(console));
  const ErrorOwner owner = OwnerOf(failure);
  if (owner != ErrorOwner::kServer && owner != ErrorOwner::kFullQueue) return failure;
  const bool kept = output != "-" && output != "/dev/null";
  console.err << "dyadctl " << help_.name << ": " << absl::StatusCodeToString(failure.code())
              << ": " << ExplainUnreachable(failure, connection_).message()
              << (kept ? "; what is answered stays, and this goes on: " + typed_
                       : "; with --output=FILE the same command could go on")
              << '\n';
  return kInterrupted;
}

void BatchCommand::AddFlags(CLI::App& app) {
  AddFlag(app, "input", "FILE", input_,
          "JSON lines or a JSON array to answer, may be gzip; - is standard input, lines");
  AddFlag(app, "output", "FILE", batch_.output,
          "Answers, a line each, in order; a file that has some is gone on with (default: -)");
  AddFlag(app, "concurrency", "N", batch_.concurrency, "Requests in flight (default 16)")
      ->check(CLI::Range(int64_t{1}, kMaxConcurrency));
  Needs("--output", "--input");
  Needs("--concurrency", "--input");
  Needs("--retry_errors", "--output");
  Needs("--header", "--input");
  AddModelFlag(app);
  AddTimeoutFlag(app);
  AddOutputFlags(app, batch_.old_errors, batch_.headers);
  Command::AddFlags(app);
}

absl::StatusOr<int> BatchCommand::Run(const Console& console) {
  if (!model_.empty()) fields_["model"] = model_;
  RETURN_IF_ERROR(Start());
  if (!input_.has_value()) {
    if (!details_ || json_) return RunWords(console);
    return UsageError("--details shows with --json or --input only");
  }
  if (const std::vector<std::string> texts = Texts(); !texts.empty()) {
    return UsageError(Text("--input and ", Quoted(texts.front()), " exclude each other"));
  }
  batch_.input = *input_;
  batch_.sample = sample_;
  batch_.own_keys = [this](const Json& line) { return OwnKeysOf(line, LineOptions()); };
  batch_.describe = [this]() -> absl::StatusOr<RunDescription> {
    ASSIGN_OR_RETURN(description_, Describe());
    return description_;
  };
  ASSIGN_OR_RETURN(LineInput lines, Lines(batch_, console));
  const absl::StatusOr<BatchResult> result =
      RunBatch(std::move(lines), batch_, console,
               [this](const Json& line) { return Answer(WithDefaults(fields_, line)); });
  if (!result.ok()) return EndRun(result.status(), batch_.output, console);
  return ReportBatch(*result, console);
}

absl::StatusOr<LineInput> BatchCommand::Lines(BatchOptions& batch, const Console& console) {
  return LineInput::Open(batch.input, console.in);
}

absl::StatusOr<Json> BatchCommand::HeaderFields() const {
  Json options = Options();
  options.erase("model");
  Json fields = Json::object();
  for (const char* key : {"convention", "special_tokens", "unit"}) {
    if (!options.contains(key)) continue;
    fields[key] = options[key];
    options.erase(key);
  }
  if (details_) options["details"] = true;
  fields["options"] = std::move(options);
  ASSIGN_OR_RETURN(fields["input"], DescribeFile(*input_));
  return fields;
}

absl::StatusOr<RunDescription> BatchCommand::Describe() const {
  ASSIGN_OR_RETURN(Json fields, HeaderFields());
  const std::vector<std::string>& options = LineOptions();
  const bool may_name = std::find(options.begin(), options.end(), "model") != options.end();
  // Of what can be read only once nobody knows before it is there.
  std::set<std::string> named;
  if (may_name && fields["input"].contains("sha256")) {
    ASSIGN_OR_RETURN(named, ModelsNamedIn(*input_));
  }
  return DescribeRun(std::move(fields), named);
}

void BatchCommand::AddTextFlag(CLI::App& app) {
  AddFlag(app, "text", "TEXT", texts_, "As TEXT, for one that begins with --");
}

void BatchCommand::AddDetailsFlag(CLI::App& app, const std::string& help) {
  app.add_flag("--details", details_, help + "; with --json or --input");
}

std::vector<std::string> BatchCommand::Texts() const {
  std::vector<std::string> texts = words_;
  texts.insert(texts.end(), texts_.begin(), texts_.end());
  return texts;
}

void AddFields(CLI::App& app, Json& fields, const std::vector<FieldFlag>& flags) {
  for (const FieldFlag& flag : flags) {
    const std::string name = "--" + flag.name;
    if (flag.kind == FieldKind::kSwitch) {
      const auto set = [&fields, key = flag.name](int64_t on) { fields[key] = on > 0; };
      app.add_flag_function(name, set, flag.help);
      continue;
    }
    const auto set = [&fields, key = flag.name, kind = flag.kind](const std::string& text) {
      fields[key] = FieldValue(kind, text);
    };
    auto* option = app.add_option_function<std::string>(name, set, flag.help);
    option->type_name(flag.value);
    if (flag.kind == FieldKind::kIds) {
      option->check(
          [](const std::string& text) { return std::string(IdList(text).status().message()); });
    }
  }
}

Json WithDefaults(const Json& defaults, const Json& line) {
  Json merged = defaults;
  merged.update(line);
  return merged;
}

absl::StatusOr<Json> IdList(const std::string& text) {
  Json ids = Json::array();
  const std::vector<std::string> pieces =
      absl::StrSplit(text, absl::ByAnyChar("[], "), absl::SkipEmpty());
  for (const std::string& piece : pieces) {
    int32_t id = 0;
    if (!absl::SimpleAtoi(piece, &id)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", piece, "\" is no token id; ids look like 2,50,713"));
    }
    ids.push_back(id);
  }
  return ids;
}

}  // namespace dyad::client
