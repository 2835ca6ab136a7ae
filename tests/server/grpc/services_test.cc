// The five services together: registered, draining, and mixed load at once.
#include "server/grpc/services.h"

#include <filesystem>
#include <fstream>
#include <random>

#include "tests/server/grpc/service_fixture.h"
#include "tests/support/for_stream.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;

TEST(ServicesTest, DrainingShowsInTheModelsState) {
  Stack stack;
  const auto state = [&] {
    v1::GetModelRequest request;
    request.set_model("ids");
    v1::GetModelResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(stack.model_stub->GetModel(&context, request, &response).ok());
    return response.model().state();
  };
  EXPECT_EQ(state(), v1::MODEL_STATE_READY);
  stack.state.draining = true;
  EXPECT_EQ(state(), v1::MODEL_STATE_DRAINING);
}

TEST(ServicesTest, EveryMethodAsksForAKeyWhereThereAreSome) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/grpc_keys_", getpid());
  std::ofstream(path) << "0123456789abcdef\n";
  const auto keys = ApiKeys::Load(path, nullptr);
  ASSERT_TRUE(keys.ok());
  Stack stack;
  stack.state.keys = keys->get();
  for (const char* method : kMethods) {
    EXPECT_EQ(CallRaw(stack, method, {""}).status.error_code(), grpc::UNAUTHENTICATED) << method;
  }
  for (const auto& [value, code] :
       {std::pair{"Bearer 0123456789abcdef", grpc::OK},
        {"Bearer 0123456789abcde", grpc::UNAUTHENTICATED}}) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", value);
    v1::ListModelsResponse response;
    EXPECT_EQ(stack.model_stub->ListModels(&context, {}, &response).error_code(), code) << value;
  }
  std::filesystem::remove(path);
}

// Its client may keep a stream open for hours: the end must not wait for that.
TEST(ServicesTest, AnIdleStreamEndsWithTheServer) {
  for (const bool opened_before : {true, false}) {
    Stack stack;
    const auto shut_down = [&] {
      stack.state.draining = true;
      stack.state.open_streams.Shutdown();
    };
    if (!opened_before) shut_down();
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    const auto stream = stack.scoring->ScoreMinimalPairs(&context);
    v1::ScoreMinimalPairsResponse message;
    if (opened_before) {
      v1::ScoreMinimalPairsRequest request;
      request.set_model("bytes");
      request.set_convention(v1::CONVENTION_MINICONS_SUM);
      v1::MinimalPair& pair = *request.add_pairs();
      pair.set_good("ab");
      pair.set_bad("cd");
      stream->Write(request);
      int results = 0;
      while (results == 0 && stream->Read(&message)) results = message.results_size();
      EXPECT_EQ(results, 1);
      shut_down();
    }
    EXPECT_FALSE(stream->Read(&message));
    const grpc::Status status = stream->Finish();
    EXPECT_EQ(status.error_code(), grpc::UNAVAILABLE);
    EXPECT_EQ(status.error_message(), "the server is shutting down");
  }
}

// A model that overflows on one token: whoever feeds it is told, and nobody else.
TEST(ServicesTest, WhatIsNotANumberIsInternalInEveryCall) {
  StackOptions options;
  options.model.overflows_on = 'q';
  Stack stack(options);
  const auto is_internal = [](const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr("at position"));
  };
  v1::ScoreRequest score;
  score.set_model("bytes");
  score.add_items()->set_text("good");
  score.add_items()->set_text("a quill");
  for (const int top_n : {0, 3}) {
    score.set_top_n(top_n);
    for (int i = 0; i < 2; ++i) {  // from the prefix cache, if it were there
      grpc::ClientContext context;
      v1::ScoreResponse response;
      const grpc::Status status = stack.scoring->Score(&context, score, &response);
      is_internal(status);
      EXPECT_THAT(status.error_message(), HasSubstr("items[1]: "));
    }
  }
  score.mutable_items(1)->set_context_text("a quill");
  score.mutable_items(1)->set_text(" is");
  {
    grpc::ClientContext context;
    v1::ScoreResponse response;
    is_internal(stack.scoring->Score(&context, score, &response));
  }
  v1::GenerateRequest generate;
  generate.set_model("bytes");
  generate.set_text("a quill");
  v1::GenerateRequest sampled = generate, choices = generate, echoed = generate;
  sampled.set_temperature(1);
  sampled.set_top_p(0.9f);
  choices.set_n(3);
  choices.set_logprobs(2);
  echoed.set_echo(true);
  echoed.set_logprobs(0);
  for (const v1::GenerateRequest& request : {generate, sampled, choices, echoed}) {
    grpc::ClientContext context, stream_context;
    v1::GenerateResponse response;
    is_internal(stack.generation->Generate(&context, request, &response));
    auto reader = stack.generation->GenerateStream(&stream_context, ForStream(request));
    v1::GenerateStreamResponse message;
    while (reader->Read(&message)) EXPECT_EQ(message.choice().logprobs_size(), 0);
    is_internal(reader->Finish());
  }
  {
    grpc::ClientContext context;
    auto stream = stack.scoring->ScoreMinimalPairs(&context);
    v1::ScoreMinimalPairsRequest pairs;
    pairs.set_model("bytes");
    for (const char* bad : {"a quill", "a pen"}) {
      pairs.add_pairs()->set_good("a pencil");
      pairs.mutable_pairs(pairs.pairs_size() - 1)->set_bad(bad);
    }
    stream->WriteLast(pairs, grpc::WriteOptions());
    v1::ScoreMinimalPairsResponse response;
    int failed = 0, scored = 0;
    while (stream->Read(&response)) {
      for (const v1::PairScore& pair : response.results()) {
        failed += pair.error().code() == 13 ? 1 : 0;
        scored += pair.has_error() ? 0 : 1;
      }
    }
    EXPECT_TRUE(stream->Finish().ok());
    EXPECT_EQ(failed, 1);
    EXPECT_EQ(scored, 1);
  }
  EXPECT_TRUE(stack.ComesToRest());
}

// gRPC swallows what a handler throws; its client would get UNIMPLEMENTED without a word, or wait.
TEST(ServicesTest, ARequestWithoutMemoryFailsAlone) {
  Stack stack;
  const std::string text(kNoMemory);
  const auto expect = [](const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED);
    EXPECT_EQ(status.error_message().find("request: not enough memory"), 0u)
        << status.error_message();
  };
  {
    grpc::ClientContext context;
    v1::TokenizeRequest request;
    request.set_model("bytes");
    request.set_text(text);
    v1::TokenizeResponse response;
    expect(stack.tokens->Tokenize(&context, request, &response));
  }
  v1::GenerateRequest generate;
  generate.set_model("bytes");
  generate.set_text(text);
  generate.set_max_new_tokens(1);
  {
    grpc::ClientContext context;
    v1::GenerateResponse response;
    expect(stack.generation->Generate(&context, generate, &response));
  }
  {
    grpc::ClientContext context;
    v1::GenerateStreamResponse response;
    const auto stream = stack.generation->GenerateStream(&context, ForStream(generate));
    EXPECT_FALSE(stream->Read(&response));
    expect(stream->Finish());
  }
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  v1::ScoreMinimalPairsRequest pairs;
  pairs.set_model("bytes");
  pairs.set_convention(v1::CONVENTION_MINICONS_SUM);
  v1::MinimalPair& pair = *pairs.add_pairs();
  pair.set_good(text);
  pair.set_bad("a");
  v1::ScoreMinimalPairsResponse response;
  const auto stream = stack.scoring->ScoreMinimalPairs(&context);
  stream->Write(pairs);
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::RESOURCE_EXHAUSTED);
}

// Clients of every kind at once, many of which leave: nothing leaks, and who stays gets the answer
// that it would get alone.
TEST(ServicesTest, MixedLoadWithCancelsComesToRest) {
  StackOptions options;
  options.model.kv_pages = 64;
  options.engine.max_batch_tokens = 48;
  options.engine.max_running_sequences = 8;
  Stack stack(options);
  constexpr int kClients = 6;
  constexpr int kCalls = 25;
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&stack, client] {
      std::mt19937 random(client);
      for (int i = 0; i < kCalls; ++i) {
        const std::string text(1 + random() % 60, static_cast<char>('a' + random() % 26));
        const bool leaves = random() % 3 == 0;
        grpc::ClientContext context;
        if (client % 2 == 0) {
          v1::ScoreRequest request;
          request.set_model("bytes");
          request.set_convention(v1::CONVENTION_MINICONS_SUM);
          request.add_items()->set_text(text + "z");
          v1::ScoreResponse response;
          ASSERT_TRUE(stack.scoring->Score(&context, request, &response).ok());
          double sum = 0;
          std::vector<int32_t> ids = Ids(text + "z");
          ids.insert(ids.begin(), kEnd);
          for (const auto& score : stack.model.ExpectedScores(ids, 1, 0)) {
            sum += score.logprob;
          }
          ASSERT_EQ(response.scores(0).sum(), sum);
          continue;
        }
        v1::GenerateRequest request;
        request.set_model("bytes");
        request.set_text(text);
        request.set_max_new_tokens(30);
        request.set_ignore_eos(true);
        request.set_n(2);
        auto reader = stack.generation->GenerateStream(&context, ForStream(request));
        v1::GenerateStreamResponse message;
        std::vector<int32_t> ids;
        int messages = 0;
        while (reader->Read(&message)) {
          if (message.choice().index() == 1) {
            ids.insert(ids.end(), message.choice().ids().begin(), message.choice().ids().end());
          }
          if (leaves && ++messages == 3) context.TryCancel();
        }
        const grpc::Status status = reader->Finish();
        if (leaves) continue;
        ASSERT_TRUE(status.ok()) << status.error_message();
        std::vector<int32_t> prompt = Ids(text);
        prompt.insert(prompt.begin(), kEnd);
        ASSERT_EQ(ids, stack.model.ExpectedGreedy(prompt, 30));
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(stack.ComesToRest());
  EXPECT_EQ(stack.metrics.accepted, stack.metrics.finished);
  stack.observer.Await(kClients * kCalls - 1);
}

}  // namespace
}  // namespace dyad
