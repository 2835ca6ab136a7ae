// The shared flags of dyadctl's commands.
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

constexpr Flag kServerFlags[] = {
    {"server", FlagKind::kValue, "ADDR",
     "Server, HOST:PORT or a gRPC target such as dns:///NAME:PORT (default 127.0.0.1:50051)"},
    {"model", FlagKind::kValue, "NAME", "Model of the server (default: its only one)"},
    {"timeout", FlagKind::kValue, "SECONDS", "Time limit of each request (default: none)"},
    {"tls_ca", FlagKind::kValue, "FILE", "PEM certificate to check the server with; turns TLS on"},
    {"tls_cert", FlagKind::kValue, "FILE", "PEM client certificate, with --tls_key"},
    {"tls_key", FlagKind::kValue, "FILE", "PEM key of the client certificate"},
    {"json", FlagKind::kSwitch, "", "Print JSON instead of text for people"},
    {"help", FlagKind::kSwitch, "", "Print this"},
};

constexpr Flag kBatchFlags[] = {
    {"input", FlagKind::kValue, "FILE",
     "JSON lines to answer, one request a line; - is standard input"},
    {"output", FlagKind::kValue, "FILE",
     "Answers, one a line, in the order of the input; a file that has some is gone on with "
     "(default: standard output)"},
    {"concurrency", FlagKind::kValue, "N", "Requests in flight, 1 to 256 (default 16)"},
};

}  // namespace

std::vector<Flag> AllFlags(const Command& command) {
  std::vector<Flag> flags = command.flags;
  if (command.takes_batches) {
    flags.insert(flags.end(), std::begin(kBatchFlags), std::end(kBatchFlags));
  }
  flags.insert(flags.end(), std::begin(kServerFlags), std::end(kServerFlags));
  return flags;
}

ConnectionOptions ConnectionFrom(const Arguments& arguments) {
  ConnectionOptions options;
  options.server = arguments.Text("server", options.server);
  options.tls_ca = arguments.Text("tls_ca", "");
  options.tls_cert = arguments.Text("tls_cert", "");
  options.tls_key = arguments.Text("tls_key", "");
  return options;
}

absl::StatusOr<Client> ClientFrom(const Arguments& arguments) {
  absl::Duration timeout = absl::InfiniteDuration();
  if (arguments.Has("timeout")) {
    double seconds = 0;
    const std::string text = arguments.Text("timeout", "");
    if (!absl::SimpleAtod(text, &seconds) || !(seconds > 0)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--timeout is ", text, "; it must be a number of seconds above 0"));
    }
    timeout = absl::Seconds(seconds);
  }
  ASSIGN_OR_RETURN(auto channel, Connect(ConnectionFrom(arguments)));
  return Client(std::move(channel), timeout);
}

absl::StatusOr<BatchOptions> BatchFrom(const Arguments& arguments) {
  BatchOptions options;
  options.input = arguments.Text("input", options.input);
  options.output = arguments.Text("output", options.output);
  ASSIGN_OR_RETURN(const int64_t concurrency,
                   arguments.Integer("concurrency", options.concurrency, {1, kMaxConcurrency}));
  options.concurrency = static_cast<int>(concurrency);
  if (const std::vector<std::string> texts = Texts(arguments); !texts.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--input and \"", texts.front(), "\" exclude each other"));
  }
  return options;
}

bool IsBatch(const Arguments& arguments) { return arguments.Has("input"); }

Json FieldsFrom(const Arguments& arguments, const std::vector<absl::string_view>& names) {
  Json fields = Json::object();
  for (const absl::string_view name : names) {
    if (!arguments.Has(name)) continue;
    const std::string text = arguments.Text(name, "");
    // "0.5" is a number and "{...}" an object; what is no JSON, such as BABYLM, is a string. A
    // quoted string stays as it was typed.
    Json value = Json::parse(text, nullptr, false);
    fields[std::string(name)] = value.is_discarded() || value.is_string() ? Json(text) : value;
  }
  return fields;
}

Json WithDefaults(const Json& defaults, const Json& line) {
  Json merged = defaults;
  merged.update(line);
  return merged;
}

std::vector<std::string> Texts(const Arguments& arguments) {
  std::vector<std::string> texts = arguments.positional();
  for (std::string& text : arguments.All("text")) texts.push_back(std::move(text));
  return texts;
}

absl::StatusOr<Json> IdList(absl::string_view name, absl::string_view text) {
  Json ids = Json::array();
  absl::ConsumePrefix(&text, "[");
  absl::ConsumeSuffix(&text, "]");
  for (const absl::string_view piece :
       absl::StrSplit(text, absl::ByAnyChar(", "), absl::SkipEmpty())) {
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
