// The built dyad-server as a process: exit status, last line on stderr, and the end by SIGTERM.
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "dyad/v1/generation.grpc.pb.h"
#include "dyad/v1/model.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/host.h"
#include "tests/server/program/server_process.h"
#include "tests/support/connected_channel.h"
#include "tests/support/eventually.h"
#include "tests/support/for_stream.h"
#include "tests/support/paths.h"
#include "tests/support/resident.h"

namespace dyad {
namespace {

using ::dyad::testing::ServerProcess;
using ::grpc::health::v1::Health;
using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class DyadServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(std::filesystem::exists(testing::BinDir() / "dyad-server")) << "build it first";
  }

  static std::vector<std::string> Serve(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--model=demo=" + testing::DemoModelDir().string(),
                                          "--listen=127.0.0.1:0", "--metrics=127.0.0.1:0",
                                          "--kv_cache_bytes=33554432"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  static int Readiness(const std::shared_ptr<grpc::Channel>& channel, const std::string& name) {
    grpc::ClientContext context;
    HealthCheckRequest request;
    request.set_service(name);
    HealthCheckResponse response;
    const grpc::Status status = Health::NewStub(channel)->Check(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.status();
  }

  static v1::GenerateRequest LongRequest() {
    v1::GenerateRequest request;
    request.set_text("The old man");
    request.set_max_new_tokens(450);
    request.set_ignore_eos(true);
    return request;
  }
};

// A copy of a model folder, removed at the end.
class Copy {
 public:
  explicit Copy(const std::filesystem::path& folder) {
    std::string name = std::filesystem::temp_directory_path() / "dyad_model_XXXXXX";
    path_ = mkdtemp(name.data());
    std::filesystem::copy(folder, path_);
  }
  ~Copy() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST_F(DyadServerTest, CheckNamesAGoodModelAndItsTokenizer) {
  ServerProcess ids({"--check", "--model=" + (testing::FixturesDir() / "opt-dyad-it4").string()});
  EXPECT_EQ(ids.Wait(), 0) << ids.Stderr();
  EXPECT_THAT(ids.LastLine(), AllOf(StartsWith("opt-dyad-it4: opt, "),
                                    HasSubstr(", no tokenizer: token ids only, digest ")));
  ServerProcess text({"--check", "--model=demo=" + testing::DemoModelDir().string()});
  EXPECT_EQ(text.Wait(), 0) << text.Stderr();
  EXPECT_THAT(text.LastLine(), AllOf(StartsWith("demo: opt, "), HasSubstr(", with tokenizer, ")));
}

TEST_F(DyadServerTest, ATokenizerWithIdsBeyondTheModelIsWarnedOf) {
  const Copy model(testing::FixturesDir() / "opt-dense");
  std::filesystem::copy(testing::DemoModelDir() / "tokenizer.json",
                        model.path() / "tokenizer.json");
  ServerProcess process({"--check", "--model=m=" + model.path().string()});
  EXPECT_EQ(process.Wait(), 0) << process.Stderr();
  EXPECT_THAT(process.Stderr(), AllOf(HasSubstr("tokenizer has ids beyond the model"),
                                      HasSubstr("name=m"), HasSubstr("tokenizer_ids=8192")));

  // Nor does such an id begin a text or end a generation.
  nlohmann::json config = nlohmann::json::parse(std::ifstream(model.path() / "config.json"));
  config["bos_token_id"] = config["eos_token_id"] = nullptr;
  std::ofstream(model.path() / "config.json") << config;
  const nlohmann::json tokenizer =
      nlohmann::json::parse(std::ifstream(model.path() / "tokenizer.json"));
  for (const auto& [entry, id] : tokenizer["model"]["vocab"].items()) {
    if (id != 8000) continue;
    std::ofstream(model.path() / "tokenizer_config.json")
        << nlohmann::json{{"bos_token", entry}, {"eos_token", entry}};
  }
  ServerProcess server(Serve({"--model=m=" + model.path().string()}));
  const std::string address = server.Address();
  ASSERT_NE(address, "") << server.Stderr();
  grpc::ClientContext context;
  v1::GetModelResponse response;
  const auto stub = v1::ModelService::NewStub(testing::ConnectedChannel(address));
  ASSERT_TRUE(stub->GetModel(&context, v1::GetModelRequest(), &response).ok());
  const v1::Model& answer = response.model();
  EXPECT_TRUE(answer.has_tokenizer());
  EXPECT_EQ(answer.eos_ids_size(), 0);
  EXPECT_FALSE(answer.has_prefix_id());
}

TEST_F(DyadServerTest, NumbersOf8BitsAreWarnedOfThatRuinModelsWithOutliers) {
  constexpr const char* kActivations = "activations of 8 bits move scores, and ruin";
  constexpr const char* kValues = "keys and values of 8 bits move scores, and ruin";
  const auto logged = [](const std::vector<std::string>& flags) {
    std::vector<std::string> arguments = {
        "--check", "--model=m=" + (testing::FixturesDir() / "opt-dyad-it4").string(),
        "--weight_dtype=int8"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    ServerProcess process(arguments);
    EXPECT_EQ(process.Wait(), 0) << process.Stderr();
    return process.Stderr();
  };
  EXPECT_THAT(logged({"--arithmetic=integer16", "--kv_dtype=bfloat16"}),
              Not(HasSubstr("outliers")));
  EXPECT_THAT(logged({"--arithmetic=integer8"}),
              AllOf(HasSubstr(kActivations), HasSubstr("name=m"), Not(HasSubstr(kValues))));
  EXPECT_THAT(logged({"--kv_dtype=int8"}),
              AllOf(HasSubstr(kValues), HasSubstr("name=m"), Not(HasSubstr(kActivations))));
}

// Every weight is finite, and what they give together is not: a start would refuse it.
TEST_F(DyadServerTest, CheckTakesTheWarmUpStep) {
  const Copy model(testing::FixturesDir() / "bad_base/safetensors");
  std::fstream file(model.path() / "model.safetensors",
                    std::ios::in | std::ios::out | std::ios::binary);
  uint64_t header_bytes = 0;
  file.read(reinterpret_cast<char*>(&header_bytes), sizeof header_bytes);
  std::string header(header_bytes, '\0');
  file.read(header.data(), static_cast<std::streamsize>(header_bytes));
  const nlohmann::json tensors = nlohmann::json::parse(header);
  for (const auto& [name, tensor] : tensors.items()) {
    if (name.find("final_layer_norm.weight") == std::string::npos) continue;
    const size_t begin = tensor["data_offsets"][0];
    const size_t end = tensor["data_offsets"][1];
    const std::vector<float> huge((end - begin) / sizeof(float), 3e38f);
    file.seekp(static_cast<std::streamoff>(sizeof header_bytes + header_bytes + begin));
    file.write(reinterpret_cast<const char*>(huge.data()),
               static_cast<std::streamsize>(end - begin));
  }
  file.close();
  ServerProcess process({"--check", "--model=m=" + model.path().string()});
  EXPECT_EQ(process.Wait(), 1) << process.Stderr();
  EXPECT_THAT(process.LastLine(),
              AllOf(StartsWith("dyad-server: model m: "), HasSubstr("warm-up step")));
}

TEST_F(DyadServerTest, AKvCacheThatNoMemoryIsLeftForIsRefused) {
  for (const int64_t bytes : {2 * ReadHost().memory_bytes, int64_t{1'000'000'000'000'000}}) {
    for (const char* mode : {"--check", "--metrics=off"}) {
      ServerProcess process(Serve({mode, absl::StrCat("--kv_cache_bytes=", bytes)}));
      EXPECT_EQ(process.Wait(), 1);
      EXPECT_THAT(process.LastLine(),
                  StartsWith(absl::StrCat("dyad-server: --kv_cache_bytes is ", bytes)));
    }
  }
}

// What is available changes by the moment, so this may take a second try.
TEST_F(DyadServerTest, AKvCacheThatTakesMostOfTheMemoryIsWarnedOf) {
  EXPECT_TRUE(testing::Eventually([] {
    const int64_t bytes = ReadHost().memory_bytes / 100 * 94;
    ServerProcess process(Serve({"--check", absl::StrCat("--kv_cache_bytes=", bytes)}));
    return process.Wait() == 0 &&
           process.Stderr().find("kv cache and models leave little memory") != std::string::npos;
  }));
}

// Frameworks beside ours have weights of their own in the folder.
TEST_F(DyadServerTest, FilesThatAreNotLoadedTakeNothingFromTheKvCache) {
  const Copy model(testing::DemoModelDir());
  std::ofstream(model.path() / "tf_model.h5").close();
  std::filesystem::resize_file(model.path() / "tf_model.h5", uintmax_t{200} << 30);  // sparse
  ServerProcess process({"--model=m=" + model.path().string(), "--listen=127.0.0.1:0",
                         "--metrics=off", "--kv_cache_fraction=0.01"});
  ASSERT_NE(process.Address(), "") << process.Stderr();
  const std::string text = process.Stderr();
  const std::string key = "kv_cache_bytes=";
  ASSERT_NE(text.find(key), std::string::npos) << text;
  EXPECT_GT(std::stoll(text.substr(text.find(key) + key.size())), int64_t{16} << 20) << text;
}

TEST_F(DyadServerTest, LastLineSaysWhatIsWrongWithAModel) {
  const std::string folder = testing::FixturesDir() / "bad" / "wrong-shape";
  for (const bool check : {true, false}) {
    ServerProcess process(
        {check ? "--check" : "--metrics=off", "--listen=127.0.0.1:0", "--model=m=" + folder});
    EXPECT_EQ(process.Wait(), 1);
    EXPECT_THAT(process.LastLine(),
                AllOf(StartsWith("dyad-server: "), HasSubstr("model.safetensors"),
                      HasSubstr("layers.0.fc1.weight"), HasSubstr("[32, 16]")));
  }
}

// What people give in place of a model's folder.
TEST_F(DyadServerTest, LastLineSaysWhatToDoAboutAModel) {
  const Copy model(testing::FixturesDir() / "bad_base/safetensors");
  const std::string folder = model.path();
  const std::filesystem::path weights = model.path() / "model.safetensors";
  std::filesystem::create_directory(model.path() / "my model,v1");
  std::filesystem::copy(testing::FixturesDir() / "bad_base/safetensors",
                        model.path() / "my model,v1");
  const auto refusal = [](const std::string& argument) {
    ServerProcess process({"--check", "--model=" + argument});
    EXPECT_EQ(process.Wait(), 1) << argument;
    return process.LastLine();
  };
  EXPECT_THAT(refusal("some-org/some-model"), HasSubstr("hf download some-org/some-model"));
  EXPECT_THAT(refusal(weights), HasSubstr("is a file; expected the folder of it"));
  EXPECT_THAT(refusal(folder + "/my model"), HasSubstr("--model=NAME=" + folder + "/my model"));
  EXPECT_THAT(refusal("m=" + folder + "/my model,v1"), HasSubstr("NAME=FOLDER"));
  std::ofstream(weights) << "version https://git-lfs.github.com/spec/v1\nsize 1\n";
  EXPECT_THAT(refusal("m=" + folder),
              AllOf(StartsWith("dyad-server: model m: 'model.safetensors': is a Git LFS pointer"),
                    HasSubstr("git lfs pull")));
  std::ofstream(weights) << "<!DOCTYPE html>\n";
  EXPECT_THAT(refusal("m=" + folder), HasSubstr("'model.safetensors': is a web page"));
  std::ofstream(model.path() / "config.json") << "{\"model_type\": \"opt\",\n}";
  EXPECT_THAT(refusal("m=" + folder), HasSubstr("config.json: is not JSON at line 2, column 1"));
}

TEST_F(DyadServerTest, LastLineSaysAllThatIsWrongWithTheFlags) {
  ServerProcess process({"--threads=-1", "--prefix_cache=maybe"});
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_THAT(process.LastLine(),
              AllOf(HasSubstr("--threads"), HasSubstr("--prefix_cache"), HasSubstr("--model")));
}

TEST_F(DyadServerTest, UnknownInstructionSetIsRefused) {
  ServerProcess process({"--cpu_isa=abacus", "--check", "--model=/nowhere"});
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_THAT(process.LastLine(), AllOf(HasSubstr("abacus"), HasSubstr("scalar")));
}

TEST_F(DyadServerTest, TakenPortIsRefused) {
  ServerProcess first(Serve({}));
  const std::string address = first.Address();
  ASSERT_NE(address, "") << first.Stderr();
  ServerProcess second(Serve({"--listen=" + address}));
  EXPECT_EQ(second.Wait(), 1);
  EXPECT_THAT(second.LastLine(),
              AllOf(StartsWith("dyad-server: cannot listen on " + address), HasSubstr("in use")));
  EXPECT_THAT(second.Stderr(), Not(HasSubstr(" model name="))) << "models were loaded before";
}

// Address space for some threads, not for 200.
TEST_F(DyadServerTest, ThreadsThatCannotBeStartedEndTheStartWithALine) {
  ServerProcess process(Serve({"--threads=200"}), int64_t{600} << 20);
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_THAT(process.LastLine(),
              AllOf(StartsWith("dyad-server: "), HasSubstr("Resource temporarily unavailable")));
}

// However little memory there is: the program serves, or ends with a line that says so.
TEST_F(DyadServerTest, MemoryThatRunsOutWhileModelsLoadEndsTheStartWithALine) {
  int of_the_model = 0;
  for (int64_t mebibytes = 56; true; mebibytes += 4) {
    ASSERT_LE(mebibytes, 2048) << "it never starts";
    ServerProcess process(Serve({"--check", "--threads=2"}), mebibytes << 20);
    const int status = process.Wait();
    if (status == 0) break;
    ASSERT_EQ(status, 1) << mebibytes << " MiB: " << process.Stderr();
    const std::string line = process.LastLine();
    EXPECT_THAT(line, StartsWith("dyad-server: ")) << mebibytes << " MiB";
    EXPECT_THAT(line, AnyOf(HasSubstr("memory"), HasSubstr("Resource temporarily unavailable")))
        << mebibytes << " MiB";
    of_the_model += absl::StrContains(line, "model demo: ") ? 1 : 0;
  }
  EXPECT_GT(of_the_model, 0) << "no limit was reached within LoadModel";
}

TEST_F(DyadServerTest, FilesOfTlsAreLookedAtBeforeModels) {
  ServerProcess process(Serve({"--tls_cert=/nowhere/c", "--tls_key=/nowhere/k"}));
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_THAT(process.LastLine(), HasSubstr("--tls_cert: cannot read /nowhere/c"));
  EXPECT_THAT(process.Stderr(), Not(HasSubstr(" model name=")));
}

TEST_F(DyadServerTest, OutputThatCannotBeWrittenIsAnError) {
  for (const char* flag : {"--help", "--version", "--check"}) {
    const std::string model = "--model=" + (testing::FixturesDir() / "opt-dyad-it4").string();
    const std::string command = absl::StrCat((testing::BinDir() / "dyad-server").string(), " ",
                                             flag, " ", model, " 2>/dev/null");
    EXPECT_EQ(std::system((command + " >/dev/full").c_str()), 1 << 8) << flag;
    EXPECT_EQ(std::system((command + " >/dev/null").c_str()), 0) << flag;
  }
}

// More than all the rest of the server takes.
TEST_F(DyadServerTest, TheKvCacheBecomesResidentWithoutARequest) {
  constexpr int64_t kBytes = int64_t{448} << 20;
  ServerProcess process(Serve({absl::StrCat("--kv_cache_bytes=", kBytes)}));
  ASSERT_NE(process.Address(), "") << process.Stderr();
  EXPECT_TRUE(testing::Eventually([&] { return process.ResidentBytes() >= kBytes; }));
  process.Terminate();
  EXPECT_EQ(process.Wait(), 0) << process.Stderr();
}

TEST_F(DyadServerTest, RunningWorkEndsAfterSigtermAndNewWorkIsRefused) {
  ServerProcess process(Serve({}));
  const std::string address = process.Address();
  ASSERT_NE(address, "") << process.Stderr();
  const auto channel = testing::ConnectedChannel(address);
  for (const char* name : {"", "liveness", "readiness", "demo"}) {
    EXPECT_EQ(Readiness(channel, name), HealthCheckResponse::SERVING) << name;
  }
  const auto stub = v1::GenerationService::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = stub->GenerateStream(&context, testing::ForStream(LongRequest()));
  v1::GenerateStreamResponse piece;
  ASSERT_TRUE(stream->Read(&piece));
  int tokens = piece.choice().ids_size();

  grpc::ClientContext watch_context;
  HealthCheckRequest readiness;
  readiness.set_service("readiness");
  const auto health = Health::NewStub(channel);
  const auto watch = health->Watch(&watch_context, readiness);
  HealthCheckResponse state;
  ASSERT_TRUE(watch->Read(&state));
  process.Terminate();
  ASSERT_TRUE(watch->Read(&state));
  EXPECT_EQ(state.status(), HealthCheckResponse::NOT_SERVING);

  while (stream->Read(&piece)) tokens += piece.choice().ids_size();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(tokens, 450);
  EXPECT_EQ(process.Wait(), 0) << process.Stderr();
  EXPECT_EQ(process.Stderr().find("error"), std::string::npos) << process.Stderr();

  grpc::ClientContext late;
  v1::GenerateResponse response;
  EXPECT_EQ(stub->Generate(&late, LongRequest(), &response).error_code(), grpc::UNAVAILABLE);
}

TEST_F(DyadServerTest, WorkThatOutlastsTheDrainEndsUnavailable) {
  ServerProcess process(Serve({"--drain_timeout=0s"}));
  const std::string address = process.Address();
  ASSERT_NE(address, "") << process.Stderr();
  const auto stub = v1::GenerationService::NewStub(testing::ConnectedChannel(address));
  grpc::ClientContext context;
  const auto stream = stub->GenerateStream(&context, testing::ForStream(LongRequest()));
  v1::GenerateStreamResponse piece;
  ASSERT_TRUE(stream->Read(&piece));
  process.Terminate();
  while (stream->Read(&piece)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::UNAVAILABLE);
  EXPECT_EQ(process.Wait(), 0) << process.Stderr();
}

}  // namespace
}  // namespace dyad
