// The exposition against the table of docs/metrics.md, the sum rules, and the port.
#include "server/metrics/metrics.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::HasSubstr;

// Value of a series as the exposition writes it: `name{labels}`. -1 if it is not there.
double Value(const Metrics& metrics, const std::string& series) {
  for (const std::string text = metrics.Text();
       absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, series + " ")) continue;
    double value = 0;
    if (absl::SimpleAtod(line, &value)) return value;
  }
  return -1;
}

SequenceStats Finished(EndReason reason, int32_t generated, int32_t scored) {
  SequenceStats stats;
  stats.reason = reason;
  stats.queue = absl::Milliseconds(1);
  stats.prefill = absl::Milliseconds(2);
  stats.decode = absl::Milliseconds(3);
  stats.end_to_end = absl::Milliseconds(6);
  stats.prompt_tokens = 5;
  stats.generated_tokens = generated;
  stats.scored_tokens = scored;
  return stats;
}

struct Row {
  std::string type;
  std::set<std::string> labels;
  std::string help;
  bool operator==(const Row&) const = default;
};

// The rows of docs/metrics.md that name a metric.
std::map<std::string, Row> ReadmeTable() {
  std::ifstream file(std::filesystem::path(DYAD_SOURCE_DIR) / "docs/metrics.md");
  std::map<std::string, Row> table;
  for (std::string line; std::getline(file, line);) {
    if (!absl::StartsWith(line, "| `dyad_") && !absl::StartsWith(line, "| `process_")) continue;
    std::vector<std::string> cells = absl::StrSplit(line, '|');
    for (std::string& cell : cells) absl::StripAsciiWhitespace(&cell);
    const std::string name = cells.at(1).substr(1, cells[1].size() - 2);
    EXPECT_FALSE(cells.at(3).empty()) << name << " has no unit";
    table[name] = {cells.at(2), absl::StrSplit(cells.at(4), ", ", absl::SkipEmpty()), cells.at(5)};
  }
  return table;
}

// The same from the exposition: types, help texts and label names (without the histograms' own).
std::map<std::string, Row> ExposedTable(const Metrics& metrics) {
  std::map<std::string, Row> table;
  std::string name;
  for (const std::string text = metrics.Text();
       const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    if (absl::StartsWith(line, "# HELP ")) {
      name = words.at(2);
      table[name].help = words.at(3);
    } else if (absl::StartsWith(line, "# TYPE ")) {
      table[name].type = words.at(3);
    } else if (absl::StrContains(line, '{')) {
      const size_t open = line.find('{');
      const absl::string_view labels = line.substr(open + 1, line.rfind('}') - open - 1);
      for (const absl::string_view label : absl::StrSplit(labels, ',')) {
        const std::string key(label.substr(0, label.find('=')));
        if (key != "le") table[name].labels.insert(key);
      }
    }
  }
  return table;
}

TEST(MetricsTest, ReadmeTableIsTheExposition) {
  Metrics metrics;
  metrics.AddModel("m", absl::Seconds(1));
  metrics.OnRpc("ScoringService/Score", "OK", absl::Milliseconds(1));
  metrics.OnHttp("/v1/completions", 200, absl::Milliseconds(1));
  metrics.SetBuildInfo({{"version", "1"}, {"commit", "c"}, {"isa", "avx2"}, {"device", "cpu"}});
  metrics.AddModelInfo({{"model", "m"},
                        {"digest", "d"},
                        {"architecture", "opt"},
                        {"weight_dtype", "float32"},
                        {"kv_dtype", "float32"}});
  const std::map<std::string, Row> readme = ReadmeTable();
  const std::map<std::string, Row> exposed = ExposedTable(metrics);
  EXPECT_GE(readme.size(), 30u);
  for (const auto& [name, row] : exposed) {
    ASSERT_TRUE(readme.contains(name)) << name;
    EXPECT_EQ(readme.at(name).type, row.type) << name;
    EXPECT_EQ(readme.at(name).labels, row.labels) << name;
    EXPECT_EQ(readme.at(name).help, row.help) << name;
  }
  EXPECT_EQ(readme.size(), exposed.size());
}

TEST(MetricsTest, CountersEndInTotalAndGaugesDoNot) {
  Metrics metrics;
  metrics.AddModel("m", absl::Seconds(1));
  metrics.OnRpc("ScoringService/Score", "OK", absl::Milliseconds(1));
  for (const auto& [name, row] : ExposedTable(metrics)) {
    EXPECT_EQ(absl::EndsWith(name, "_total"), row.type == "counter") << name;
  }
}

TEST(MetricsTest, AcceptedIsFinishedAndInFlight) {
  Metrics metrics;
  ModelMetrics& model = metrics.AddModel("m", absl::Seconds(1));
  model.OnAccepted(3);
  model.OnAccepted(7);
  model.OnRejected(2);
  int32_t finished = 0;
  for (int reason = 0; reason < 9; ++reason) {
    model.OnFinished(Finished(static_cast<EndReason>(reason), reason, 1));
    ++finished;
    double sum = 0;
    for (const char* label : {"length", "eos", "stop", "scored", "cancelled", "deadline", "error",
                              "unavailable", "overload"}) {
      sum += Value(metrics, absl::StrCat("dyad_sequences_finished_total{model=\"m\",reason=\"",
                                         label, "\"}"));
    }
    EXPECT_EQ(sum, finished);
    EXPECT_EQ(Value(metrics, "dyad_sequences_accepted_total{model=\"m\"}"),
              sum + Value(metrics, "dyad_sequences_in_flight{model=\"m\"}"));
  }
  EXPECT_EQ(Value(metrics, "dyad_sequences_rejected_total{model=\"m\"}"), 2);
}

TEST(MetricsTest, EachReasonHasItsLabel) {
  Metrics metrics;
  ModelMetrics& model = metrics.AddModel("m", absl::Seconds(1));
  model.OnFinished(Finished(EndReason::kDeadline, 0, 0));
  model.OnFinished(Finished(EndReason::kUnavailable, 0, 0));
  const std::string series = "dyad_sequences_finished_total{model=\"m\",reason=";
  EXPECT_EQ(Value(metrics, series + "\"deadline\"}"), 1);
  EXPECT_EQ(Value(metrics, series + "\"unavailable\"}"), 1);
  EXPECT_EQ(Value(metrics, series + "\"error\"}"), 0);
}

TEST(MetricsTest, HistogramCountsFollowFinishedSequences) {
  Metrics metrics;
  ModelMetrics& model = metrics.AddModel("m", absl::Seconds(1));
  model.OnAccepted(3);
  model.OnFinished(Finished(EndReason::kLength, 4, 0));
  model.OnFinished(Finished(EndReason::kScored, 0, 9));
  model.OnFinished(Finished(EndReason::kCancelled, 0, 0));
  for (const char* name : {"dyad_end_to_end", "dyad_queue", "dyad_prefill"}) {
    EXPECT_EQ(Value(metrics, absl::StrCat(name, "_seconds_count{model=\"m\"}")), 3) << name;
  }
  EXPECT_EQ(Value(metrics, "dyad_decode_seconds_count{model=\"m\"}"), 1);
  EXPECT_EQ(Value(metrics, "dyad_prompt_tokens_total{model=\"m\"}"), 15);
  EXPECT_EQ(Value(metrics, "dyad_generated_tokens_total{model=\"m\"}"), 4);
  EXPECT_EQ(Value(metrics, "dyad_scored_tokens_total{model=\"m\"}"), 9);
}

TEST(MetricsTest, RpcDurationsCountTheRequestsOfAllCodes) {
  Metrics metrics;
  const std::string method = "{method=\"ScoringService/Score\"";
  metrics.OnRpc("ScoringService/Score", "OK", absl::Milliseconds(3));
  metrics.OnRpc("ScoringService/Score", "OK", absl::Milliseconds(3));
  metrics.OnRpc("ScoringService/Score", "CANCELLED", absl::Milliseconds(3));
  metrics.OnRpc("ModelService/GetModel", "OK", absl::Milliseconds(3));
  EXPECT_EQ(Value(metrics, "dyad_rpc_requests_total{code=\"OK\",method=\"ScoringService/Score\"}"),
            2);
  EXPECT_EQ(
      Value(metrics, "dyad_rpc_requests_total{code=\"CANCELLED\",method=\"ScoringService/Score\"}"),
      1);
  EXPECT_EQ(Value(metrics, "dyad_rpc_duration_seconds_count" + method + "}"), 3);
}

TEST(MetricsTest, LadderIsPowersOfTwoFromATenthOfAMillisecond) {
  Metrics metrics;
  metrics.AddModel("m", absl::Seconds(1)).OnFirstToken(absl::Microseconds(300));
  std::vector<double> bounds;
  std::vector<double> counts;
  for (const std::string text = metrics.Text();
       const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, "dyad_time_to_first_token_seconds_bucket")) continue;
    const size_t le = line.find("le=\"") + 4;
    double bound = 0;
    double count = 0;
    ASSERT_TRUE(absl::SimpleAtod(line.substr(le, line.find('"', le) - le), &bound));
    ASSERT_TRUE(absl::SimpleAtod(line.substr(line.rfind(' ') + 1), &count));
    bounds.push_back(bound);
    counts.push_back(count);
  }
  ASSERT_EQ(bounds.size(), 22u);  // 21 and +Inf
  for (int k = 0; k <= 20; ++k) {
    EXPECT_NEAR(bounds[k], 1e-4 * (1 << k), 1e-9 * (1 << k));
    EXPECT_EQ(counts[k], k >= 2 ? 1 : 0);  // 0.3 ms is in the bucket of 0.4 ms and all above
  }
}

TEST(MetricsTest, StepSetsGaugesAndAddsWork) {
  Metrics metrics;
  ModelMetrics& model = metrics.AddModel("m", absl::Seconds(2.5));
  StepStats stats;
  stats.duration = absl::Milliseconds(5);
  stats.tokens = 64;
  stats.sequences = 3;
  stats.waiting = 7;
  stats.running = 2;
  stats.pages_used = 10;
  stats.pages_total = 40;
  stats.structured_flops = 1e9;
  stats.dense_equivalent_flops = 2e9;
  stats.weight_bytes = 1e6;
  model.OnStep(stats);
  model.OnStep(stats);
  StepStats no_tokens = stats;  // something ended without a forward pass
  no_tokens.tokens = no_tokens.sequences = 0;
  no_tokens.structured_flops = no_tokens.dense_equivalent_flops = no_tokens.weight_bytes = 0;
  model.OnStep(no_tokens);
  const auto value = [&](const char* name) {
    return Value(metrics, absl::StrCat(name, "{model=\"m\"}"));
  };
  EXPECT_EQ(value("dyad_sequences_waiting"), 7);
  EXPECT_EQ(value("dyad_sequences_running"), 2);
  EXPECT_EQ(value("dyad_kv_pages_used"), 10);
  EXPECT_EQ(value("dyad_kv_pages"), 40);
  EXPECT_EQ(value("dyad_kv_cache_usage_ratio"), 0.25);
  EXPECT_EQ(value("dyad_step_tokens_sum"), 128);
  EXPECT_EQ(value("dyad_step_sequences_sum"), 6);
  EXPECT_EQ(value("dyad_step_tokens_count"), 2);
  EXPECT_EQ(value("dyad_step_seconds_count"), value("dyad_step_tokens_count"));
  EXPECT_EQ(value("dyad_structured_flops_total"), 2e9);
  EXPECT_EQ(value("dyad_dense_equivalent_flops_total"), 4e9);
  EXPECT_EQ(value("dyad_weight_streamed_bytes_total"), 2e6);
  EXPECT_EQ(value("dyad_model_load_seconds"), 2.5);
  EXPECT_GT(value("dyad_last_step_timestamp_seconds"), 1.6e9);
}

TEST(MetricsTest, WhatTheServerSaysIsAskedForAtEachScrape) {
  Metrics metrics;
  metrics.AddModel("m", absl::Seconds(1));
  ServerStats stats;
  metrics.SetLook([&] { return stats; });
  EXPECT_EQ(Value(metrics, "dyad_ready"), 0);
  EXPECT_EQ(Value(metrics, "dyad_tls_certificate_end_timestamp_seconds"), 0);
  stats.ready = true;
  stats.connections = 3;
  stats.connection_pauses = 4;
  stats.unread_bytes = 5;
  stats.dropped_log_lines = 5;
  stats.certificate_end = absl::FromUnixSeconds(6);
  stats.queues = {{"m", absl::Seconds(7), absl::Seconds(8)}, {"unknown", {}, {}}};
  EXPECT_EQ(Value(metrics, "dyad_ready"), 1);
  EXPECT_EQ(Value(metrics, "dyad_connections"), 3);
  EXPECT_EQ(Value(metrics, "dyad_connection_pauses_total"), 4);
  EXPECT_EQ(Value(metrics, "dyad_unread_bytes"), 5);
  EXPECT_EQ(Value(metrics, "dyad_log_lines_dropped_total"), 5);
  EXPECT_EQ(Value(metrics, "dyad_tls_certificate_end_timestamp_seconds"), 6);
  EXPECT_EQ(Value(metrics, "dyad_oldest_waiting_seconds{model=\"m\"}"), 7);
  EXPECT_EQ(Value(metrics, "dyad_oldest_running_seconds{model=\"m\"}"), 8);
  stats.dropped_log_lines = 9;
  EXPECT_EQ(Value(metrics, "dyad_log_lines_dropped_total"), 9);
  metrics.SetLook(nullptr);
  stats.connections = 100;
  EXPECT_EQ(Value(metrics, "dyad_connections"), 3);
}

TEST(MetricsTest, TheProcessShowsWhatItUses) {
  const Metrics metrics;
  EXPECT_GT(Value(metrics, "process_resident_memory_bytes"), 1e6);
  EXPECT_GT(Value(metrics, "process_virtual_memory_bytes"),
            Value(metrics, "process_resident_memory_bytes"));
  EXPECT_GT(Value(metrics, "process_cpu_seconds_total"), 0);
  EXPECT_GT(Value(metrics, "process_start_time_seconds"), 1.6e9);
}

TEST(MetricsTest, CountsPreemptionsAndCacheTokensPerModel) {
  Metrics metrics;
  ModelMetrics& a = metrics.AddModel("a", absl::Seconds(1));
  ModelMetrics& b = metrics.AddModel("b", absl::Seconds(1));
  a.OnPreempted();
  a.OnPrefixCache(100, 32);
  b.OnPrefixCache(10, 0);
  a.OnInterToken(absl::Milliseconds(2));
  EXPECT_EQ(Value(metrics, "dyad_preemptions_total{model=\"a\"}"), 1);
  EXPECT_EQ(Value(metrics, "dyad_preemptions_total{model=\"b\"}"), 0);
  EXPECT_EQ(Value(metrics, "dyad_prefix_cache_query_tokens_total{model=\"a\"}"), 100);
  EXPECT_EQ(Value(metrics, "dyad_prefix_cache_hit_tokens_total{model=\"a\"}"), 32);
  EXPECT_EQ(Value(metrics, "dyad_prefix_cache_query_tokens_total{model=\"b\"}"), 10);
  EXPECT_EQ(Value(metrics, "dyad_inter_token_seconds_count{model=\"a\"}"), 1);
}

TEST(MetricsTest, CountsFromManyThreadsAddUp) {
  Metrics metrics;
  ModelMetrics& model = metrics.AddModel("m", absl::Seconds(1));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        model.OnAccepted(1);
        model.OnFinished(Finished(EndReason::kScored, 0, 2));
        metrics.OnRpc("ScoringService/Score", i % 2 == 0 ? "OK" : "CANCELLED",
                      absl::ZeroDuration());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Value(metrics, "dyad_sequences_accepted_total{model=\"m\"}"), 2000);
  EXPECT_EQ(Value(metrics, "dyad_sequences_in_flight{model=\"m\"}"), 0);
  EXPECT_EQ(Value(metrics, "dyad_scored_tokens_total{model=\"m\"}"), 4000);
  EXPECT_EQ(Value(metrics, "dyad_rpc_duration_seconds_count{method=\"ScoringService/Score\"}"),
            2000);
}

TEST(MetricsTest, RequestsOverHttpAreCountedByRouteAndStatus) {
  Metrics metrics;
  metrics.OnHttp("/v1/completions", 200, absl::Milliseconds(3));
  metrics.OnHttp("/v1/completions", 200, absl::Milliseconds(3));
  metrics.OnHttp("/v1/completions", 429, absl::Milliseconds(1));
  EXPECT_EQ(Value(metrics, "dyad_http_requests_total{code=\"200\",route=\"/v1/completions\"}"), 2);
  EXPECT_EQ(Value(metrics, "dyad_http_requests_total{code=\"429\",route=\"/v1/completions\"}"), 1);
  EXPECT_EQ(Value(metrics, "dyad_http_request_seconds_count{route=\"/v1/completions\"}"), 3);
}

}  // namespace
}  // namespace dyad
