// The table of all metrics, and the prometheus-cpp series behind it. docs/metrics.md repeats the
// table for readers; a test compares the two.
#include "server/metrics/metrics.h"

#include <array>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"
#include "server/base/mutex.h"
#include "server/base/string_map.h"
#include "server/metrics/metrics_table.h"
#include "server/metrics/process_stats.h"

namespace dyad {
namespace {

using namespace metrics_table;  // NOLINT(google-build-using-namespace): rows are named throughout

prometheus::Counter& AddCounter(prometheus::Registry& registry, Id id, prometheus::Labels labels) {
  return prometheus::BuildCounter()
      .Name(kTable[id].name)
      .Help(kTable[id].help)
      .Register(registry)
      .Add(std::move(labels));
}

prometheus::Gauge& AddGauge(prometheus::Registry& registry, Id id, prometheus::Labels labels) {
  return prometheus::BuildGauge()
      .Name(kTable[id].name)
      .Help(kTable[id].help)
      .Register(registry)
      .Add(std::move(labels));
}

prometheus::Histogram& AddHistogram(prometheus::Registry& registry, Id id,
                                    prometheus::Labels labels) {
  return prometheus::BuildHistogram()
      .Name(kTable[id].name)
      .Help(kTable[id].help)
      .Register(registry)
      .Add(std::move(labels), kTable[id].kind == Kind::kCounts ? CountsLadder() : SecondsLadder());
}

// Keeps a pointer to each series, so that the engine's thread never looks one up.
class ModelSeries final : public ModelMetrics {
 public:
  ModelSeries(prometheus::Registry& registry, const std::string& model, absl::Duration load_time) {
    for (const Metric& metric : kTable) {
      if (std::string_view(metric.labels) != "model") continue;
      const prometheus::Labels labels = {{"model", model}};
      switch (metric.kind) {
        case Kind::kCounter:
          counters_[metric.id] = &AddCounter(registry, metric.id, labels);
          break;
        case Kind::kGauge:
          gauges_[metric.id] = &AddGauge(registry, metric.id, labels);
          break;
        case Kind::kSeconds:
        case Kind::kCounts:
          histograms_[metric.id] = &AddHistogram(registry, metric.id, labels);
          break;
      }
    }
    for (size_t reason = 0; reason < kReasons.size(); ++reason) {
      finished_[reason] =
          &AddCounter(registry, kFinished, {{"model", model}, {"reason", kReasons[reason]}});
    }
    gauges_[kLoadTime]->Set(absl::ToDoubleSeconds(load_time));
  }

  void OnAccepted(int32_t sequences) override {
    counters_[kAccepted]->Increment(sequences);
    gauges_[kInFlight]->Increment(sequences);
  }

  void OnRejected(int32_t sequences) override { counters_[kRejected]->Increment(sequences); }

  void OnStep(const StepStats& stats) override {
    if (stats.tokens > 0) {  // otherwise no forward pass ran, only the gauges moved
      Observe(kStepTime, stats.duration);
      histograms_[kStepTokens]->Observe(stats.tokens);
      histograms_[kStepSequences]->Observe(stats.sequences);
    }
    gauges_[kWaiting]->Set(stats.waiting);
    gauges_[kRunning]->Set(stats.running);
    gauges_[kLastStep]->Set(absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()));
    gauges_[kPagesUsed]->Set(stats.pages_used);
    gauges_[kPages]->Set(stats.pages_total);
    const double pages = stats.pages_total > 0 ? stats.pages_total : 1;
    gauges_[kKvUsage]->Set(stats.pages_used / pages);
    counters_[kStructuredFlops]->Increment(stats.structured_flops);
    counters_[kDenseFlops]->Increment(stats.dense_equivalent_flops);
    counters_[kWeightBytes]->Increment(stats.weight_bytes);
  }

  void OnFirstToken(absl::Duration since_submitted) override {
    Observe(kTimeToFirstToken, since_submitted);
  }

  void OnInterToken(absl::Duration since_last_token) override {
    Observe(kInterToken, since_last_token);
  }

  void OnFinished(const SequenceStats& stats) override {
    Observe(kQueueTime, stats.queue);
    Observe(kPrefillTime, stats.prefill);
    if (stats.generated_tokens > 0) Observe(kDecodeTime, stats.decode);
    Observe(kEndToEnd, stats.end_to_end);
    counters_[kPromptTokens]->Increment(stats.prompt_tokens);
    counters_[kGeneratedTokens]->Increment(stats.generated_tokens);
    counters_[kScoredTokens]->Increment(stats.scored_tokens);
    finished_[static_cast<size_t>(stats.reason)]->Increment();
    gauges_[kInFlight]->Decrement();
  }

  void SetAges(const ServerStats::Queue& queue) {
    gauges_[kOldestWaiting]->Set(absl::ToDoubleSeconds(queue.oldest_waiting));
    gauges_[kOldestRunning]->Set(absl::ToDoubleSeconds(queue.oldest_running));
  }

  void OnPreempted() override { counters_[kPreemptions]->Increment(); }

  void OnPrefixCache(int32_t query_tokens, int32_t hit_tokens) override {
    counters_[kCacheQueries]->Increment(query_tokens);
    counters_[kCacheHits]->Increment(hit_tokens);
  }

 private:
  void Observe(Id id, absl::Duration duration) {
    histograms_[id]->Observe(absl::ToDoubleSeconds(duration));
  }

  // Indexed by Id; null where the metric is of another kind or carries other labels.
  std::array<prometheus::Counter*, kIds> counters_ = {};
  std::array<prometheus::Gauge*, kIds> gauges_ = {};
  std::array<prometheus::Histogram*, kIds> histograms_ = {};
  std::array<prometheus::Counter*, kReasons.size()> finished_ = {};
};

// What is of the whole process; read when somebody asks.
class ServerSeries {
 public:
  explicit ServerSeries(prometheus::Registry& registry) {
    for (const Metric& metric : kTable) {
      if (*metric.labels != '\0') continue;
      if (metric.kind == Kind::kCounter) {
        counters_[metric.id] = &AddCounter(registry, metric.id, {});
      } else {
        gauges_[metric.id] = &AddGauge(registry, metric.id, {});
      }
    }
    gauges_[kStartTime]->SetToCurrentTime();
  }

  void SetProcess(const ProcessStats& stats) {
    gauges_[kResidentBytes]->Set(stats.resident_bytes);
    gauges_[kVirtualBytes]->Set(stats.virtual_bytes);
    gauges_[kOpenFiles]->Set(stats.open_files);
    gauges_[kMostFiles]->Set(stats.most_files);
    Raise(kCpuTime, stats.cpu_seconds);
  }

  void SetServer(const ServerStats& stats) {
    gauges_[kReady]->Set(stats.ready ? 1 : 0);
    gauges_[kConnections]->Set(static_cast<double>(stats.connections));
    gauges_[kHttpConnections]->Set(static_cast<double>(stats.http_connections));
    const absl::Time end = stats.certificate_end.value_or(absl::UnixEpoch());
    gauges_[kCertificateEnd]->Set(absl::ToDoubleSeconds(end - absl::UnixEpoch()));
    gauges_[kUnreadBytes]->Set(static_cast<double>(stats.unread_bytes));
    Raise(kConnectionPauses, static_cast<double>(stats.connection_pauses));
    Raise(kDroppedLines, static_cast<double>(stats.dropped_log_lines));
  }

 private:
  void Raise(Id id, double value) { counters_[id]->Increment(value - counters_[id]->Value()); }

  std::array<prometheus::Counter*, kIds> counters_ = {};
  std::array<prometheus::Gauge*, kIds> gauges_ = {};
};

}  // namespace

class Metrics::Impl {
 public:
  ModelMetrics& AddModel(const std::string& name, absl::Duration load_time) {
    MutexLock lock(&mutex_);
    auto series = std::make_unique<ModelSeries>(*registry_, name, load_time);
    return *models_.emplace(name, std::move(series)).first->second;
  }

  void OnRpc(std::string_view method, std::string_view code, absl::Duration duration) {
    Count(CallSeries({kRpcRequests, kRpcDuration, "method"}, method, code), duration);
  }
  void OnHttp(std::string_view route, int status, absl::Duration duration) {
    Count(CallSeries({kHttpRequests, kHttpDuration, "route"}, route, absl::StrCat(status)),
          duration);
  }

  void AddInfo(Id id, const Labels& labels) { AddGauge(*registry_, id, labels).Set(1); }

  void SetLook(std::function<ServerStats()> look) {
    MutexLock lock(&mutex_);
    look_ = std::move(look);
  }

  std::string Text() {
    {
      MutexLock lock(&mutex_);
      server_.SetProcess(ReadProcessStats());
      if (look_) Update(look_());
    }
    return prometheus::TextSerializer().Serialize(registry_->Collect());
  }

 private:
  using Rpc = std::pair<prometheus::Counter*, prometheus::Histogram*>;

  void Update(const ServerStats& stats) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    server_.SetServer(stats);
    for (const ServerStats::Queue& queue : stats.queues) {
      if (const auto model = models_.find(queue.model); model != models_.end()) {
        model->second->SetAges(queue);
      }
    }
  }

  // The two series of calls of one kind, and the label that names what was called.
  struct CallKind {
    Id requests;
    Id duration;
    const char* label;
  };

  static void Count(const Rpc& series, absl::Duration duration) {
    series.first->Increment();
    series.second->Observe(absl::ToDoubleSeconds(duration));
  }

  Rpc CallSeries(const CallKind& kind, std::string_view name, std::string_view code) {
    std::string key(name);
    key.append(" ").append(code);
    MutexLock lock(&mutex_);
    Rpc& rpc = rpcs_[key];
    if (rpc.first == nullptr) {
      rpc.first = &AddCounter(*registry_, kind.requests,
                              {{kind.label, std::string(name)}, {"code", std::string(code)}});
      rpc.second = &AddHistogram(*registry_, kind.duration, {{kind.label, std::string(name)}});
    }
    return rpc;
  }

  const std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  Mutex mutex_;
  std::function<ServerStats()> look_ ABSL_GUARDED_BY(mutex_);
  ServerSeries server_ ABSL_GUARDED_BY(mutex_){*registry_};
  std::map<std::string, std::unique_ptr<ModelSeries>> models_ ABSL_GUARDED_BY(mutex_);
  // By "method code". Bounded: methods and routes are ours, codes those of gRPC and HTTP.
  StringMap<Rpc> rpcs_ ABSL_GUARDED_BY(mutex_);
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

ModelMetrics& Metrics::AddModel(const std::string& name, absl::Duration load_time) {
  return impl_->AddModel(name, load_time);
}

void Metrics::OnRpc(std::string_view method, std::string_view code, absl::Duration duration) {
  impl_->OnRpc(method, code, duration);
}

void Metrics::OnHttp(std::string_view route, int status, absl::Duration duration) {
  impl_->OnHttp(route, status, duration);
}

void Metrics::SetBuildInfo(const Labels& labels) { impl_->AddInfo(kBuildInfo, labels); }
void Metrics::AddModelInfo(const Labels& labels) { impl_->AddInfo(kModelInfo, labels); }
void Metrics::SetLook(std::function<ServerStats()> look) { impl_->SetLook(std::move(look)); }

std::string Metrics::Text() const { return impl_->Text(); }

}  // namespace dyad
