// The ranges of all options.
#include "server/options.h"

#include <limits>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/device_word.h"

namespace dyad {
namespace {

constexpr int64_t kMaxInt32 = std::numeric_limits<int32_t>::max();
constexpr int64_t kMinKvCacheBytes = 64 << 10;
constexpr size_t kMaxModels = 64;

class Checker {
 public:
  void Integer(const char* flag, int64_t value, int64_t least, int64_t most) {
    if (value >= least && value <= most) return;
    Add(absl::StrCat("--", flag, " is ", value, "; must be ", least, " to ", most));
  }

  void Time(const char* flag, absl::Duration value, absl::Duration least, absl::Duration most) {
    if (value >= least && value <= most) return;
    Add(absl::StrCat("--", flag, " is ", absl::FormatDuration(value), "; must be ",
                     absl::FormatDuration(least), " to ", absl::FormatDuration(most)));
  }

  void Add(std::string fault) { faults_.push_back(std::move(fault)); }
  std::vector<std::string> Take() { return std::move(faults_); }

 private:
  std::vector<std::string> faults_;
};

struct Address {
  bool valid = false;
  bool loopback = false;
};

// host:port, [v6]:port, unix:path. A host name other than localhost may mean any address.
Address ParseAddress(const std::string& address) {
  if (absl::StartsWith(address, "unix:")) {
    const bool has_path = address.size() > 5;
    return {has_path, has_path};
  }
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return {};
  const std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  uint32_t number = 0;
  if (port.empty() || port.find_first_not_of("0123456789") != std::string::npos ||
      !absl::SimpleAtoi(port, &number) || number > 65535) {
    return {};
  }
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (!bracketed && host.find(':') != std::string::npos) return {};
  if (host.find_first_of(" ,/") != std::string::npos) return {};
  // "127.evil.example" begins like a loopback address and is none.
  const bool numeric = host.find_first_not_of("0123456789.") == std::string::npos;
  const bool loopback =
      host == "localhost" || host == "[::1]" || (numeric && absl::StartsWith(host, "127."));
  return {true, loopback};
}

bool IsModelName(const std::string& name) {
  constexpr char kAllowed[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/@";
  return !name.empty() && name.size() <= 128 &&
         name.find_first_not_of(kAllowed) == std::string::npos;
}

void CheckModels(const Options& options, Checker& check) {
  if (options.models.empty()) check.Add("--model is empty; must be NAME=FOLDER[,NAME=FOLDER]");
  if (options.models.size() > kMaxModels) {
    check.Add(
        absl::StrCat("--model names ", options.models.size(), " models; at most ", kMaxModels));
  }
  std::set<std::string> names;
  for (const ModelSource& model : options.models) {
    if (!IsModelName(model.name)) {
      check.Add(absl::StrCat("--model: the name \"", model.name,
                             "\" must be 1 to 128 of letters, digits and . _ - : / @; give one: ",
                             "--model=NAME=", model.folder));
    } else if (model.name == "liveness" || model.name == "readiness") {
      check.Add(absl::StrCat("--model: the name ", model.name, " belongs to health checks"));
    } else if (!names.insert(model.name).second) {
      check.Add(absl::StrCat("--model: the name ", model.name, " is given twice"));
    }
    if (model.folder.empty()) {
      check.Add(absl::StrCat("--model: ", model.name, " has an empty folder"));
    }
  }
}

void CheckHttp(const Options& options, Checker& check) {
  const Address http = ParseAddress(options.http);
  if (!http.valid || absl::StartsWith(options.http, "unix:")) {
    check.Add(
        absl::StrCat("--http is \"", options.http, "\"; must be host:port, [v6]:port or off"));
  } else if (!http.loopback && options.rpc.tls.empty() &&
             options.plaintext == Plaintext::kLoopback) {
    check.Add(absl::StrCat("--http is ", options.http,
                           ", which is not loopback: give --tls_cert and --tls_key, or --insecure "
                           "to serve plaintext there"));
  }
  const HttpServerOptions& server = options.http_server;
  const absl::Duration least = absl::Milliseconds(100);
  const absl::Duration day = absl::Hours(24);
  check.Time("http_idle_timeout", server.idle_timeout, least, day);
  check.Time("http_read_timeout", server.read_timeout, least, day);
  check.Time("http_write_timeout", server.write_timeout, least, day);
}

void CheckConnections(const Options& options, Checker& check) {
  const RpcServerOptions& rpc = options.rpc;
  const Address listen = ParseAddress(rpc.listen);
  if (!listen.valid) {
    check.Add(absl::StrCat("--listen is \"", rpc.listen,
                           "\"; must be host:port, [v6]:port or unix:path"));
  } else if (!listen.loopback && rpc.tls.empty() && options.plaintext == Plaintext::kLoopback) {
    check.Add(absl::StrCat("--listen is ", rpc.listen,
                           ", which is not loopback: give --tls_cert and --tls_key, or --insecure "
                           "to serve plaintext there"));
  }
  if (!rpc.tls.empty() && (rpc.tls.certificate.empty() || rpc.tls.key.empty())) {
    check.Add("--tls_cert and --tls_key must be given together (--tls_ca needs both)");
  }
  const Address metrics = ParseAddress(options.metrics);
  if (!options.metrics.empty() && (!metrics.valid || absl::StartsWith(options.metrics, "unix:"))) {
    check.Add(absl::StrCat("--metrics is \"", options.metrics,
                           "\"; must be host:port, [v6]:port or off"));
  }
  if (!options.http.empty()) CheckHttp(options, check);
  const absl::Duration second = absl::Seconds(1);
  const absl::Duration day = absl::Hours(24);
  check.Time("keepalive_time", rpc.keepalive_time, second, day);
  check.Time("keepalive_timeout", rpc.keepalive_timeout, absl::Milliseconds(100), day);
  check.Time("min_client_ping_interval", rpc.min_client_ping_interval, absl::Milliseconds(10), day);
  check.Integer("max_connections", rpc.max_connections, 1, 1 << 20);
  check.Time("max_connection_idle", rpc.max_connection_idle, second, absl::InfiniteDuration());
  check.Time("max_connection_age", rpc.max_connection_age, second, absl::InfiniteDuration());
  check.Time("max_connection_age_grace", rpc.max_connection_age_grace, second,
             absl::InfiniteDuration());
}

void CheckCompute(const Options& options, Checker& check) {
  check.Integer("threads", options.threads, 0, 256);
  const std::optional<DeviceChoice> device = ParseDevice(options.device);
  if (!device.has_value()) {
    check.Add(absl::StrCat("--device is ", options.device,
                           "; must be cpu, cuda, cuda:N with N in [0, 99], auto or reference"));
  } else if (device->kind == DeviceKind::kReference &&
             options.reference_use == ReferenceUse::kRefused) {
    check.Add("--device is reference, plain loops for tests; it needs --allow_reference_device");
  }
  const auto arithmetic = options.arithmetic.value_or(kernels::Arithmetic::kExact);
  const std::string word(NameOf(arithmetic));
  if (IsOfTheCpu(arithmetic)) {
    if (device.has_value() && device->kind != DeviceKind::kCpu) {
      check.Add(absl::StrCat("--arithmetic is ", word, "; --device is ", options.device,
                             ", which does not have it: it needs --device=cpu"));
    }
    // Weights may be stored as bfloat16, but int8 is always made.
    const bool fits = IsInteger(arithmetic) ? options.weight_dtype == WeightDtype::kInt8
                                            : options.weight_dtype == WeightDtype::kBfloat16 ||
                                                  options.weight_dtype == WeightDtype::kAsStored;
    if (!fits) {
      check.Add(absl::StrCat("--arithmetic is ", word, "; it needs --weight_dtype=",
                             IsInteger(arithmetic) ? "int8" : "bfloat16"));
    }
  } else if (arithmetic != kernels::Arithmetic::kExact) {
    if (device.has_value() && device->kind != DeviceKind::kCuda &&
        device->kind != DeviceKind::kAuto) {
      check.Add(absl::StrCat("--arithmetic is ", word, "; --device is ", options.device,
                             ", which computes exact only: it needs --device=cuda"));
    }
    if (options.weight_dtype == WeightDtype::kFloat32) {
      check.Add(absl::StrCat("--arithmetic is ", word,
                             "; --weight_dtype is float32: it must be bfloat16, float16 or int8"));
    }
  }
  if (options.kv_cache_bytes != 0) {
    check.Integer("kv_cache_bytes", options.kv_cache_bytes, kMinKvCacheBytes,
                  std::numeric_limits<int64_t>::max());
  }
  if (!(options.kv_cache_fraction > 0 && options.kv_cache_fraction <= 0.9)) {
    check.Add(absl::StrCat("--kv_cache_fraction is ", options.kv_cache_fraction,
                           "; must be above 0 and at most 0.9"));
  }
}

void CheckTimes(const Options& options, Checker& check) {
  check.Time("drain_delay", options.drain_delay, absl::ZeroDuration(), absl::Hours(1));
  check.Time("drain_timeout", options.drain_timeout, absl::ZeroDuration(), absl::Hours(24));
  check.Time("stall_timeout", options.stall_timeout, absl::Milliseconds(100), absl::Hours(24));
}

}  // namespace

std::vector<Limit> LimitsOf(const Options& options) {
  const engine::EngineOptions& engine = options.engine;
  const RequestLimits& request = options.limits;
  const RpcServerOptions& rpc = options.rpc;
  return {
      {"max_batch_tokens", engine.max_batch_tokens, 1, 65536},
      {"max_running_sequences", engine.max_running_sequences, 1, 4096},
      {"max_queued_requests", engine.max_queued_requests, 1, kMaxInt32},
      {"max_queued_tokens", engine.max_queued_tokens, 1, int64_t{1} << 40},
      {"max_prompt_bytes", request.max_prompt_bytes, 1, 1 << 30},
      {"max_choices", request.max_choices, 1, 1024},
      {"max_score_items", request.max_score_items, 1, 1 << 20},
      {"max_stream_pairs", request.max_stream_pairs, 1, 1 << 20},
      {"max_receive_message_bytes", request.max_receive_message_bytes, 1024, kMaxInt32},
      {"max_send_message_bytes", request.max_send_message_bytes, 1024, kMaxInt32},
      {"max_unread_bytes", request.max_unread_bytes, 64 << 10, int64_t{1} << 40},
      {"max_concurrent_streams", rpc.max_concurrent_streams, 1, 1 << 20},
      {"http_threads", options.http_server.threads, 1, 64},
      {"http_max_connections", options.http_server.max_connections, 1, 1 << 20},
      {"http_max_body_bytes", options.http_server.max_body_bytes, 1024, kMaxInt32},
      {"http_max_prompts", options.http_max_prompts, 1, 1 << 20},
  };
}

std::vector<std::string> FeaturesOf(const Options& options) {
  std::vector<std::string> features;
  const auto feature = [&](const char* name, bool on) {
    if (on) features.emplace_back(name);
  };
  feature("tls", !options.rpc.tls.empty());
  feature("client_certificates", !options.rpc.tls.client_ca.empty());
  feature("prefix_cache", options.engine.prefix_cache == engine::PrefixCache::kOn);
  feature("reflection", options.rpc.reflection == Reflection::kOn);
  feature("api_keys", !options.api_key_file.empty());
  feature("http", !options.http.empty());
  feature("kserve", options.kserve == Kserve::kOn);
  return features;
}

std::string AllowedHosts(const Options& options) {
  if (options.http_allowed_hosts == "*") return "";
  if (!options.http_allowed_hosts.empty()) return absl::AsciiStrToLower(options.http_allowed_hosts);
  return ParseAddress(options.http).loopback ? "localhost,127.0.0.1,[::1]" : "";
}

std::vector<std::string> Faults(const Options& options) {
  Checker check;
  CheckModels(options, check);
  CheckCompute(options, check);
  for (const Limit& limit : LimitsOf(options)) {
    check.Integer(limit.flag, limit.value, limit.least, limit.most);
  }
  if (options.mode == Mode::kServe) {
    CheckConnections(options, check);
    CheckTimes(options, check);
  }
  return check.Take();
}

}  // namespace dyad
