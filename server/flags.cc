// Every flag of dyad-server. Defaults come from the structs that hold the values, ranges are in
// options.h; words are turned into enums here.
#include "server/flags.h"

#include <filesystem>
#include <mutex>
#include <system_error>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/version.h"

using dyad::Options;

ABSL_FLAG(std::string, model, "",
          "NAME=FOLDER[,NAME=FOLDER]: what to serve; FOLDER alone is named by "
          "its last component");
ABSL_FLAG(bool, check, false, "only validate the models: exit status 0 or 1");
ABSL_FLAG(std::string, listen, Options().rpc.listen,
          "host:port, [v6]:port or unix:path; port 0 picks one");
ABSL_FLAG(std::string, metrics, Options().metrics, "host:port of Prometheus' /metrics, or off");
ABSL_FLAG(bool, insecure, false, "allow plaintext on another address than loopback");
ABSL_FLAG(std::string, tls_cert, "", "PEM certificate chain; watched and reloaded");
ABSL_FLAG(std::string, tls_key, "", "PEM private key; watched and reloaded");
ABSL_FLAG(std::string, tls_ca, "",
          "PEM authorities of clients, which must then present a certificate");

ABSL_FLAG(std::string, weight_dtype, "stored", "stored, float32, float16, bfloat16 or int8");
ABSL_FLAG(std::string, device, "cpu",
          "cpu; or reference, the definition in plain loops, for tests");
ABSL_FLAG(bool, allow_reference_device, false, "needed with --device=reference: it is slow");
ABSL_FLAG(int32_t, threads, Options().threads,
          "compute threads; 0: the processors of this process");
ABSL_FLAG(std::string, cpu_isa, Options().cpu_isa,
          "instruction set of the kernels; empty: the best");
ABSL_FLAG(std::string, kv_dtype, "float32", "of keys and values in memory: float32 or bfloat16");
ABSL_FLAG(int64_t, kv_cache_bytes, Options().kv_cache_bytes,
          "KV cache per model, all of it resident soon after the start; 0: by kv_cache_fraction");
ABSL_FLAG(double, kv_cache_fraction, Options().kv_cache_fraction,
          "of the memory available beyond the weights, shared by the models, at most 4 GiB each");
ABSL_FLAG(int32_t, max_batch_tokens, Options().engine.max_batch_tokens,
          "tokens of one step, shared ones counted once");
ABSL_FLAG(std::string, prefix_cache, "on",
          "on or off: equal beginnings share stored pages, and rows of a step");
ABSL_FLAG(int32_t, max_running_sequences, Options().engine.max_running_sequences,
          "sequences that share steps");
ABSL_FLAG(int32_t, max_queued_requests, Options().engine.max_queued_requests,
          "sequences that wait");
ABSL_FLAG(int64_t, max_queued_tokens, Options().engine.max_queued_tokens,
          "tokens of those that wait");

ABSL_FLAG(int64_t, max_prompt_bytes, Options().limits.max_prompt_bytes, "of one text");
ABSL_FLAG(int32_t, max_choices, Options().limits.max_choices, "n of one request");
ABSL_FLAG(int32_t, max_score_items, Options().limits.max_score_items, "items of one Score");
ABSL_FLAG(int32_t, max_stream_pairs, Options().limits.max_stream_pairs,
          "pairs of one ScoreMinimalPairs stream in flight");

ABSL_FLAG(int32_t, max_receive_message_bytes, Options().limits.max_receive_message_bytes,
          "of one message from a client");
ABSL_FLAG(int32_t, max_send_message_bytes, Options().limits.max_send_message_bytes,
          "of one message to a client");
ABSL_FLAG(int32_t, max_concurrent_streams, Options().rpc.max_concurrent_streams,
          "calls in flight per connection");
ABSL_FLAG(absl::Duration, keepalive_time, Options().rpc.keepalive_time,
          "silence after which a connection is probed");
ABSL_FLAG(absl::Duration, keepalive_timeout, Options().rpc.keepalive_timeout,
          "time to answer the probe");
ABSL_FLAG(absl::Duration, min_client_ping_interval, Options().rpc.min_client_ping_interval,
          "clients that probe more often are sent away");
ABSL_FLAG(absl::Duration, max_connection_age, Options().rpc.max_connection_age,
          "connections are closed after about this; inf: never");
ABSL_FLAG(absl::Duration, max_connection_age_grace, Options().rpc.max_connection_age_grace,
          "time for calls on a connection that closes");
ABSL_FLAG(std::string, reflection, "on", "on or off: gRPC server reflection");

ABSL_FLAG(absl::Duration, drain_delay, Options().drain_delay,
          "on SIGTERM, from NOT_SERVING until new work is refused");
ABSL_FLAG(absl::Duration, drain_timeout, Options().drain_timeout,
          "on SIGTERM, time for running work to end");
ABSL_FLAG(absl::Duration, stall_timeout, Options().stall_timeout,
          "NOT_SERVING when work is pending and no step ended for so long");
ABSL_FLAG(std::string, log_level, "info", "debug, info, warning or error");
ABSL_FLAG(std::string, log_format, "text", "text or json");
ABSL_FLAG(bool, log_prompts, false, "put the first text of each request into its log line");

namespace dyad {
namespace {

// The value of a flag that takes one of a few words; a fault, and the first value, for any other
// word.
template <typename T>
T Word(const char* name, const absl::Flag<std::string>& flag,
       const std::vector<std::pair<std::string, T>>& words, std::vector<std::string>& faults) {
  const std::string value = absl::GetFlag(flag);
  std::vector<std::string> expected;
  for (const auto& [word, meaning] : words) {
    if (word == value) return meaning;
    expected.push_back(word);
  }
  faults.push_back(absl::StrCat("--", name, " is \"", value, "\"; must be one of ",
                                absl::StrJoin(expected, ", ")));
  return words.front().second;
}

void ReadWords(Options& options, std::vector<std::string>& faults) {
  options.weight_dtype = Word<WeightDtype>("weight_dtype", FLAGS_weight_dtype,
                                           {{"stored", WeightDtype::kAsStored},
                                            {"float32", WeightDtype::kFloat32},
                                            {"float16", WeightDtype::kFloat16},
                                            {"bfloat16", WeightDtype::kBfloat16},
                                            {"int8", WeightDtype::kInt8}},
                                           faults);
  options.device =
      Word<DeviceKind>("device", FLAGS_device,
                       {{"cpu", DeviceKind::kCpu}, {"reference", DeviceKind::kReference}}, faults);
  if (options.device == DeviceKind::kReference && !absl::GetFlag(FLAGS_allow_reference_device)) {
    faults.push_back(
        "--device is reference, plain loops for tests; it needs --allow_reference_device");
  }
  options.kv_dtype = Word<kernels::KvType>(
      "kv_dtype", FLAGS_kv_dtype,
      {{"float32", kernels::KvType::kFloat32}, {"bfloat16", kernels::KvType::kBfloat16}}, faults);
  options.engine.prefix_cache = Word<engine::PrefixCache>(
      "prefix_cache", FLAGS_prefix_cache,
      {{"on", engine::PrefixCache::kOn}, {"off", engine::PrefixCache::kOff}}, faults);
  options.rpc.reflection = Word<Reflection>(
      "reflection", FLAGS_reflection, {{"on", Reflection::kOn}, {"off", Reflection::kOff}}, faults);
  options.log_level = Word<LogLevel>("log_level", FLAGS_log_level,
                                     {{"debug", LogLevel::kDebug},
                                      {"info", LogLevel::kInfo},
                                      {"warning", LogLevel::kWarning},
                                      {"error", LogLevel::kError}},
                                     faults);
  options.log_format =
      Word<LogFormat>("log_format", FLAGS_log_format,
                      {{"text", LogFormat::kText}, {"json", LogFormat::kJson}}, faults);
}

void ReadValues(Options& options) {
  options.mode = absl::GetFlag(FLAGS_check) ? Mode::kCheck : Mode::kServe;
  options.models = ParseModels(absl::GetFlag(FLAGS_model));
  options.metrics = absl::GetFlag(FLAGS_metrics);
  if (options.metrics == "off") options.metrics.clear();
  options.plaintext = absl::GetFlag(FLAGS_insecure) ? Plaintext::kAnywhere : Plaintext::kLoopback;
  options.threads = absl::GetFlag(FLAGS_threads);
  options.cpu_isa = absl::GetFlag(FLAGS_cpu_isa);
  options.kv_cache_bytes = absl::GetFlag(FLAGS_kv_cache_bytes);
  options.kv_cache_fraction = absl::GetFlag(FLAGS_kv_cache_fraction);
  options.engine.max_batch_tokens = absl::GetFlag(FLAGS_max_batch_tokens);
  options.engine.max_running_sequences = absl::GetFlag(FLAGS_max_running_sequences);
  options.engine.max_queued_requests = absl::GetFlag(FLAGS_max_queued_requests);
  options.engine.max_queued_tokens = absl::GetFlag(FLAGS_max_queued_tokens);
  options.limits.max_prompt_bytes = absl::GetFlag(FLAGS_max_prompt_bytes);
  options.limits.max_choices = absl::GetFlag(FLAGS_max_choices);
  options.limits.max_score_items = absl::GetFlag(FLAGS_max_score_items);
  options.limits.max_stream_pairs = absl::GetFlag(FLAGS_max_stream_pairs);
  options.limits.max_receive_message_bytes = absl::GetFlag(FLAGS_max_receive_message_bytes);
  options.limits.max_send_message_bytes = absl::GetFlag(FLAGS_max_send_message_bytes);
  options.drain_delay = absl::GetFlag(FLAGS_drain_delay);
  options.drain_timeout = absl::GetFlag(FLAGS_drain_timeout);
  options.stall_timeout = absl::GetFlag(FLAGS_stall_timeout);
  options.log_prompts = absl::GetFlag(FLAGS_log_prompts) ? PromptLogging::kOn : PromptLogging::kOff;
}

void ReadConnections(RpcServerOptions& rpc) {
  rpc.listen = absl::GetFlag(FLAGS_listen);
  rpc.tls.certificate = absl::GetFlag(FLAGS_tls_cert);
  rpc.tls.key = absl::GetFlag(FLAGS_tls_key);
  rpc.tls.client_ca = absl::GetFlag(FLAGS_tls_ca);
  rpc.max_concurrent_streams = absl::GetFlag(FLAGS_max_concurrent_streams);
  rpc.keepalive_time = absl::GetFlag(FLAGS_keepalive_time);
  rpc.keepalive_timeout = absl::GetFlag(FLAGS_keepalive_timeout);
  rpc.min_client_ping_interval = absl::GetFlag(FLAGS_min_client_ping_interval);
  rpc.max_connection_age = absl::GetFlag(FLAGS_max_connection_age);
  rpc.max_connection_age_grace = absl::GetFlag(FLAGS_max_connection_age_grace);
}

void DescribeProgram() {
  absl::SetProgramUsageMessage(
      "serves language models with structured linear layers over gRPC.\n"
      "  dyad-server --model=NAME=FOLDER [--listen=127.0.0.1:50051] [--metrics=127.0.0.1:9464]");
  absl::FlagsUsageConfig config;
  config.contains_help_flags = [](absl::string_view file) {
    return absl::EndsWith(file, "server/flags.cc");
  };
  config.version_string = [] {
    return absl::StrCat("dyad-server ", Version(), " (", Commit(), ")\n");
  };
  absl::SetFlagsUsageConfig(config);
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
    // "/" at the end leaves an empty last component, "." and ".." say nothing by themselves.
    std::error_code error;  // of a working folder that was removed; the model is then not found
    std::filesystem::path path = std::filesystem::absolute(part, error).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();
    models.push_back({path.filename().string(), part});
  }
  return models;
}

absl::StatusOr<Options> ParseArguments(const std::vector<std::string>& arguments) {
  static std::once_flag described;  // the library takes a description only once
  std::call_once(described, DescribeProgram);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  const std::vector<char*> rest =
      absl::ParseCommandLine(static_cast<int>(argv.size()), argv.data());

  std::vector<std::string> faults;
  for (size_t i = 1; i < rest.size(); ++i) {
    faults.push_back(absl::StrCat("\"", rest[i], "\" is no flag"));
  }
  Options options;
  ReadWords(options, faults);
  ReadValues(options);
  ReadConnections(options.rpc);
  const std::vector<std::string> more = Faults(options);
  faults.insert(faults.end(), more.begin(), more.end());
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "; "));
  return options;
}

}  // namespace dyad
