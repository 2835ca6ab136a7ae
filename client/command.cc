// What commands share: flags, and the two ways to run.
#include "client/command.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

// Adds a check of the value, as text.
template <typename Good>
void MustBe(CLI::Option* flag, const std::string& what, const Good& good) {
  flag->check(CLI::Validator(
      [name = flag->get_name(), what, good](const std::string& text) {
        return good(text) ? "" : absl::StrCat(name, " is ", text, "; it must be ", what);
      },
      ""));
}

void MustBeTrueOrFalse(CLI::Option* flag) {
  MustBe(flag, "true or false",
         [](const std::string& text) { return text == "true" || text == "false"; });
}

}  // namespace

void Command::AddFlags(CLI::App& app) {
  app.add_option("--server", connection_.server,
                 "Server, HOST:PORT or a gRPC target such as dns:///NAME:PORT (default "
                 "127.0.0.1:50051)")
      ->type_name("ADDR");
  app.add_option("--model", model_, "Model of the server (default: its only one)")
      ->type_name("NAME");
  MustBe(app.add_option("--timeout", timeout_seconds_, "Time limit of each request (default: none)")
             ->type_name("SECONDS"),
         "a number of seconds above 0", [](const std::string& text) {
           double seconds = 0;
           return absl::SimpleAtod(text, &seconds) && seconds > 0;
         });
  app.add_option("--tls_ca", connection_.tls_ca,
                 "PEM certificate to check the server with; turns TLS on")
      ->type_name("FILE");
  app.add_option("--tls_cert", connection_.tls_cert, "PEM client certificate, with --tls_key")
      ->type_name("FILE");
  app.add_option("--tls_key", connection_.tls_key, "PEM key of the client certificate")
      ->type_name("FILE");
  AddSwitch(app, "json", json_, "Print JSON instead of text for people");
}

absl::StatusOr<Client> Command::MakeClient() const {
  ASSIGN_OR_RETURN(auto channel, Connect(connection_));
  return Client(std::move(channel), absl::Seconds(timeout_seconds_));
}

void BatchCommand::AddFlags(CLI::App& app) {
  app.add_option("--input", input_, "JSON lines to answer, one request a line; - is standard input")
      ->type_name("FILE");
  app.add_option("--output", batch_.output,
                 "Answers, one a line, in the order of the input; a file that has some is gone on "
                 "with (default: standard output)")
      ->type_name("FILE");
  AddNumber(app, "concurrency", batch_.concurrency, 1, kMaxConcurrency,
            {"N", "Requests in flight, 1 to 256 (default 16)"});
  Command::AddFlags(app);
}

absl::StatusOr<int> BatchCommand::Run(const Console& console) {
  if (!model_.empty()) fields_["model"] = model_;
  RETURN_IF_ERROR(Start());
  if (!input_.has_value()) return RunWords(console);
  if (const std::vector<std::string> texts = Texts(); !texts.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--input and \"", texts.front(), "\" exclude each other"));
  }
  batch_.input = *input_;
  ASSIGN_OR_RETURN(const BatchResult result, RunBatch(batch_, console, [this](const Json& line) {
                     return Answer(WithDefaults(fields_, line));
                   }));
  return ReportBatch(result, console);
}

void BatchCommand::AddTextFlag(CLI::App& app) {
  app.add_option("--text", texts_, "As TEXT, for one that begins with --; may be repeated")
      ->type_name("TEXT")
      ->allow_extra_args(false);
}

std::vector<std::string> BatchCommand::Texts() const {
  std::vector<std::string> texts = words_;
  texts.insert(texts.end(), texts_.begin(), texts_.end());
  return texts;
}

void AddNumber(CLI::App& app, const std::string& name, int64_t& number, int64_t least, int64_t most,
               const FlagHelp& help) {
  MustBe(app.add_option("--" + name, number, help.text)->type_name(help.value),
         absl::StrCat("a whole number from ", least, " to ", most),
         [least, most](const std::string& text) {
           int64_t value = 0;
           return absl::SimpleAtoi(text, &value) && value >= least && value <= most;
         });
}

void AddSwitch(CLI::App& app, const std::string& name, bool& on, const std::string& help) {
  MustBeTrueOrFalse(app.add_flag("--" + name, on, help));
}

void AddField(CLI::App& app, Json& fields, const std::string& name, const FlagHelp& help) {
  app.add_option_function<std::string>(
         "--" + name,
         [&fields, name](const std::string& text) {
           // What is no JSON, such as BABYLM, is a string. A quoted string stays as it was typed.
           Json value = Json::parse(text, nullptr, false);
           fields[name] = value.is_discarded() || value.is_string() ? Json(text) : value;
         },
         help.text)
      ->type_name(help.value);
}

void AddTextField(CLI::App& app, Json& fields, const std::string& name, const FlagHelp& help) {
  app.add_option_function<std::string>(
         "--" + name, [&fields, name](const std::string& text) { fields[name] = text; }, help.text)
      ->type_name(help.value);
}

void AddSwitchField(CLI::App& app, Json& fields, const std::string& name, const std::string& help) {
  MustBeTrueOrFalse(app.add_flag_function(
      "--" + name, [&fields, name](int64_t on) { fields[name] = on > 0; }, help));
}

Json WithDefaults(const Json& defaults, const Json& line) {
  Json merged = defaults;
  merged.update(line);
  return merged;
}

absl::StatusOr<Json> IdList(const std::string& name, std::string_view text) {
  Json ids = Json::array();
  absl::string_view list(text.data(), text.size());
  absl::ConsumePrefix(&list, "[");
  absl::ConsumeSuffix(&list, "]");
  for (const absl::string_view piece :
       absl::StrSplit(list, absl::ByAnyChar(", "), absl::SkipEmpty())) {
    int32_t id = 0;
    if (!absl::SimpleAtoi(piece, &id)) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": \"", piece, "\" is no token id; ids look like 2,50,713"));
    }
    ids.push_back(id);
  }
  return ids;
}

}  // namespace dyad::client
