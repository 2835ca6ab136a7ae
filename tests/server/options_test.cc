// Each range is held, and all faults are said together.
#include "server/options.h"

#include <functional>
#include <map>
#include <string>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dyad {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Options Good() {
  Options options;
  options.models = {{"demo", "/models/demo"}};
  return options;
}

TEST(FaultsTest, DefaultsWithAModelAreGood) { EXPECT_THAT(Faults(Good()), IsEmpty()); }

TEST(FaultsTest, NoModelIsTheOnlyFaultOfTheDefaults) {
  EXPECT_THAT(Faults(Options()), ElementsAre(HasSubstr("--model is empty")));
}

TEST(LimitsOfTest, NamesEachBoundByItsFlag) {
  Options options = Good();
  options.limits.max_send_message_bytes = 4096;
  std::map<std::string, int64_t> values;
  for (const Limit& limit : LimitsOf(options)) values[limit.flag] = limit.value;
  EXPECT_THAT(values, SizeIs(LimitsOf(options).size()));
  EXPECT_EQ(values["max_send_message_bytes"], 4096);
  EXPECT_EQ(values["max_receive_message_bytes"], 16 << 20);
}

TEST(FaultsTest, AllAreReportedTogether) {
  Options options = Good();
  options.threads = -1;
  options.engine.max_batch_tokens = 0;
  options.rpc.listen = "nonsense";
  options.stall_timeout = absl::ZeroDuration();
  EXPECT_THAT(Faults(options), SizeIs(4));
}

TEST(FaultsTest, ArithmeticIsFreeWhereItIsPossible) {
  Options options = Good();
  options.arithmetic = kernels::Arithmetic::kExact;
  EXPECT_THAT(Faults(options), IsEmpty());
  for (const char* device : {"cuda:1", "auto"}) {
    options.device = device;
    options.arithmetic = kernels::Arithmetic::kAccurate;
    options.weight_dtype = WeightDtype::kInt8;
    EXPECT_THAT(Faults(options), IsEmpty()) << device;
  }
}

TEST(FaultsTest, IntegerArithmeticIsOfInt8OnTheCpu) {
  Options options = Good();
  options.arithmetic = kernels::Arithmetic::kInteger16;
  EXPECT_THAT(Faults(options),
              ElementsAre("--arithmetic is integer16; it needs --weight_dtype=int8"));
  options.weight_dtype = WeightDtype::kInt8;
  EXPECT_THAT(Faults(options), IsEmpty());
  for (const char* device : {"cuda:1", "auto", "reference"}) {
    options.device = device;
    options.reference_use = ReferenceUse::kAllowed;
    EXPECT_THAT(Faults(options), ElementsAre(HasSubstr("needs --device=cpu"))) << device;
  }
}

TEST(FaultsTest, Bfloat16ArithmeticIsOfSuchWeightsOnTheCpu) {
  Options options = Good();
  options.arithmetic = kernels::Arithmetic::kBfloat16;
  EXPECT_THAT(Faults(options), IsEmpty()) << "weights as stored";
  options.weight_dtype = WeightDtype::kBfloat16;
  EXPECT_THAT(Faults(options), IsEmpty());
  for (const WeightDtype dtype :
       {WeightDtype::kFloat32, WeightDtype::kFloat16, WeightDtype::kInt8}) {
    options.weight_dtype = dtype;
    EXPECT_THAT(Faults(options),
                ElementsAre("--arithmetic is bfloat16; it needs --weight_dtype=bfloat16"));
  }
  options.weight_dtype = WeightDtype::kBfloat16;
  options.device = "cuda";
  EXPECT_THAT(Faults(options),
              ElementsAre("--arithmetic is bfloat16; --device is cuda, which does not have it: it "
                          "needs --device=cpu"));
}

struct BadValue {
  const char* fault;  // part of it
  std::function<void(Options&)> set;
};

TEST(FaultsTest, EachRangeIsHeld) {
  const std::vector<BadValue> bad = {
      {"--threads is 257; must be 0 to 256", [](Options& o) { o.threads = 257; }},
      {"--arithmetic is fast; --device is cpu, which computes exact only",
       [](Options& o) { o.arithmetic = kernels::Arithmetic::kFast; }},
      {"--arithmetic is accurate; --weight_dtype is float32: it must be bfloat16, float16 or int8",
       [](Options& o) {
         o.device = "cuda";
         o.arithmetic = kernels::Arithmetic::kAccurate;
         o.weight_dtype = WeightDtype::kFloat32;
       }},
      {"--kv_cache_bytes is -1", [](Options& o) { o.kv_cache_bytes = -1; }},
      {"--kv_cache_bytes is 1; must be 65536", [](Options& o) { o.kv_cache_bytes = 1; }},
      {"--kv_cache_fraction is 0;", [](Options& o) { o.kv_cache_fraction = 0; }},
      {"--kv_cache_fraction is 1;", [](Options& o) { o.kv_cache_fraction = 1; }},
      {"--kv_cache_fraction is nan", [](Options& o) { o.kv_cache_fraction = NAN; }},
      {"--max_batch_tokens is 65537", [](Options& o) { o.engine.max_batch_tokens = 65537; }},
      {"--max_running_sequences is 4097",
       [](Options& o) { o.engine.max_running_sequences = 4097; }},
      {"--max_queued_requests is 0", [](Options& o) { o.engine.max_queued_requests = 0; }},
      {"--max_queued_tokens is 0", [](Options& o) { o.engine.max_queued_tokens = 0; }},
      {"--max_prompt_bytes is 0", [](Options& o) { o.limits.max_prompt_bytes = 0; }},
      {"--max_choices is 0", [](Options& o) { o.limits.max_choices = 0; }},
      {"--max_score_items is 0", [](Options& o) { o.limits.max_score_items = 0; }},
      {"--max_stream_pairs is 0", [](Options& o) { o.limits.max_stream_pairs = 0; }},
      {"--max_receive_message_bytes is 1;",
       [](Options& o) { o.limits.max_receive_message_bytes = 1; }},
      {"--max_send_message_bytes is -1", [](Options& o) { o.limits.max_send_message_bytes = -1; }},
      {"--max_unread_bytes is 65535", [](Options& o) { o.limits.max_unread_bytes = 65535; }},
      {"--max_concurrent_streams is 0", [](Options& o) { o.rpc.max_concurrent_streams = 0; }},
      {"--keepalive_time is 0", [](Options& o) { o.rpc.keepalive_time = absl::ZeroDuration(); }},
      {"--keepalive_timeout is 1ms",
       [](Options& o) { o.rpc.keepalive_timeout = absl::Milliseconds(1); }},
      {"--min_client_ping_interval is -1s",
       [](Options& o) { o.rpc.min_client_ping_interval = -absl::Seconds(1); }},
      {"--max_connection_age is 1ms; must be 1s to inf",
       [](Options& o) { o.rpc.max_connection_age = absl::Milliseconds(1); }},
      {"--max_connection_age_grace is 0",
       [](Options& o) { o.rpc.max_connection_age_grace = absl::ZeroDuration(); }},
      {"--drain_delay is -1s", [](Options& o) { o.drain_delay = -absl::Seconds(1); }},
      {"--drain_timeout is inf", [](Options& o) { o.drain_timeout = absl::InfiniteDuration(); }},
      {"--stall_timeout is 1ms", [](Options& o) { o.stall_timeout = absl::Milliseconds(1); }},
      {"--metrics is \"9464\"", [](Options& o) { o.metrics = "9464"; }},
      {"--metrics is \"unix:/x\"", [](Options& o) { o.metrics = "unix:/x"; }},
      {"--http is \"8000\"", [](Options& o) { o.http = "8000"; }},
      {"--http is \"unix:/x\"", [](Options& o) { o.http = "unix:/x"; }},
      {"--http is 0.0.0.0:8000, which is not loopback",
       [](Options& o) { o.http = "0.0.0.0:8000"; }},
      {"--http_threads is 0", [](Options& o) { o.http_server.threads = 0; }},
      {"--http_max_connections is 0", [](Options& o) { o.http_server.max_connections = 0; }},
      {"--http_max_body_bytes is 1;", [](Options& o) { o.http_server.max_body_bytes = 1; }},
      {"--http_max_prompts is 0", [](Options& o) { o.http_max_prompts = 0; }},
      {"--http_idle_timeout is 1ms",
       [](Options& o) {
         o.http = "localhost:1";
         o.http_server.idle_timeout = absl::Milliseconds(1);
       }},
      {"given together", [](Options& o) { o.rpc.tls.certificate = "cert.pem"; }},
      {"given together", [](Options& o) { o.rpc.tls.client_ca = "ca.pem"; }},
  };
  for (const BadValue& value : bad) {
    Options options = Good();
    value.set(options);
    EXPECT_THAT(Faults(options), ElementsAre(HasSubstr(value.fault))) << value.fault;
  }
}

TEST(FaultsTest, EdgesOfRangesAreGood) {
  Options options = Good();
  options.threads = 256;
  options.kv_cache_bytes = 64 << 10;
  options.kv_cache_fraction = 0.9;
  options.engine.max_batch_tokens = 65536;
  options.engine.max_running_sequences = 1;
  options.metrics = "";
  options.rpc.max_connection_age = absl::Seconds(1);
  options.drain_timeout = absl::ZeroDuration();
  EXPECT_THAT(Faults(options), IsEmpty());
}

TEST(FaultsTest, PlaintextBeyondLoopbackNeedsInsecure) {
  for (const char* address : {"0.0.0.0:50051", "[::]:50051", "10.0.0.1:1", "example.org:443",
                              "127.evil.example:1", "localhost.example:1"}) {
    Options options = Good();
    options.rpc.listen = address;
    EXPECT_THAT(Faults(options), ElementsAre(HasSubstr("--insecure"))) << address;
    options.plaintext = Plaintext::kAnywhere;
    EXPECT_THAT(Faults(options), IsEmpty()) << address;
    options.plaintext = Plaintext::kLoopback;
    options.rpc.tls.certificate = "cert.pem";
    options.rpc.tls.key = "key.pem";
    EXPECT_THAT(Faults(options), IsEmpty()) << address;
  }
}

TEST(AllowedHostsTest, AreTheNamesOfLoopbackUnlessSaid) {
  Options options = Good();
  options.http = "127.0.0.1:8000";
  EXPECT_EQ(AllowedHosts(options), "localhost,127.0.0.1,[::1]");
  options.http_allowed_hosts = "A.example,b";
  EXPECT_EQ(AllowedHosts(options), "a.example,b");
  options.http_allowed_hosts = "*";
  EXPECT_EQ(AllowedHosts(options), "");
  options.http_allowed_hosts = "";
  options.http = "0.0.0.0:8000";
  EXPECT_EQ(AllowedHosts(options), "");
}

TEST(FeaturesOfTest, NamesWhatIsOn) {
  Options options = Good();
  EXPECT_THAT(FeaturesOf(options), ElementsAre("prefix_cache", "reflection"));
  options.http = "127.0.0.1:8000";
  options.kserve = Kserve::kOn;
  options.rpc.tls.certificate = "c";
  options.engine.prefix_cache = engine::PrefixCache::kOff;
  EXPECT_THAT(FeaturesOf(options), ElementsAre("tls", "reflection", "http", "kserve"));
}

TEST(FaultsTest, LoopbackNeedsNothing) {
  for (const char* address :
       {"127.0.0.1:50051", "127.9.9.9:0", "localhost:1", "[::1]:65535", "unix:/run/dyad.sock"}) {
    Options options = Good();
    options.rpc.listen = address;
    EXPECT_THAT(Faults(options), IsEmpty()) << address;
  }
}

TEST(FaultsTest, AddressesAreWellFormed) {
  for (const char* address : {"", ":1", "localhost", "localhost:", "localhost:65536", "::1:80",
                              "localhost:8o", "a b:1", "unix:", "localhost:-1"}) {
    Options options = Good();
    options.rpc.listen = address;
    EXPECT_THAT(Faults(options), ElementsAre(HasSubstr("--listen is"))) << address;
  }
}

TEST(FaultsTest, ModelNamesAreUsableAndDifferent) {
  Options options;
  options.models = {{"a", "/x"},         {"a", "/y"}, {"", "/z"},
                    {"readiness", "/w"}, {"b", ""},   {"new\nline", "/v"}};
  const std::vector<std::string> faults = Faults(options);
  EXPECT_THAT(faults, SizeIs(5));
  EXPECT_THAT(faults, Contains(HasSubstr("a is given twice")));
  EXPECT_THAT(faults, Contains(HasSubstr("readiness belongs to health checks")));
  EXPECT_THAT(faults, Contains(HasSubstr("b has an empty folder")));
}

TEST(FaultsTest, CheckModeAsksForTheModelOnly) {
  Options options = Good();
  options.mode = Mode::kCheck;
  options.rpc.listen = "0.0.0.0:1";
  EXPECT_THAT(Faults(options), IsEmpty());
  options.models.clear();
  EXPECT_THAT(Faults(options), SizeIs(1));
}

}  // namespace
}  // namespace dyad
