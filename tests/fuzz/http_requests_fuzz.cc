// What a connection sends to the HTTP server. However the bytes are cut, the same requests come out
// of them, and the same refusal; bounds are held.
#include <cstdint>
#include <string>
#include <vector>

#include "server/http/request_reader.h"
#include "tests/fuzz/fuzz_input.h"

namespace dyad {
namespace {

using State = RequestReader::State;
using testing::Require;

constexpr int64_t kMaxBody = 4096;

// What a reader made of the bytes, as one text.
class Reading {
 public:
  void Feed(std::string_view bytes) {
    State state = reader_.Feed(bytes);
    while (state == State::kWhole) {
      const HttpRequest request = reader_.Take();
      Require(static_cast<int64_t>(request.body.size()) <= kMaxBody, "a body is bounded");
      Require(CountFields(request.fields, "Content-Length") <= 1, "one length");
      Require(CountFields(request.fields, "Content-Length") == 0 ||
                  CountFields(request.fields, "Transfer-Encoding") == 0,
              "a length or a coding");
      for (const HttpField& field : request.fields) {
        Require(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos,
                "a field is one line");
      }
      text_ +=
          request.method + " " + request.path + "?" + request.query + " " + request.host + "\n";
      for (const HttpField& field : request.fields) text_ += field.name + ":" + field.value + "\n";
      text_ += request.body + "\n";
      state = reader_.Feed({});
    }
    is_refused_ = state == State::kRefused;
    if (is_refused_) {
      Require(reader_.fault().status >= 400 && reader_.fault().status <= 501, "a status");
      Require(!reader_.fault().message.empty(), "a refusal says why");
    }
  }
  const std::string& text() const { return text_; }
  bool is_refused() const { return is_refused_; }

 private:
  RequestReader reader_{kMaxBody};
  std::string text_;
  bool is_refused_ = false;
};

}  // namespace
}  // namespace dyad

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyad;
  if (size == 0) return 0;
  const size_t piece = data[0] % 64 + 1;
  const std::string_view bytes = testing::AsText(data + 1, size - 1);
  Reading whole;
  whole.Feed(bytes);
  Reading cut;
  for (size_t i = 0; i < bytes.size(); i += piece) cut.Feed(bytes.substr(i, piece));
  // A refusal may come later where less is known, but never more requests.
  Require(cut.text().starts_with(whole.text()) || whole.text().starts_with(cut.text()),
          "the same requests");
  if (!whole.is_refused()) Require(cut.text() == whole.text(), "the same requests, all of them");
  return 0;
}
