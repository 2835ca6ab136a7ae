// dyad-server: options -> parts -> self-check -> serve -> drain. README.md of this folder tells who
// owns what and in which order things end.
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <iterator>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kernels/isa.h"
#include "server/api/server_state.h"
#include "server/api/words.h"
#include "server/base/standard_streams.h"
#include "server/base/status_macros.h"
#include "server/base/steady_clock.h"
#include "server/checkpoint/digest.h"
#include "server/device_choice.h"
#include "server/flags.h"
#include "server/grpc/grpc_log.h"
#include "server/grpc/health.h"
#include "server/grpc/rpc_server.h"
#include "server/grpc/services.h"
#include "server/host.h"
#include "server/http_ports.h"
#include "server/last_resort.h"
#include "server/metrics/metrics.h"
#include "server/model_memory.h"
#include "server/request_log.h"
#include "server/self_check.h"
#include "server/server_log.h"
#include "server/signals.h"
#include "server/text/load_tokenizer.h"
#include "server/version.h"

namespace dyad {
namespace {

// One model with all that it needs; ends in reverse.
struct ModelParts {
  LoadedModel loaded;
  std::unique_ptr<Tokenizer> tokenizer;  // may be null
  std::string tokenizer_digest;
  std::unique_ptr<engine::Engine> engine;
};

// From the end of --drain_timeout until the process is ended, whatever is stuck.
constexpr absl::Duration kEndAfterDrain = absl::Seconds(5);
// glibc's defaults give large blocks back to the kernel and take them again, step after step, and
// make an arena for each of many threads. Called when models are loaded, since loading wants its
// memory back.
void KeepMemory() {
  malloc_trim(0);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the largest it takes
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

LogFunction LogTo(ServerLog& log) {
  return [&log](LogLevel level, const std::string& event, const std::vector<LogField>& fields) {
    log.Write(level, event, fields);
  };
}

absl::Status ForceIsa(const std::string& name) {
  if (name.empty() || kernels::ForceIsa(name)) return absl::OkStatus();
  std::vector<std::string> names;
  for (const std::string_view isa : kernels::SupportedIsas()) names.emplace_back(isa);
  return absl::InvalidArgumentError(
      absl::StrCat("--cpu_isa is ", name, "; this machine runs ", absl::StrJoin(names, ", ")));
}

// Choices of which some models lose more than most. README.md has the figures.
void WarnOfOutliers(const std::string& name, const ModelInfo& info, ServerLog& log) {
  if (info.arithmetic == NameOf(kernels::Arithmetic::kInteger8)) {
    log.Write(LogLevel::kWarning,
              "activations of 8 bits move scores, and ruin those of models with outliers",
              {{"name", name}});
  }
  if (info.kv_dtype == NameOf(kernels::KvType::kInt8)) {
    log.Write(
        LogLevel::kWarning,
        "keys and values of 8 bits move scores, and ruin those of models with outliers in them",
        {{"name", name}});
  }
}

// All that a start looks at: the model, one step of it, its tokenizer.
absl::StatusOr<ModelParts> ReadModel(const ModelSource& source, const ModelOptions& options,
                                     std::unique_ptr<kernels::Device> device, ServerLog& log) {
  ModelParts parts;
  ASSIGN_OR_RETURN(parts.loaded, LoadModel(source.folder, options, std::move(device)));
  ASSIGN_OR_RETURN(parts.tokenizer, LoadTokenizer(source.folder));
  if (parts.tokenizer != nullptr) {
    ASSIGN_OR_RETURN(const std::vector<std::string> files, TokenizerFiles(source.folder));
    ASSIGN_OR_RETURN(parts.tokenizer_digest, FilesDigest(source.folder, files));
  }
  RETURN_IF_ERROR(WarmUp(*parts.loaded.model));
  WarnOfOutliers(source.name, parts.loaded.info, log);
  const int32_t ids = parts.tokenizer != nullptr ? parts.tokenizer->vocab_size() : 0;
  const int32_t vocab_size = parts.loaded.model->limits().vocab_size;
  if (ids > vocab_size) {
    log.Write(LogLevel::kWarning, "tokenizer has ids beyond the model; texts with them are refused",
              {{"name", source.name},
               {"tokenizer_ids", int64_t{ids}},
               {"vocab_size", int64_t{vocab_size}}});
  }
  return parts;
}

absl::Status Check(const Options& options, int64_t device_bytes, DeviceWish wish, ServerLog& log) {
  ASSIGN_OR_RETURN(ModelOptions model_options,
                   OptionsOfModels(options, ReadHost(), device_bytes, LogTo(log)));
  wish.count = 1;
  model_options.kv_cache = KvCache::kOnePage;
  for (const ModelSource& source : options.models) {
    ASSIGN_OR_RETURN(auto devices, MakeDevices(wish));
    const absl::StatusOr<ModelParts> parts =
        ReadModel(source, model_options, std::move(devices.front()), log);
    if (!parts.ok()) return OfModel(source, options, parts.status());
    const ModelInfo& info = parts->loaded.info;
    std::printf("%s: %s, %lld parameters, %s, %s, digest %s\n", source.name.c_str(),
                info.architecture.c_str(), static_cast<long long>(info.parameters),
                info.weight_dtype.c_str(),
                parts->tokenizer != nullptr ? "with tokenizer" : "no tokenizer: token ids only",
                info.digest.c_str());
  }
  return absl::OkStatus();
}

absl::StatusOr<ModelParts> Load(const ModelSource& source, const Options& options,
                                const ModelOptions& model_options,
                                std::unique_ptr<kernels::Device> device, Metrics& metrics,
                                ServerLog& log) {
  const absl::Time start = SteadyNow();
  absl::StatusOr<ModelParts> read = ReadModel(source, model_options, std::move(device), log);
  if (!read.ok()) return OfModel(source, options, read.status());
  ModelParts parts = *std::move(read);
  const absl::Duration load_time = SteadyNow() - start;
  const ModelInfo& info = parts.loaded.info;
  const engine::ModelLimits& limits = parts.loaded.model->limits();
  ModelMetrics& series = metrics.AddModel(source.name, load_time);
  StepStats idle;  // so that the number of pages shows before the first step
  idle.pages_total = limits.kv_pages;
  series.OnStep(idle);
  parts.engine = std::make_unique<engine::Engine>(*parts.loaded.model, options.engine, series);
  const int64_t kv_tokens = int64_t{limits.kv_pages} * engine::kPageTokens;
  log.Write(LogLevel::kInfo, "model",
            {{"name", source.name},
             {"architecture", info.architecture},
             {"digest", info.digest},
             {"weight_dtype", info.weight_dtype},
             {"arithmetic", info.arithmetic},
             {"parameters", info.parameters},
             {"dense_equivalent_parameters", info.dense_equivalent_parameters},
             {"weight_bytes", info.weight_bytes},
             {"kv_dtype", info.kv_dtype},
             {"kv_cache_bytes", info.kv_cache_bytes},
             {"kv_cache_tokens", kv_tokens},
             {"context_length", int64_t{limits.context_length}},
             {"tokenizer", parts.tokenizer != nullptr ? "yes" : "no: token ids only"},
             {"load_seconds", absl::ToDoubleSeconds(load_time)}});
  if (kv_tokens < limits.context_length) {
    log.Write(LogLevel::kWarning,
              "kv cache holds less than one context; longer requests are refused",
              {{"name", source.name},
               {"kv_cache_tokens", kv_tokens},
               {"context_length", int64_t{limits.context_length}}});
  }
  return parts;
}

ServedModel Serve(const std::string& name, const ModelParts& parts) {
  ServedModel served;
  served.name = name;
  served.info = parts.loaded.info;
  served.limits = parts.loaded.model->limits();
  served.tokenizer = parts.tokenizer.get();
  served.tokenizer_digest = parts.tokenizer_digest;
  served.engine = parts.engine.get();
  const ModelInfo& info = parts.loaded.info;
  const auto first = [](std::optional<int32_t> a, std::optional<int32_t> b) { return a ? a : b; };
  const auto in_model = [&](std::optional<int32_t> id) {
    return id.has_value() && *id < served.limits.vocab_size ? id : std::nullopt;
  };
  const auto bos = in_model(parts.tokenizer ? parts.tokenizer->bos_id() : std::nullopt);
  const auto eos = in_model(parts.tokenizer ? parts.tokenizer->eos_id() : std::nullopt);
  served.eos_ids = info.eos_ids;
  if (served.eos_ids.empty() && eos.has_value()) served.eos_ids = {*eos};
  served.prefix_id = first(bos, info.bos_id);
  if (!served.prefix_id && !served.eos_ids.empty()) served.prefix_id = served.eos_ids.front();
  if (served.tokenizer != nullptr) {
    const auto end = eos || served.eos_ids.empty() ? eos : std::optional(served.eos_ids.front());
    served.word_id_sets = WordIdSets(*served.tokenizer, end, served.limits.vocab_size);
  }
  return served;
}

ServerInfo InfoOf(const Options& options, const std::string& device) {
  ServerInfo info{Version(), Commit(), TransportVersion(), device, FeaturesOf(options), {}};
  for (const Limit& limit : LimitsOf(options)) info.limits.emplace_back(limit.flag, limit.value);
  return info;
}

// Ends all work within the limit; what is left then ends with UNAVAILABLE.
void Drain(const Options& options, std::vector<ModelParts>& models, RpcServer& server,
           HttpPorts& http) {
  const absl::Time until = SteadyNow() + options.drain_timeout;
  // One after the other, and yet at the same time: each engine works on while another is waited
  // for.
  for (ModelParts& model : models) model.engine->Drain(until - SteadyNow());
  // Ended work has still to be written to its callers.
  server.Shutdown(std::max(until - SteadyNow(), absl::Seconds(1)));
  http.Shutdown(std::max(until - SteadyNow(), absl::Seconds(1)));
}

Metrics::Labels LabelsOf(const ServedModel& model) {
  return {{"model", model.name},
          {"digest", model.info.digest},
          {"architecture", model.info.architecture},
          {"weight_dtype", model.info.weight_dtype},
          {"kv_dtype", model.info.kv_dtype}};
}

ServerStats StatsOf(const ServerState& state, const RpcServer& server, const ServerLog& log) {
  ServerStats stats;
  stats.unread_bytes = state.unread.bytes();
  stats.connections = server.connections();
  stats.connection_pauses = server.connection_pauses();
  stats.certificate_end = server.certificate_end();
  stats.dropped_log_lines = log.dropped_lines();
  const absl::Time now = SteadyNow();
  for (const ServedModel& model : state.models.models()) {
    const engine::EngineStatus status = model.engine->Status();
    const auto age = [&](absl::Time since) { return std::max(now - since, absl::ZeroDuration()); };
    stats.queues.push_back({model.name, age(status.waiting_since), age(status.running_since)});
  }
  return stats;
}

absl::Status Run(const Options& options, SignalWatch& signals) {
  ServerLog log(options.log_format, options.log_level);
  const LogFunction write = LogTo(log);
  SetLibraryLog(write);
  const absl::Cleanup silence = [] { SetLibraryLog(nullptr); };
  RETURN_IF_ERROR(ForceIsa(options.cpu_isa));
  const int threads = options.threads > 0 ? options.threads : std::min(ReadHost().processors, 256);
  DeviceWish wish = {ChooseDevice(options.device, write),
                     static_cast<int>(std::size(kCheckedKvTypes)), threads, options.arithmetic};
  int64_t device_bytes = 0;
  {
    ASSIGN_OR_RETURN(const auto checked, MakeDevices(wish));
    RETURN_IF_ERROR(CheckKernels(checked));
    device_bytes = checked.front()->info().memory_bytes;
  }
  if (options.mode == Mode::kCheck) return Check(options, device_bytes, wish, log);

  // What takes no time to find wrong comes before the models.
  ASSIGN_OR_RETURN(RpcServerParts parts, RpcServer::Prepare(options.rpc, write));
  ASSIGN_OR_RETURN(const std::unique_ptr<ApiKeys> keys, ApiKeys::Load(options.api_key_file, write));
  Metrics metrics;
  ASSIGN_OR_RETURN(const std::unique_ptr<HttpPorts> http,
                   HttpPorts::Prepare(options, parts.certificates, metrics, write));
  std::vector<ModelParts> models;
  std::vector<ServedModel> served;
  ASSIGN_OR_RETURN(const ModelOptions model_options,
                   OptionsOfModels(options, ReadHost(), device_bytes, write));
  wish.count = static_cast<int>(options.models.size());
  ASSIGN_OR_RETURN(auto devices, MakeDevices(wish));
  const int used_threads = devices.front()->info().threads;
  for (size_t i = 0; i < devices.size(); ++i) {
    const ModelSource& source = options.models[i];
    ASSIGN_OR_RETURN(ModelParts model,
                     Load(source, options, model_options, std::move(devices[i]), metrics, log));
    models.push_back(std::move(model));
    served.push_back(Serve(source.name, models.back()));
    metrics.AddModelInfo(LabelsOf(served.back()));
  }
  metrics.SetBuildInfo({{"version", Version()},
                        {"commit", Commit()},
                        {"isa", std::string(kernels::CurrentIsa())},
                        {"device", models.front().loaded.info.device}});
  KeepMemory();

  const ModelRegistry registry(std::move(served));
  RequestLog request_log(log, metrics, options.log_prompts);
  ServerState state{registry, options.limits, &request_log,
                    InfoOf(options, models.front().loaded.info.device)};
  state.keys = keys.get();
  state.stall_timeout = options.stall_timeout;
  std::atomic<bool> ready = false;
  std::atomic<bool> alive = false;
  state.serves = [&](std::string_view name) {
    return name == "readiness" ? ready.load() : alive.load();
  };
  Services services(state);
  if (options.kserve == Kserve::kOn) services.AddKserve(state);
  ASSIGN_OR_RETURN(const std::unique_ptr<RpcServer> server,
                   RpcServer::Start(options.rpc, std::move(parts),
                                    [&](auto& builder) { services.Register(builder); }));
  RETURN_IF_ERROR(http->Open(options, state));
  metrics.SetLook([&] {
    ServerStats stats = StatsOf(state, *server, log);
    stats.ready = ready;
    stats.http_connections = http->connections();
    return stats;
  });
  const absl::Cleanup no_look = [&metrics] { metrics.SetLook(nullptr); };
  const auto look = [&] {
    std::vector<EngineHealth> engines;
    for (const ServedModel& model : registry.models()) {
      engines.push_back(
          {model.name, engine::StallReason(model.engine->Status(), options.stall_timeout)});
    }
    return engines;
  };
  const auto publish = [&](const std::string& name, ServingState state) {
    server->SetServing(name, state);
    if (name == "readiness") ready = state == ServingState::kServing;
    if (name == "liveness") alive = state == ServingState::kServing;
  };
  HealthWatch health({look, publish, write}, options.stall_timeout);
  log.Write(LogLevel::kInfo, "serving",
            {{"listen", options.rpc.listen},
             {"port", int64_t{server->port()}},
             {"http", http->http_address()},
             {"metrics", http->metrics_address()},
             {"isa", std::string(kernels::CurrentIsa())},
             {"device", models.front().loaded.info.device},
             {"threads", int64_t{used_threads}}});

  const int signal = signals.Wait(options.drain_delay + options.drain_timeout + kEndAfterDrain);
  log.Write(LogLevel::kInfo, "draining", {{"signal", int64_t{signal}}});
  health.StartDraining();
  absl::SleepFor(options.drain_delay);
  state.draining = true;
  state.open_streams.Shutdown();
  Drain(options, models, *server, *http);
  log.Write(LogLevel::kInfo, "stopped", {});
  return absl::OkStatus();
}

absl::Status Start(const std::vector<std::string>& arguments) {
  SignalWatch signals;  // before any other thread
  ASSIGN_OR_RETURN(const Options options, ParseArguments(arguments));
  if (options.mode == Mode::kHelp) {
    std::printf("%s", HelpText().c_str());
    return absl::OkStatus();
  }
  if (options.mode == Mode::kVersion) {
    std::printf("dyad-server %s (%s)\n", Version(), Commit());
    return absl::OkStatus();
  }
  return Run(options, signals);
}

}  // namespace
}  // namespace dyad

int main(int argc, char** argv) {
  dyad::PrepareLastResort();
  dyad::PrepareStandardStreams();
  dyad::CheckStandardOutputAtExit("dyad-server");
  mallopt(M_ARENA_MAX, 2);
  const absl::Status status = dyad::Start({argv, argv + argc});
  if (status.ok()) return 0;
  // The last line on stderr says what is wrong, whatever was logged before.
  dyad::WriteLastLine({status.message().data(), status.message().size()});
  return 1;
}
