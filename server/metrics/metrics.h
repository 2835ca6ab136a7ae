// Every metric of the server, behind plain calls; only metrics.cc knows prometheus-cpp.
// Names, types, units, labels and help texts stand in one table there and in docs/metrics.md.
//
// Threads: all calls from any thread; each costs a few atomic operations.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace dyad {

// Counts of one engine step.
struct StepStats {
  absl::Duration duration;
  int32_t tokens = 0;     // rows of the batch
  int32_t sequences = 0;  // with tokens in the batch, in rows of their own or shared ones
  int32_t waiting = 0;    // after the step
  int32_t running = 0;
  int32_t pages_used = 0;  // held by sequences
  int32_t pages_total = 0;
  double structured_flops = 0;
  double dense_equivalent_flops = 0;
  double weight_bytes = 0;
};

// How a sequence ended; the label `reason`.
enum class EndReason {
  kLength,
  kEos,
  kStop,
  kScored,
  kCancelled,
  kDeadline,
  kError,
  kUnavailable,
  kOverload
};

struct SequenceStats {
  EndReason reason = EndReason::kScored;
  absl::Duration queue;
  absl::Duration prefill;
  absl::Duration decode;
  absl::Duration end_to_end;
  int32_t prompt_tokens = 0;
  int32_t generated_tokens = 0;
  int32_t scored_tokens = 0;
};

// What one model's engine reports. Sum rule: accepted = finished (all reasons) + waiting + running.
class ModelMetrics {
 public:
  virtual ~ModelMetrics() = default;
  virtual void OnAccepted(int32_t sequences) = 0;
  virtual void OnRejected(int32_t sequences) = 0;  // queue full
  virtual void OnStep(const StepStats& stats) = 0;
  virtual void OnFirstToken(absl::Duration since_submitted) = 0;
  virtual void OnInterToken(absl::Duration since_last_token) = 0;
  virtual void OnFinished(const SequenceStats& stats) = 0;
  virtual void OnPreempted() = 0;
  virtual void OnPrefixCache(int32_t query_tokens, int32_t hit_tokens) = 0;
};

// What the server knows of itself at the moment of a scrape.
struct ServerStats {
  struct Queue {
    std::string model;
    absl::Duration oldest_waiting;  // 0 if none
    absl::Duration oldest_running;
  };

  bool ready = false;
  int64_t connections = 0;
  int64_t http_connections = 0;
  int64_t connection_pauses = 0;
  int64_t unread_bytes = 0;
  int64_t dropped_log_lines = 0;
  std::optional<absl::Time> certificate_end;  // by the wall clock
  std::vector<Queue> queues;
};

// The registry.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The series of one model; owned by this object. Once per name.
  ModelMetrics& AddModel(const std::string& name, absl::Duration load_time);

  // One RPC ended. `method` as "GenerationService/Generate", `code` as "OK".
  void OnRpc(std::string_view method, std::string_view code, absl::Duration duration);

  // One HTTP request ended. `route` as "/v1/completions", bounded in number.
  void OnHttp(std::string_view route, int status, absl::Duration duration);

  // Series of value 1 whose labels say what runs: dyad_build_info, dyad_model_info.
  using Labels = std::map<std::string, std::string>;
  void SetBuildInfo(const Labels& labels);
  void AddModelInfo(const Labels& labels);

  // Asks `look` at each scrape, on the scraping thread, until the next call of this. Empty:
  // nothing.
  void SetLook(std::function<ServerStats()> look);

  std::string Text() const;  // the exposition, as /metrics gives it

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dyad
