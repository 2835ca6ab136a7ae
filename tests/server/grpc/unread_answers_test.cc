// Answers that no client reads, of every kind of call, over a server.
#include "server/api/unread_answers.h"

#include "tests/server/grpc/service_fixture.h"
#include "tests/support/eventually.h"
#include "tests/support/for_stream.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;

// What the server does not end in time fails by a line.
struct ContextWithDeadline : grpc::ClientContext {
  ContextWithDeadline() {
    set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }
};

// A call whose client does not read.
class UnreadCall {
 public:
  UnreadCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
             const google::protobuf::Message& request)
      : path_(absl::StrCat("/dyad.v1.", method)),
        raw_(path_.c_str(), grpc::internal::RpcMethod::BIDI_STREAMING),
        stream_(
            grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(
                channel.get(), raw_, &context_)) {
    const grpc::Slice slice(request.SerializeAsString());
    stream_->Write(grpc::ByteBuffer(&slice, 1));
    stream_->WritesDone();
  }
  grpc::Status ReadAll() {
    grpc::ByteBuffer bytes;
    while (stream_->Read(&bytes)) continue;
    return stream_->Finish();
  }

 private:
  const std::string path_;
  const grpc::internal::RpcMethod raw_;
  ContextWithDeadline context_;
  std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> stream_;
};

v1::TokenizeRequest Tokenize(size_t bytes) {
  v1::TokenizeRequest request;
  request.set_model("bytes");
  request.set_text(std::string(bytes, 'x'));
  return request;
}

v1::ScoreRequest Score() {
  v1::ScoreRequest request;
  request.set_model("bytes");
  request.set_top_n(20);
  for (int i = 0; i < 8; ++i) request.add_items()->set_text(std::string(200, 'x'));
  return request;
}

v1::GenerateRequest Generate() {
  v1::GenerateRequest request;
  request.set_model("bytes");
  request.set_text("x");
  request.set_n(8);
  request.set_logprobs(20);
  request.set_max_new_tokens(200);
  request.set_ignore_eos(true);
  return request;
}

v1::ScoreMinimalPairsRequest Pairs() {
  v1::ScoreMinimalPairsRequest request;
  request.set_model("bytes");
  request.set_return_tokens(true);
  for (int i = 0; i < 64; ++i) {
    v1::MinimalPair& pair = *request.add_pairs();
    pair.set_good(std::string(200, 'x'));
    pair.set_bad(std::string(200, 'y'));
  }
  return request;
}

TEST(UnreadAnswersTest, EveryKindOfCallIsGivenUp) {
  StackOptions options;
  options.unread_timeout = absl::Milliseconds(300);
  Stack stack(options);
  const auto channel = stack.NarrowChannel();
  size_t ended = 0;
  const auto check = [&](const std::string& method, const google::protobuf::Message& request) {
    UnreadCall call(channel, method, request);
    const RpcRecord record = stack.observer.Await(ended++);
    EXPECT_EQ(record.method, method);
    EXPECT_EQ(record.code, "CANCELLED") << method;
    EXPECT_EQ(record.message, "the client read nothing of the answer for 300ms") << method;
    EXPECT_EQ(call.ReadAll().error_code(), grpc::StatusCode::CANCELLED) << method;
    EXPECT_TRUE(testing::Eventually(
        [&] { return stack.state.unread.bytes() == 0; }));  // a moment after the record
  };
  check("TokenizerService/Tokenize", Tokenize(50'000));
  check("ScoringService/Score", Score());
  check("GenerationService/Generate", Generate());
  check("GenerationService/GenerateStream", ForStream(Generate()));
  check("ScoringService/ScoreMinimalPairs", Pairs());
  EXPECT_TRUE(stack.ComesToRest());
}

TEST(UnreadAnswersTest, AConnectionThatIsFullGetsNoNewCalls) {
  StackOptions options;
  options.limits.max_unread_bytes = 64 << 10;
  Stack stack(options);
  const auto channel = stack.NarrowChannel();
  UnreadCall unread(channel, "TokenizerService/Tokenize", Tokenize(6000));
  EXPECT_TRUE(testing::Eventually([&] { return stack.state.unread.bytes() != 0; }));
  for (const char* method : kMethods) {
    UnreadCall call(channel, method, v1::TokenizeRequest());
    const grpc::Status status = call.ReadAll();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << method;
    EXPECT_EQ(Reason(status), "dyad.v1 UNREAD_ANSWERS") << method;
    EXPECT_THAT(status.error_message(), HasSubstr("the server's limit is 16384")) << method;
  }
  EXPECT_TRUE(unread.ReadAll().ok());
  EXPECT_TRUE(testing::Eventually([&] { return stack.state.unread.bytes() == 0; }));
  EXPECT_TRUE(UnreadCall(channel, "TokenizerService/Tokenize", Tokenize(10)).ReadAll().ok());
}

}  // namespace
}  // namespace dyad
