// The command line, as scripts write it.
#include "server/flags.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

absl::StatusOr<Options> Parse(std::vector<std::string> flags) {
  flags.insert(flags.begin(), "dyad-server");
  return ParseArguments(flags);
}

// What is wrong with these flags and a model.
std::string Fault(std::vector<std::string> flags) {
  flags.push_back("--model=a=/x");
  return std::string(Parse(std::move(flags)).status().message());
}

TEST(FlagsTest, WithoutFlagsOptionsAreTheirDefaults) {
  const absl::StatusOr<Options> options = Parse({"--model=demo=/models/demo"});
  ASSERT_OK(options);
  EXPECT_EQ(options->mode, Mode::kServe);
  EXPECT_EQ(options->rpc.listen, "127.0.0.1:50051");
  EXPECT_EQ(options->metrics, "127.0.0.1:9464");
  EXPECT_EQ(options->weight_dtype, WeightDtype::kAsStored);
  EXPECT_EQ(options->kv_dtype, kernels::KvType::kFloat32);
  EXPECT_EQ(options->engine.prefix_cache, engine::PrefixCache::kOn);
  EXPECT_EQ(options->engine.max_batch_tokens, engine::EngineOptions().max_batch_tokens);
  EXPECT_EQ(options->rpc.reflection, Reflection::kOn);
  EXPECT_EQ(options->log_prompts, PromptLogging::kOff);
}

TEST(FlagsTest, FlagsThatScriptsRelyOn) {
  const absl::StatusOr<Options> options =
      Parse({"--listen=127.0.0.1:0", "--metrics=off", "--model=a=/x,b=/y",
             "--weight_dtype=bfloat16", "--threads=2", "--max_batch_tokens=64",
             "--kv_cache_bytes=1048576", "--prefix_cache=off", "--check"});
  ASSERT_OK(options);
  EXPECT_EQ(options->rpc.listen, "127.0.0.1:0");
  EXPECT_EQ(options->metrics, "");
  ASSERT_EQ(options->models.size(), 2u);
  EXPECT_EQ(options->models[1].name, "b");
  EXPECT_EQ(options->models[1].folder, "/y");
  EXPECT_EQ(options->weight_dtype, WeightDtype::kBfloat16);
  EXPECT_EQ(options->threads, 2);
  EXPECT_EQ(options->engine.max_batch_tokens, 64);
  EXPECT_EQ(options->kv_cache_bytes, 1 << 20);
  EXPECT_EQ(options->engine.prefix_cache, engine::PrefixCache::kOff);
  EXPECT_EQ(options->mode, Mode::kCheck);
}

// The manifest's own flags, and the settings behind what deploy/README.md promises.
TEST(FlagsTest, TheManifestKeepsItsPromises) {
  std::ifstream file(std::filesystem::path(DYAD_SOURCE_DIR) /
                     "deploy/kubernetes/base/deployment.yaml");
  std::vector<std::string> flags;
  std::map<std::string, std::string> keys;  // the last of each name
  for (std::string line; std::getline(file, line);) {
    const std::string text(absl::StripAsciiWhitespace(line));
    if (absl::StartsWith(text, "- --")) flags.push_back(text.substr(2));
    const std::vector<std::string> pair = absl::StrSplit(text, absl::MaxSplits(": ", 1));
    if (pair.size() == 2) keys[pair[0]] = pair[1];
  }
  const absl::StatusOr<Options> options = Parse(flags);
  ASSERT_OK(options);
  // Pods that are added get calls; streams of an hour are not cut.
  EXPECT_LE(options->rpc.max_connection_age, absl::Minutes(5));
  EXPECT_GE(options->rpc.max_connection_age_grace, absl::Hours(1));
  // Ends within the grace period: preStop sleeps 10 s.
  EXPECT_EQ(keys["command"], "[\"sleep\", \"10\"]");
  EXPECT_GT(absl::Seconds(std::stoi(keys["terminationGracePeriodSeconds"])),
            absl::Seconds(10 + 10) + options->drain_delay + options->drain_timeout);
  EXPECT_EQ(keys["cpu"], absl::StrCat("\"", options->threads, "\""));
  // The limit holds the cache and the process, and weights of 512 MiB.
  EXPECT_EQ(keys["memory"], "1536Mi");
  EXPECT_LE(options->kv_cache_bytes + ((512 + 300) << 20), int64_t{1536} << 20);
  EXPECT_EQ(options->models[0].name, "demo") << "the startup probe's name";
}

TEST(FlagsTest, WeightsHaveEachTypeByName) {
  for (const auto& [word, dtype] : {std::pair{"stored", WeightDtype::kAsStored},
                                    {"float32", WeightDtype::kFloat32},
                                    {"float16", WeightDtype::kFloat16},
                                    {"bfloat16", WeightDtype::kBfloat16},
                                    {"int8", WeightDtype::kInt8}}) {
    const absl::StatusOr<Options> options =
        Parse({"--model=a=/x", std::string("--weight_dtype=") + word});
    ASSERT_OK(options);
    EXPECT_EQ(options->weight_dtype, dtype) << word;
  }
}

TEST(FlagsTest, ArithmeticHasEachName) {
  using kernels::Arithmetic;
  for (const auto& [word, arithmetic] :
       {std::pair{"auto", std::optional<Arithmetic>()},
        std::pair{"exact", std::optional(Arithmetic::kExact)},
        std::pair{"accurate", std::optional(Arithmetic::kAccurate)},
        std::pair{"fast", std::optional(Arithmetic::kFast)},
        std::pair{"integer24", std::optional(Arithmetic::kInteger24)},
        std::pair{"integer16", std::optional(Arithmetic::kInteger16)},
        std::pair{"integer8", std::optional(Arithmetic::kInteger8)},
        std::pair{"bfloat16", std::optional(Arithmetic::kBfloat16)}}) {
    const bool on_cpu = arithmetic.has_value() && IsOfTheCpu(*arithmetic);
    const absl::StatusOr<Options> options = Parse(
        {"--model=a=/x", on_cpu ? "--device=cpu" : "--device=cuda",
         arithmetic == Arithmetic::kBfloat16 ? "--weight_dtype=bfloat16" : "--weight_dtype=int8",
         std::string("--arithmetic=") + word});
    ASSERT_OK(options);
    EXPECT_EQ(options->arithmetic, arithmetic) << word;
  }
  EXPECT_THAT(
      Fault({"--arithmetic=float"}),
      HasSubstr(
          "must be one of auto, exact, accurate, fast, integer24, integer16, integer8, bfloat16"));
}

TEST(FlagsTest, TheCacheHasEachTypeByName) {
  for (const auto& [word, type] : {std::pair{"float32", kernels::KvType::kFloat32},
                                   {"bfloat16", kernels::KvType::kBfloat16},
                                   {"int8", kernels::KvType::kInt8}}) {
    const absl::StatusOr<Options> options =
        Parse({"--model=a=/x", std::string("--kv_dtype=") + word});
    ASSERT_OK(options);
    EXPECT_EQ(options->kv_dtype, type) << word;
  }
  EXPECT_THAT(
      Parse({"--model=a=/x", "--kv_dtype=float16"}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("--kv_dtype is \"float16\"; must be one of float32, bfloat16, int8")));
}

TEST(FlagsTest, TheRestReachesItsOption) {
  const absl::StatusOr<Options> options = Parse({"--model=a=/x",
                                                 "--listen=0.0.0.0:1",
                                                 "--insecure",
                                                 "--reflection=off",
                                                 "--cpu_isa=scalar",
                                                 "--kv_cache_fraction=0.25",
                                                 "--max_running_sequences=3",
                                                 "--max_queued_requests=4",
                                                 "--max_queued_tokens=5",
                                                 "--max_prompt_bytes=6",
                                                 "--max_choices=7",
                                                 "--max_score_items=8",
                                                 "--max_stream_pairs=9",
                                                 "--max_receive_message_bytes=2000",
                                                 "--max_send_message_bytes=3000",
                                                 "--max_unread_bytes=70000",
                                                 "--max_concurrent_streams=10",
                                                 "--keepalive_time=1m",
                                                 "--keepalive_timeout=2s",
                                                 "--min_client_ping_interval=3s",
                                                 "--max_connection_age=1h",
                                                 "--max_connection_age_grace=4s",
                                                 "--max_connection_idle=8s",
                                                 "--max_connections=11",
                                                 "--drain_delay=5s",
                                                 "--drain_timeout=6s",
                                                 "--stall_timeout=7s",
                                                 "--log_level=warning",
                                                 "--log_format=json",
                                                 "--log_prompts",
                                                 "--tls_cert=c",
                                                 "--tls_key=k",
                                                 "--tls_ca=a",
                                                 "--api_key_file=f",
                                                 "--http=0.0.0.0:2",
                                                 "--kserve=on",
                                                 "--http_threads=12",
                                                 "--http_max_connections=13",
                                                 "--http_max_body_bytes=4000",
                                                 "--http_max_prompts=14",
                                                 "--http_idle_timeout=9s",
                                                 "--http_read_timeout=10s",
                                                 "--http_write_timeout=11s",
                                                 "--http_allowed_hosts=h",
                                                 "--http_cors_origins=o"});
  ASSERT_OK(options);
  EXPECT_EQ(options->plaintext, Plaintext::kAnywhere);
  EXPECT_EQ(options->rpc.reflection, Reflection::kOff);
  EXPECT_EQ(options->cpu_isa, "scalar");
  EXPECT_EQ(options->kv_cache_fraction, 0.25);
  EXPECT_EQ(options->engine.max_running_sequences, 3);
  EXPECT_EQ(options->engine.max_queued_requests, 4);
  EXPECT_EQ(options->engine.max_queued_tokens, 5);
  EXPECT_EQ(options->limits.max_prompt_bytes, 6);
  EXPECT_EQ(options->limits.max_choices, 7);
  EXPECT_EQ(options->limits.max_score_items, 8);
  EXPECT_EQ(options->limits.max_stream_pairs, 9);
  EXPECT_EQ(options->limits.max_receive_message_bytes, 2000);
  EXPECT_EQ(options->limits.max_send_message_bytes, 3000);
  EXPECT_EQ(options->limits.max_unread_bytes, 70000);
  EXPECT_EQ(options->rpc.max_concurrent_streams, 10);
  EXPECT_EQ(options->rpc.keepalive_time, absl::Minutes(1));
  EXPECT_EQ(options->rpc.keepalive_timeout, absl::Seconds(2));
  EXPECT_EQ(options->rpc.min_client_ping_interval, absl::Seconds(3));
  EXPECT_EQ(options->rpc.max_connection_age, absl::Hours(1));
  EXPECT_EQ(options->rpc.max_connection_age_grace, absl::Seconds(4));
  EXPECT_EQ(options->rpc.max_connection_idle, absl::Seconds(8));
  EXPECT_EQ(options->rpc.max_connections, 11);
  EXPECT_EQ(options->drain_delay, absl::Seconds(5));
  EXPECT_EQ(options->drain_timeout, absl::Seconds(6));
  EXPECT_EQ(options->stall_timeout, absl::Seconds(7));
  EXPECT_EQ(options->log_level, LogLevel::kWarning);
  EXPECT_EQ(options->log_format, LogFormat::kJson);
  EXPECT_EQ(options->log_prompts, PromptLogging::kOn);
  EXPECT_EQ(options->rpc.tls.certificate, "c");
  EXPECT_EQ(options->rpc.tls.key, "k");
  EXPECT_EQ(options->rpc.tls.client_ca, "a");
  EXPECT_EQ(options->api_key_file, "f");
  EXPECT_EQ(options->http, "0.0.0.0:2");
  EXPECT_EQ(options->kserve, Kserve::kOn);
  EXPECT_EQ(options->http_server.threads, 12);
  EXPECT_EQ(options->http_server.max_connections, 13);
  EXPECT_EQ(options->http_server.max_body_bytes, 4000);
  EXPECT_EQ(options->http_max_prompts, 14);
  EXPECT_EQ(options->http_server.idle_timeout, absl::Seconds(9));
  EXPECT_EQ(options->http_server.read_timeout, absl::Seconds(10));
  EXPECT_EQ(options->http_server.write_timeout, absl::Seconds(11));
  EXPECT_EQ(options->http_allowed_hosts, "h");
  EXPECT_EQ(options->http_cors_origins, "o");
}

TEST(FlagsTest, FaultsOfWordsRangesAndArgumentsComeTogether) {
  EXPECT_THAT(
      Parse({"--prefix_cache=maybe", "--weight_dtype=int4", "--threads=1000", "stray"}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("--prefix_cache is \"maybe\"; must be one of on, off"),
                     HasSubstr("--weight_dtype is \"int4\"; must be one of stored, float32"),
                     HasSubstr("--threads is 1000"), HasSubstr("\"stray\" is no flag"),
                     HasSubstr("--model is empty"))));
}

TEST(FlagsTest, WhatIsWrongSaysWhatIsRight) {
  for (const auto& [flag, fault] : {
           std::pair{"--models=x", "--models is no flag; the nearest is --model"},
           {"--treads=2", "--treads is no flag; the nearest is --threads"},
           {"--drain-timeout=2s", "--drain-timeout is no flag; the nearest is --drain_timeout"},
           {"--port=1234", "--port is no flag; the nearest is --listen"},
           {"--host=0.0.0.0", "--host is no flag; the nearest is --listen"},
           {"--flagfile=/dev/zero", "--flagfile is no flag; --help lists them"},
           {"--drain_timeout=35", "--drain_timeout is \"35\"; must have a unit, such as 35s"},
           {"--drain_timeout=soon", "--drain_timeout is \"soon\"; must have a unit, such as 35s"},
           {"--threads=two", "--threads is \"two\"; must be a whole number"},
           {"--threads=", "--threads is \"\"; must be a whole number"},
           {"--threads=99999999999",
            "--threads is \"99999999999\"; must be a whole number of at "
            "most 2147483647"},
           {"--kv_cache_fraction=half", "--kv_cache_fraction is \"half\"; must be a number"},
           {"--insecure=maybe", "--insecure is \"maybe\"; must be true or false"},
           {"--log_format=xml", "--log_format is \"xml\"; must be one of text, json"},
           {"--max_connections=0", "--max_connections is 0; must be 1 to 1048576"},
           {"--max_connection_idle=1ms", "--max_connection_idle is 1ms; must be 1s to inf"},
           {"-threads=2", "\"-threads=2\" is no flag"},
           {"--", "\"--\" is no flag"},
       }) {
    EXPECT_THAT(Fault({flag}), HasSubstr(fault)) << flag;
  }
  EXPECT_THAT(Parse({"--model"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--model needs a value")));
}

TEST(FlagsTest, ValuesStandBehindAnEqualSignOrABlankAndTheLastOneCounts) {
  const absl::StatusOr<Options> options =
      Parse({"--threads", "3", "--model", "a=/x", "--max_choices=4", "--max_choices=5",
             "--insecure=false", "--log_prompts=true", "--cpu_isa="});
  ASSERT_OK(options);
  EXPECT_EQ(options->threads, 3);
  EXPECT_EQ(options->models.at(0).name, "a");
  EXPECT_EQ(options->limits.max_choices, 5);
  EXPECT_EQ(options->plaintext, Plaintext::kLoopback);
  EXPECT_EQ(options->log_prompts, PromptLogging::kOn);
  EXPECT_EQ(options->cpu_isa, "");
}

TEST(FlagsTest, HelpAndVersionNeedNothingElse) {
  for (const char* flag : {"-h", "--help"}) {
    const absl::StatusOr<Options> options = Parse({flag, "--no_such_flag"});
    ASSERT_OK(options);
    EXPECT_EQ(options->mode, Mode::kHelp);
  }
  ASSERT_OK(Parse({"--version"}));
  EXPECT_EQ(Parse({"--version"})->mode, Mode::kVersion);
  EXPECT_THAT(HelpText(),
              AllOf(HasSubstr("\nConnections\n  --listen=127.0.0.1:50051 "),
                    HasSubstr("\n  --drain_timeout=30s "), ::testing::Not(HasSubstr(".cc"))));
}

TEST(ParseModelsTest, FolderAloneIsNamedByItsLastComponent) {
  const auto only = [](const std::string& text) {
    const std::vector<ModelSource> models = ParseModels(text);
    EXPECT_EQ(models.size(), 1u);
    return models.at(0);
  };
  EXPECT_EQ(only("/models/opt-dyad").name, "opt-dyad");
  EXPECT_EQ(only("/models/opt-dyad/").name, "opt-dyad");
  EXPECT_EQ(only("/models/opt-dyad/").folder, "/models/opt-dyad/");
  EXPECT_EQ(only("models/opt/..").name, "models");
  EXPECT_EQ(only(".").name, std::filesystem::current_path().filename());
}

TEST(ParseModelsTest, FirstEqualSignEndsTheName) {
  const std::vector<ModelSource> models = ParseModels("a=/x=y,b=/z");
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].name, "a");
  EXPECT_EQ(models[0].folder, "/x=y");
  EXPECT_EQ(models[1].name, "b");
}

TEST(ParseModelsTest, AFolderThatWasRemovedIsNoReasonToEnd) {
  EXPECT_EXIT(
      {
        const std::filesystem::path folder =
            std::filesystem::temp_directory_path() / absl::StrCat("removed_", getpid());
        std::filesystem::create_directory(folder);
        std::filesystem::current_path(folder);
        std::filesystem::remove(folder);
        _exit(ParseModels("x").at(0).name == "x" ? 7 : 1);
      },
      ::testing::ExitedWithCode(7), "");
}

TEST(ParseModelsTest, NothingIsNoModel) { EXPECT_TRUE(ParseModels("").empty()); }

}  // namespace
}  // namespace dyad
