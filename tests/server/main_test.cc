// The built dyad-server as a process: exit status, last line on stderr, and the end by SIGTERM.
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "dyad/v1/generation.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "tests/support/connected_channel.h"
#include "tests/support/eventually.h"
#include "tests/support/paths.h"
#include "tests/support/resident.h"

namespace dyad {
namespace {

using ::grpc::health::v1::Health;
using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A running dyad-server. Its stderr goes to a file of its own.
class Process {
 public:
  explicit Process(std::vector<std::string> arguments) {
    std::string name = std::filesystem::temp_directory_path() / "dyad_server_XXXXXX";
    close(mkstemp(name.data()));
    stderr_ = name;
    const std::string program = testing::BinDir() / "dyad-server";
    arguments.insert(arguments.begin(), program);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      if (std::freopen(stderr_.c_str(), "w", stderr) != nullptr)
        execv(program.c_str(), argv.data());
      _exit(127);
    }
  }
  ~Process() {
    if (!ended_) {
      kill(pid_, SIGKILL);
      Wait();
    }
    std::filesystem::remove(stderr_);
  }

  // Exit status; −1 if a signal ended it.
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    ended_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void Terminate() const { kill(pid_, SIGTERM); }

  int64_t ResidentBytes() const { return testing::ProcessResidentBytes(pid_); }

  std::string Stderr() const {
    std::stringstream text;
    text << std::ifstream(stderr_).rdbuf();
    return text.str();
  }
  std::string LastLine() const {
    const std::string text = Stderr();
    const std::vector<std::string> lines = absl::StrSplit(absl::StripSuffix(text, "\n"), '\n');
    return lines.back();
  }

  // Waits for the line that says where it serves; empty if the process ended instead.
  std::string Address() {
    while (true) {
      const std::string text = Stderr();
      const size_t serving = text.find(" serving ");
      const size_t port = text.find(" port=", serving);
      const size_t end = text.find(' ', port + 1);
      if (serving != std::string::npos && end != std::string::npos) {
        return absl::StrCat("127.0.0.1:", text.substr(port + 6, end - port - 6));
      }
      if (waitpid(pid_, nullptr, WNOHANG) != 0) {
        ended_ = true;
        return "";
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

 private:
  std::string stderr_;
  pid_t pid_ = 0;
  bool ended_ = false;
};

class DyadServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(testing::BinDir() / "dyad-server")) {
      GTEST_SKIP() << "dyad-server is not built";
    }
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

TEST_F(DyadServerTest, CheckAcceptsAGoodModel) {
  Process process({"--check", "--model=" + (testing::FixturesDir() / "opt-dyad-it4").string()});
  EXPECT_EQ(process.Wait(), 0) << process.Stderr();
}

TEST_F(DyadServerTest, LastLineSaysWhatIsWrongWithAModel) {
  const std::string folder = testing::FixturesDir() / "bad" / "wrong-shape";
  for (const bool check : {true, false}) {
    Process process({check ? "--check" : "--metrics=off", "--model=m=" + folder});
    EXPECT_EQ(process.Wait(), 1);
    EXPECT_THAT(process.LastLine(),
                AllOf(StartsWith("dyad-server: "), HasSubstr("model.safetensors"),
                      HasSubstr("layers.0.fc1.weight"), HasSubstr("[32, 16]")));
  }
}

TEST_F(DyadServerTest, LastLineSaysAllThatIsWrongWithTheFlags) {
  Process process({"--threads=-1", "--prefix_cache=maybe"});
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_THAT(process.LastLine(),
              AllOf(HasSubstr("--threads"), HasSubstr("--prefix_cache"), HasSubstr("--model")));
}

TEST_F(DyadServerTest, UnknownInstructionSetIsRefused) {
  Process process({"--cpu_isa=abacus", "--check", "--model=/nowhere"});
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_THAT(process.LastLine(), AllOf(HasSubstr("abacus"), HasSubstr("scalar")));
}

TEST_F(DyadServerTest, TakenPortIsRefused) {
  Process first(Serve({}));
  const std::string address = first.Address();
  ASSERT_NE(address, "") << first.Stderr();
  Process second(Serve({"--listen=" + address}));
  EXPECT_EQ(second.Wait(), 1);
  EXPECT_THAT(second.LastLine(), HasSubstr("dyad-server: cannot listen on " + address));
}

// More than all the rest of the server takes.
TEST_F(DyadServerTest, TheKvCacheBecomesResidentWithoutARequest) {
  constexpr int64_t kBytes = int64_t{448} << 20;
  Process process(Serve({absl::StrCat("--kv_cache_bytes=", kBytes)}));
  ASSERT_NE(process.Address(), "") << process.Stderr();
  EXPECT_TRUE(testing::Eventually([&] { return process.ResidentBytes() >= kBytes; }));
  process.Terminate();
  EXPECT_EQ(process.Wait(), 0) << process.Stderr();
}

TEST_F(DyadServerTest, RunningWorkEndsAfterSigtermAndNewWorkIsRefused) {
  Process process(Serve({}));
  const std::string address = process.Address();
  ASSERT_NE(address, "") << process.Stderr();
  const auto channel = testing::ConnectedChannel(address);
  for (const char* name : {"", "liveness", "readiness", "demo"}) {
    EXPECT_EQ(Readiness(channel, name), HealthCheckResponse::SERVING) << name;
  }
  const auto stub = v1::GenerationService::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = stub->GenerateStream(&context, LongRequest());
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
  Process process(Serve({"--drain_timeout=0s"}));
  const std::string address = process.Address();
  ASSERT_NE(address, "") << process.Stderr();
  const auto stub = v1::GenerationService::NewStub(testing::ConnectedChannel(address));
  grpc::ClientContext context;
  const auto stream = stub->GenerateStream(&context, LongRequest());
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
