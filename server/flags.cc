// Every flag of dyad-server. Defaults come from the structs that hold the values, ranges are in
// options.h; text is turned into values here.
#include "server/flags.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/base/nearest.h"

namespace dyad {
namespace {

// One flag. Its value goes to its option; what is wrong with the text comes back.
struct Flag {
  std::string theme;  // of those that --help shows together
  std::string name;
  std::string value;  // what --help says of it; empty: a switch, which needs none
  std::string help;
  std::function<std::string(const std::string& text)> read;
};

// Makes the flags of one theme.
class FlagTable {
 public:
  void Theme(std::string theme) { theme_ = std::move(theme); }

  void Text(const std::string& name, std::string& option, const std::string& help) {
    Add(name, option.empty() ? "TEXT" : option, help, [&option](const std::string& text) {
      option = text;
      return std::string();
    });
  }

  template <typename T>
  void Number(const std::string& name, T& option, const std::string& help) {
    Add(name, absl::StrCat(option), help, [&option](const std::string& text) {
      int64_t number = 0;
      if (absl::SimpleAtoi(text, &number) && number >= std::numeric_limits<T>::min() &&
          number <= std::numeric_limits<T>::max()) {
        option = static_cast<T>(number);
        return std::string();
      }
      return absl::StrCat("must be a whole number of at most ", std::numeric_limits<T>::max());
    });
  }

  void Fraction(const std::string& name, double& option, const std::string& help) {
    Add(name, absl::StrCat(option), help, [&option](const std::string& text) {
      return absl::SimpleAtod(text, &option) ? "" : "must be a number such as 0.5";
    });
  }

  void Duration(const std::string& name, absl::Duration& option, const std::string& help) {
    Add(name, absl::FormatDuration(option), help, [&option](const std::string& text) {
      if (absl::ParseDuration(text, &option)) return std::string();
      double number = 0;
      const bool lacks_unit = absl::SimpleAtod(text, &number);
      return absl::StrCat("must have a unit, such as ", lacks_unit ? text : "35", "s, 500ms or 5m");
    });
  }

  template <typename T>
  void Word(const std::string& name, T& option, std::vector<std::pair<std::string, T>> words,
            const std::string& help) {
    std::string first;
    std::vector<std::string> all;
    for (const auto& [word, meaning] : words) {
      if (meaning == option) first = word;
      all.push_back(word);
    }
    const std::string expected = absl::StrJoin(all, ", ");
    Add(name, first, absl::StrCat(help, help.empty() ? "" : ": ", absl::StrJoin(all, " | ")),
        [&option, words = std::move(words), expected](const std::string& text) {
          for (const auto& [word, meaning] : words) {
            if (word != text) continue;
            option = meaning;
            return std::string();
          }
          return absl::StrCat("must be one of ", expected);
        });
  }

  // --name, --name=true, --name=false.
  template <typename T>
  void Switch(const std::string& name, T& option, std::pair<T, T> off_and_on,
              const std::string& help) {
    Add(name, "", help, [&option, off_and_on](const std::string& text) {
      bool on = true;
      if (!text.empty() && !absl::SimpleAtob(text, &on)) return "must be true or false";
      option = on ? off_and_on.second : off_and_on.first;
      return "";
    });
  }

  void Add(const std::string& name, const std::string& value, const std::string& help,
           std::function<std::string(const std::string&)> read) {
    flags_.push_back({theme_, name, value, help, std::move(read)});
  }

  std::vector<Flag> Take() { return std::move(flags_); }

 private:
  std::string theme_;
  std::vector<Flag> flags_;
};

void AddModelFlags(Options& options, FlagTable& table) {
  table.Theme("What is served");
  table.Add("model", "NAME=FOLDER", "[,NAME=FOLDER]; FOLDER alone is named by its last component",
            [&options](const std::string& text) {
              options.models = ParseModels(text);
              return "";
            });
  table.Switch("check", options.mode, {Mode::kServe, Mode::kCheck},
               "only validate the models: exit status 0 or 1");
  table.Word("weight_dtype", options.weight_dtype,
             {{"stored", WeightDtype::kAsStored},
              {"float32", WeightDtype::kFloat32},
              {"float16", WeightDtype::kFloat16},
              {"bfloat16", WeightDtype::kBfloat16},
              {"int8", WeightDtype::kInt8}},
             "of weights in memory");
  table.Word("layer_form", options.layer_form,
             {{"auto", kernels::LayerForm::kAuto},
              {"plan", kernels::LayerForm::kPlan},
              {"dense", kernels::LayerForm::kDense}},
             "structured layers as they are, multiplied out, or what costs less");
  table.Word("kv_dtype", options.kv_dtype,
             {{"float32", kernels::KvType::kFloat32},
              {"bfloat16", kernels::KvType::kBfloat16},
              {"int8", kernels::KvType::kInt8}},
             "of keys and values in memory");
  table.Number("kv_cache_bytes", options.kv_cache_bytes,
               "KV cache per model, all of it resident soon after the start; 0: by the fraction");
  table.Fraction("kv_cache_fraction", options.kv_cache_fraction,
                 "of the memory beyond the weights, shared by the models, at most 4 GiB each");
}

void AddConnectionFlags(Options& options, FlagTable& table) {
  RpcServerOptions& rpc = options.rpc;
  table.Theme("Connections");
  table.Text("listen", rpc.listen, "host:port, [v6]:port or unix:path; port 0 picks one");
  table.Text("metrics", options.metrics, "host:port of Prometheus' /metrics, or off");
  table.Switch("insecure", options.plaintext, {Plaintext::kLoopback, Plaintext::kAnywhere},
               "allow plaintext on another address than loopback");
  table.Text("tls_cert", rpc.tls.certificate, "PEM certificate chain; watched and reloaded");
  table.Text("tls_key", rpc.tls.key, "PEM private key; watched and reloaded");
  table.Text("tls_ca", rpc.tls.client_ca,
             "PEM authorities of clients, which must then present a certificate");
  table.Text("api_key_file", options.api_key_file,
             "keys, one a line, of which clients must show one, over gRPC and HTTP; reloaded");
  table.Number("max_connections", rpc.max_connections,
               "at a time, and at most what open files allow; more of them wait");
  table.Duration("max_connection_idle", rpc.max_connection_idle,
                 "connections without a call for so long are closed; inf: never");
  table.Duration("max_connection_age", rpc.max_connection_age,
                 "connections are closed after about this; inf: never");
  table.Duration("max_connection_age_grace", rpc.max_connection_age_grace,
                 "time for calls on a connection that closes");
  table.Duration("keepalive_time", rpc.keepalive_time,
                 "silence after which a connection is probed");
  table.Duration("keepalive_timeout", rpc.keepalive_timeout, "time to answer the probe");
  table.Duration("min_client_ping_interval", rpc.min_client_ping_interval,
                 "clients that probe more often are sent away");
  table.Word("reflection", rpc.reflection, {{"on", Reflection::kOn}, {"off", Reflection::kOff}},
             "gRPC server reflection");
}

void AddHttpFlags(Options& options, FlagTable& table) {
  HttpServerOptions& server = options.http_server;
  table.Theme("HTTP");
  table.Text("http", options.http,
             "host:port of OpenAI's completions and the API as JSON, or off (default)");
  table.Word("kserve", options.kserve, {{"on", Kserve::kOn}, {"off", Kserve::kOff}},
             "the Open Inference Protocol, over gRPC and under /v2 of --http");
  table.Text("http_allowed_hosts", options.http_allowed_hosts,
             "names that Host may have, with commas; *: any; default: on loopback its names");
  table.Text("http_cors_origins", options.http_cors_origins,
             "origins whose pages may read answers, with commas; *: all");
  table.Number("http_threads", server.threads, "that read requests and write answers");
  table.Number("http_max_connections", server.max_connections, "at a time; the next one gets 503");
  table.Number("http_max_body_bytes", server.max_body_bytes, "of one request");
  table.Number("http_max_prompts", options.http_max_prompts, "prompts times n of one request");
  table.Duration("http_idle_timeout", server.idle_timeout, "of a connection between requests");
  table.Duration("http_read_timeout", server.read_timeout,
                 "of one request, head and body together");
  table.Duration("http_write_timeout", server.write_timeout, "of an answer without progress");
}

void AddLimitFlags(Options& options, FlagTable& table) {
  table.Theme("Limits of requests");
  table.Number("max_prompt_bytes", options.limits.max_prompt_bytes, "of one text");
  table.Number("max_choices", options.limits.max_choices, "n of one request");
  table.Number("max_score_items", options.limits.max_score_items, "items of one Score");
  table.Number("max_stream_pairs", options.limits.max_stream_pairs,
               "pairs of one ScoreMinimalPairs stream in flight");
  table.Number("max_receive_message_bytes", options.limits.max_receive_message_bytes,
               "of one message from a client");
  table.Number("max_send_message_bytes", options.limits.max_send_message_bytes,
               "of one message to a client");
  table.Number("max_unread_bytes", options.limits.max_unread_bytes,
               "of answers that clients have not read; a quarter per connection");
  table.Number("max_concurrent_streams", options.rpc.max_concurrent_streams,
               "calls in flight per connection");
}

void AddComputeFlags(Options& options, FlagTable& table) {
  engine::EngineOptions& engine = options.engine;
  table.Theme("Computing and batching");
  table.Number("threads", options.threads, "compute threads; 0: the processors of this process");
  table.Number("max_batch_tokens", engine.max_batch_tokens,
               "tokens of one step, shared ones counted once");
  table.Number("max_running_sequences", engine.max_running_sequences, "sequences that share steps");
  table.Number("max_queued_requests", engine.max_queued_requests, "sequences that wait");
  table.Number("max_queued_tokens", engine.max_queued_tokens, "tokens of those that wait");
  table.Word("prefix_cache", engine.prefix_cache,
             {{"on", engine::PrefixCache::kOn}, {"off", engine::PrefixCache::kOff}},
             "equal beginnings share stored pages, and rows of a step");
  table.Text("cpu_isa", options.cpu_isa, "instruction set of the kernels; empty: the best");
  table.Text(
      "device", options.device,
      "cpu, cuda, cuda:N, auto (CUDA if usable, else cpu), or reference: plain loops, for tests");
  table.Word<std::optional<kernels::Arithmetic>>(
      "arithmetic", options.arithmetic,
      {{"auto", std::nullopt},
       {"exact", kernels::Arithmetic::kExact},
       {"accurate", kernels::Arithmetic::kAccurate},
       {"fast", kernels::Arithmetic::kFast},
       {"integer24", kernels::Arithmetic::kInteger24},
       {"integer16", kernels::Arithmetic::kInteger16},
       {"integer8", kernels::Arithmetic::kInteger8},
       {"bfloat16", kernels::Arithmetic::kBfloat16}},
      "of linear layers. exact: the CPU's bits on every device; accurate, fast: tensor cores, for "
      "weights of 16 or 8 bits. At up to 16 rows a step exact costs at most a third more, in long "
      "prompts many times as much. integer24, 16, 8: on the CPU with --weight_dtype=int8, "
      "activations of so many bits; integer8 harms models with outliers. bfloat16: on the CPU with "
      "weights of bfloat16, activations rounded to it. auto: accurate on CUDA where weights allow "
      "it, else exact");
  table.Switch("allow_reference_device", options.reference_use,
               {ReferenceUse::kRefused, ReferenceUse::kAllowed},
               "needed with --device=reference: it is slow");
}

void AddOperationFlags(Options& options, FlagTable& table) {
  table.Theme("Log and end");
  table.Word("log_level", options.log_level,
             {{"debug", LogLevel::kDebug},
              {"info", LogLevel::kInfo},
              {"warning", LogLevel::kWarning},
              {"error", LogLevel::kError}},
             "");
  table.Word("log_format", options.log_format,
             {{"text", LogFormat::kText}, {"json", LogFormat::kJson}}, "");
  table.Switch("log_prompts", options.log_prompts, {PromptLogging::kOff, PromptLogging::kOn},
               "put the first text of each request into its log line");
  table.Duration("drain_delay", options.drain_delay,
                 "on SIGTERM, from NOT_SERVING until new work is refused");
  table.Duration("drain_timeout", options.drain_timeout,
                 "on SIGTERM, time for running work to end");
  table.Duration("stall_timeout", options.stall_timeout,
                 "NOT_SERVING when work is pending and no step ended for so long");
}

std::vector<Flag> FlagsFor(Options& options) {
  FlagTable table;
  AddModelFlags(options, table);
  AddConnectionFlags(options, table);
  AddHttpFlags(options, table);
  AddLimitFlags(options, table);
  AddComputeFlags(options, table);
  AddOperationFlags(options, table);
  table.Theme("About the program");
  for (const Mode mode : {Mode::kHelp, Mode::kVersion}) {
    table.Add(mode == Mode::kHelp ? "help" : "version", "",
              mode == Mode::kHelp ? "or -h: this text" : "the version",
              [&options, mode](const std::string&) {
                options.mode = mode;
                return "";
              });
  }
  return table.Take();
}

std::string UnknownFlag(const std::string& name, const std::vector<Flag>& flags) {
  std::vector<std::string> names;
  for (const Flag& flag : flags) names.push_back(flag.name);
  // What other servers call it.
  const bool is_address = name == "port" || name == "host" || name == "address" || name == "bind";
  const std::string nearest = is_address ? "listen" : NearestName(name, names);
  return absl::StrCat("--", name, " is no flag",
                      nearest.empty() ? "; --help lists them" : "; the nearest is --", nearest);
}

}  // namespace

std::vector<ModelSource> ParseModels(const std::string& text) {
  std::vector<ModelSource> models;
  if (text.empty()) return models;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(text, ','))) {
    const size_t equals = part.find('=');
    if (equals != std::string::npos) {
      models.push_back({part.substr(0, equals), part.substr(equals + 1)});
      continue;
    }
    // "/" at the end leaves an empty last component, "." and ".." say nothing by themselves. Where
    // the current folder was removed, the path as it is given has to do.
    std::error_code error;
    std::filesystem::path path = std::filesystem::absolute(part, error);
    if (error) path = part;
    path = path.lexically_normal();
    if (!path.has_filename()) path = path.parent_path();
    models.push_back({path.filename().string(), part});
  }
  return models;
}

absl::StatusOr<Options> ParseArguments(const std::vector<std::string>& arguments) {
  Options options;
  const std::vector<Flag> flags = FlagsFor(options);
  std::vector<std::string> faults;
  for (size_t i = 1; i < arguments.size(); ++i) {
    std::string name = arguments[i] == "-h" ? "--help" : arguments[i];
    if (!absl::StartsWith(name, "--") || name == "--") {
      faults.push_back(absl::StrCat("\"", name, "\" is no flag"));
      continue;
    }
    name = name.substr(2, name.find('=') - 2);
    const auto flag = std::find_if(flags.begin(), flags.end(),
                                   [&](const Flag& known) { return known.name == name; });
    if (flag == flags.end()) {
      faults.push_back(UnknownFlag(name, flags));
      continue;
    }
    const size_t equals = arguments[i].find('=');
    std::string text;
    if (equals != std::string::npos) {
      text = arguments[i].substr(equals + 1);
    } else if (!flag->value.empty()) {
      if (i + 1 == arguments.size()) {
        faults.push_back(absl::StrCat("--", name, " needs a value"));
        continue;
      }
      text = arguments[++i];
    }
    const std::string fault = flag->read(text);
    if (!fault.empty()) faults.push_back(absl::StrCat("--", name, " is \"", text, "\"; ", fault));
  }
  if (options.mode == Mode::kHelp || options.mode == Mode::kVersion) return options;
  if (options.metrics == "off") options.metrics.clear();
  if (options.http == "off") options.http.clear();
  const std::vector<std::string> more = Faults(options);
  faults.insert(faults.end(), more.begin(), more.end());
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "; "));
  return options;
}

std::string HelpText() {
  std::string text =
      "dyad-server: serves language models with structured linear layers over gRPC.\n\n"
      "  dyad-server --model=NAME=FOLDER [--listen=127.0.0.1:50051] [--metrics=127.0.0.1:9464]\n";
  Options defaults;
  std::string theme;
  for (const Flag& flag : FlagsFor(defaults)) {
    if (flag.theme != theme) absl::StrAppend(&text, "\n", theme = flag.theme, "\n");
    const std::string name =
        flag.value.empty() ? flag.name : absl::StrCat(flag.name, "=", flag.value);
    absl::StrAppendFormat(&text, "  --%-34s %s\n", name, flag.help);
  }
  return text;
}

}  // namespace dyad
