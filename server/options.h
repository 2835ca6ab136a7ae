// Every knob of the server: what it does, its default, unit and range. Made from the command line
// by flags.h, checked once by Faults, and constant afterwards.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "kernels/arithmetic.h"
#include "server/api/request_limits.h"
#include "server/base/log_line.h"
#include "server/engine/engine.h"
#include "server/grpc/rpc_server.h"
#include "server/http/exchange.h"
#include "server/model/load_model.h"

namespace dyad {

enum class Mode { kServe, kCheck, kHelp, kVersion };
enum class ReferenceUse { kRefused, kAllowed };
enum class Plaintext { kLoopback, kAnywhere };
enum class Kserve { kOff, kOn };

struct ModelSource {
  std::string name;    // 1 … 128 of letters, digits and . _ - : / @; not liveness, not readiness
  std::string folder;  // of a checkpoint
};

struct Options {
  // kCheck (--check): validate the models and end, without serving. Needs --model only. kHelp and
  // kVersion print, and look at nothing else.
  Mode mode = Mode::kServe;
  // --model=NAME=FOLDER[,NAME=FOLDER]; FOLDER alone is named by its last component. 1 … 64, names
  // differ.
  std::vector<ModelSource> models;

  // --listen and all that concerns connections.
  RpcServerOptions rpc;
  // --insecure: allow plaintext on other addresses than loopback, where a proxy or mesh encrypts.
  Plaintext plaintext = Plaintext::kLoopback;
  // --metrics: host:port of /metrics; empty or "off": none.
  std::string metrics = "127.0.0.1:9464";

  // --http: host:port of the front door over HTTP; empty or "off": none. Its TLS is that of gRPC.
  std::string http;
  // --http_threads (1 … 64), --http_max_connections, --http_max_body_bytes (>= 1 KiB),
  // --http_idle_timeout, --http_read_timeout, --http_write_timeout (100 ms … 24 h).
  HttpServerOptions http_server;
  // --http_max_prompts: prompts times choices of one request, >= 1.
  int64_t http_max_prompts = 1024;
  // --http_allowed_hosts: names, separated by commas, that a request's Host may have; "*": any.
  // Empty: on a loopback address its names, elsewhere any.
  std::string http_allowed_hosts;
  // --kserve=on|off: the Open Inference Protocol over gRPC, and with --http under /v2.
  Kserve kserve = Kserve::kOff;
  // --api_key_file: keys of which clients must show one, over HTTP and gRPC; empty: none is needed.
  std::string api_key_file;
  // --http_cors_origins: origins, separated by commas, whose pages may read answers; "*": all.
  std::string http_cors_origins;

  // --weight_dtype: of linear matrices, embedding and head in memory.
  WeightDtype weight_dtype = WeightDtype::kAsStored;
  // --layer_form=auto|plan|dense: whether structured layers run as what they are or multiplied out.
  // auto: multiplied out where that costs no more. Layers whose rows choose what they run never
  // are. plan and dense differ in the last bits of results.
  kernels::LayerForm layer_form = kernels::LayerForm::kAuto;
  // --device=cpu|cuda|cuda:N|auto|reference: where models live and what computes them. cuda is
  // cuda:0; auto takes it if it is usable, else the CPU, and the log says which. reference is the
  // definition in plain loops, for tests, and needs --allow_reference_device.
  std::string device = "cpu";
  ReferenceUse reference_use = ReferenceUse::kRefused;
  // --arithmetic=auto|exact|accurate|fast|integer24|integer16|integer8|bfloat16: how linear layers
  // are computed (kernels/arithmetic.h). exact has the CPU's bits on every device. accurate and
  // fast use tensor cores: CUDA only, weights of 16 or 8 bits only. The integer ones: the CPU and
  // weights of int8 only. bfloat16: the CPU and weights of bfloat16, stored or asked for. auto
  // (none here): accurate where that is possible, else exact.
  std::optional<kernels::Arithmetic> arithmetic = std::nullopt;
  // --threads: compute threads, 1 … 256; 0: as many as processors this process may use.
  int32_t threads = 0;
  // --cpu_isa: instruction set of the kernels; empty: the best that runs here. For tests and
  // reports.
  std::string cpu_isa;

  // --kv_dtype: of keys and values in memory. bfloat16 holds twice the tokens in the same bytes,
  // int8 almost four times (the CPU only; heads of at most 512 features; not for models whose
  // keys or values have a few large features). Scores then differ from float32's, and still do not
  // depend on load.
  kernels::KvType kv_dtype = kernels::KvType::kFloat32;
  // --kv_cache_bytes: memory for keys and values, per model, at least 64 KiB; 0: by the fraction.
  // All of it becomes resident soon after the start, used or not. More than the host's memory and
  // the control groups leave beside the weights is refused, above 90 % of that there is a warning.
  int64_t kv_cache_bytes = 0;
  // --kv_cache_fraction: of the memory available at start, beyond the weights, shared by the models
  // and at most 4 GiB each; (0, 0.9].
  double kv_cache_fraction = 0.4;
  // --max_batch_tokens (1 … 65536): token budget of a step, in which a token that sequences
  // share counts once. Larger: more throughput for prompts and scoring, longer steps for those who
  // stream. --max_running_sequences (1 … 4096),
  // --max_queued_requests, --max_queued_tokens (>= 1): past these the caller is told to retry
  // later.
  // --prefix_cache=on|off: off, nothing is shared between sequences, neither pages nor rows of a
  // step; results have the same bits.
  engine::EngineOptions engine;
  // --max_prompt_bytes, --max_choices, --max_score_items, --max_stream_pairs: all >= 1.
  // --max_receive_message_bytes, --max_send_message_bytes: at least 1 KiB. --max_unread_bytes
  // (64 KiB … 1 TiB): answers that wait for clients to read them, of all connections; of one at
  // most a quarter. Beyond it new calls get RESOURCE_EXHAUSTED.
  RequestLimits limits;

  // On SIGTERM: NOT_SERVING at once; after --drain_delay (0 … 1 h), in which a load balancer takes
  // notice, new work is refused; what runs may end within --drain_timeout (0 … 24 h).
  absl::Duration drain_delay = absl::ZeroDuration();
  absl::Duration drain_timeout = absl::Seconds(30);
  // --stall_timeout (100 ms … 24 h): health says NOT_SERVING when work is pending and no step has
  // ended for this long. Must exceed the longest step.
  absl::Duration stall_timeout = absl::Seconds(60);

  // --log_level, --log_format, --log_prompts.
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;
  PromptLogging log_prompts = PromptLogging::kOff;
};

// A bound that clients can meet: a flag with its value and range.
struct Limit {
  const char* flag;
  int64_t value;
  int64_t least;
  int64_t most;
};
std::vector<Limit> LimitsOf(const Options& options);

// What is switched on, in the words and the order of GetServerInfo.
std::vector<std::string> FeaturesOf(const Options& options);

// What --http_allowed_hosts comes to: small letters; empty: any.
std::string AllowedHosts(const Options& options);

// All that is wrong with `options`, each naming flag, value and range; empty if nothing is.
std::vector<std::string> Faults(const Options& options);

}  // namespace dyad
