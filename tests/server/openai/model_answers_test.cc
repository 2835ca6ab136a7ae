// Models and tokenizers as OpenAI's and vLLM's clients see them.
#include "server/openai/model_answers.h"

#include "tests/server/routes/door_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;
using Json = nlohmann::json;

TEST(ModelAnswersTest, Models) {
  DoorStack stack;
  const Json list = stack.Get("/v1/models").json();
  EXPECT_EQ(list["object"], "list");
  ASSERT_EQ(list["data"].size(), 2u);
  const Json model = list["data"][0];
  EXPECT_EQ(model["id"], "bytes");
  EXPECT_EQ(model["object"], "model");
  EXPECT_EQ(model["owned_by"], "dyad-serve");
  EXPECT_EQ(model["max_model_len"], 256);
  EXPECT_EQ(model["dyad"]["digest"], "d1");
  EXPECT_EQ(model["dyad"]["architecture"], "opt");
  EXPECT_EQ(model["dyad"]["structure"], "dense");
  EXPECT_EQ(stack.Get("/v1/models/bytes").json(), model);
  EXPECT_EQ(stack.Get("/v1/models/none").status, 404);
}

TEST(ModelAnswersTest, TokenizesAndBack) {
  DoorStack stack;
  const auto ask = [&](const std::string& path, const Json& body) {
    return stack.Ask("POST " + path, body.dump());
  };
  const Json framed = ask("/tokenize", {{"model", "bytes"}, {"prompt", "ab"}}).json();
  EXPECT_EQ(framed["tokens"].dump(), "[256,97,98]");
  EXPECT_EQ(framed["count"], 3);
  EXPECT_EQ(framed["max_model_len"], 256);
  EXPECT_TRUE(framed["token_strs"].is_null());
  const Json bare =
      ask("/models/bytes/tokenize",
          {{"prompt", "a</s>"}, {"add_special_tokens", false}, {"return_token_strs", true}})
          .json();
  EXPECT_EQ(bare["tokens"].dump(), "[97,256]");
  EXPECT_EQ(bare["token_strs"].dump(), R"(["a","</s>"])");
  EXPECT_EQ(ask("/detokenize", {{"model", "bytes"}, {"tokens", {256, 97}}}).json()["prompt"],
            "</s>a");
  EXPECT_EQ(ask("/tokenize", {{"model", "ids"}, {"prompt", "a"}}).code(), "no_tokenizer");
  const HttpAnswer unnamed = ask("/tokenize", {{"prompt", "a"}});
  EXPECT_EQ(unnamed.status, 400);
  EXPECT_THAT(unnamed.error()["message"].get<std::string>(), HasSubstr("bytes, ids"));
  for (const auto& [path, body, param] : std::vector<std::tuple<std::string, Json, std::string>>{
           {"/tokenize", {{"model", "bytes"}, {"messages", Json::array()}}, "messages"},
           {"/tokenize", {{"model", "bytes"}}, "prompt"},
           {"/tokenize", {{"model", "bytes"}, {"prompt", "a"}, {"x", 1}}, "x"},
           {"/detokenize", {{"model", "bytes"}, {"tokens", {97, 5000}}}, "tokens[1]"},
           {"/detokenize", {{"model", "bytes"}, {"tokens", {97, "a"}}}, "tokens[1]"},
           {"/detokenize", {{"model", "bytes"}, {"tokens", "a"}}, "tokens"}}) {
    const HttpAnswer answer = ask(path, body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_EQ(answer.error()["param"], param) << body;
  }
}

TEST(ModelAnswersTest, SaysWhatTheTokenizerIs) {
  DoorStack stack;
  const Json info = stack.Get("/models/bytes/tokenizer_info").json();
  EXPECT_EQ(info["eos_token"], "</s>");
  EXPECT_TRUE(info.contains("bos_token") && info.contains("pad_token"));
  EXPECT_EQ(info["add_bos_token"], true);
  EXPECT_EQ(info["model_max_length"], 256);
  EXPECT_TRUE(info["chat_template"].is_null());
  EXPECT_EQ(info["tokenizer_class"], "GPT2Tokenizer");
  EXPECT_EQ(stack.Get("/tokenizer_info").status, 400);
  EXPECT_EQ(stack.Get("/models/ids/tokenizer_info").code(), "no_tokenizer");
}

}  // namespace
}  // namespace dyad
