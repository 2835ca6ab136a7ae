// The JSON body of a unary method: refused with a reason, or a message whose own JSON reads back to
// it, bit for bit. The first byte chooses the method.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <array>
#include <cstdint>
#include <string>

#include "dyad/v1/generation.pb.h"
#include "dyad/v1/model.pb.h"
#include "dyad/v1/scoring.pb.h"
#include "dyad/v1/tokenizer.pb.h"
#include "server/connect/message_json.h"
#include "tests/fuzz/fuzz_input.h"

namespace dyad {
namespace {

using testing::Require;

// The same for every order in which a map holds its entries.
std::string BytesOf(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream output(&stream);
  output.SetSerializationDeterministic(true);
  Require(message.SerializeToCodedStream(&output), "a message has bytes");
  output.Trim();
  return bytes;
}

template <typename Request>
void Check(std::string_view body) {
  Request request;
  const absl::Status status = ReadMessageJson(body, request);
  if (!status.ok()) {
    Require(absl::IsInvalidArgument(status), status.ToString());
    Require(!status.message().empty() && status.message().size() < 20000, "a refusal says why");
    return;
  }
  const auto text = WriteMessageJson(request);
  Require(text.ok(), text.status().ToString());
  Request again;
  const absl::Status back = ReadMessageJson(*text, again);
  Require(back.ok(), "what is written can be read: " + back.ToString());
  Require(BytesOf(again) == BytesOf(request), "and is the same: " + *text);
}

constexpr std::array kChecks = {&Check<v1::GenerateRequest>, &Check<v1::ScoreRequest>,
                                &Check<v1::TokenizeRequest>, &Check<v1::DetokenizeRequest>,
                                &Check<v1::GetModelRequest>};

}  // namespace
}  // namespace dyad

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  dyad::kChecks[data[0] % dyad::kChecks.size()](dyad::testing::AsText(data + 1, size - 1));
  return 0;
}
