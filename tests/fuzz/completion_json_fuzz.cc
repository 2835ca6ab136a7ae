// The body of POST /v1/completions: taken, or refused with the fields that are wrong.
#include <cstdint>
#include <string>

#include "server/api/request_error.h"
#include "server/openai/completion_request.h"
#include "server/openai/error.h"
#include "server/routes/json_body.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyad;
  using testing::Require;
  constexpr int64_t kMaxPrompts = 16;
  const auto check = [](const absl::Status& status) {
    const HttpResponse error = OpenAiError(status);
    Require(error.status == 400, "a bad body is a bad request: " + std::string(status.message()));
    Require(error.body.size() < 20000, "an error is short");
    return 0;
  };
  const auto body = ReadJsonBody(testing::AsText(data, size));
  if (!body.ok()) return check(body.status());
  const auto request = ParseCompletion(*body, kMaxPrompts);
  if (!request.ok()) {
    Require(!FieldsOf(request.status()).empty(), "a refusal names a field");
    return check(request.status());
  }
  Require(!request->prompts.empty(), "there is a prompt");
  int64_t choices = 0;
  for (const v1::GenerateRequest& prompt : request->prompts) {
    Require(prompt.has_text() || prompt.has_ids(), "each prompt is one");
    choices += prompt.has_n() ? prompt.n() : 1;
  }
  Require(choices <= kMaxPrompts, "prompts times choices are bounded");
  return 0;
}
