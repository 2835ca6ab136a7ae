// Boost.Beast's parser, and the fields that it does not look at.
#include "server/http/request_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
// After <utility>: Debian's Boost does not include it.
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace dyad {
namespace {

namespace beast = boost::beast;

constexpr size_t kMaxHeadBytes = 16 << 10;
constexpr size_t kMaxTargetBytes = 8 << 10;
constexpr size_t kMaxBehindBytes = 64 << 10;

std::string String(beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

struct RequestReader::Parser {
  explicit Parser(int64_t max_body_bytes) {
    parser.header_limit(kMaxHeadBytes);
    parser.body_limit(static_cast<uint64_t>(max_body_bytes));
  }
  HttpFields Fields() const {
    HttpFields fields;
    for (const auto& field : parser.get()) {
      fields.push_back({String(field.name_string()), String(field.value())});
    }
    return fields;
  }

  beast::http::request_parser<beast::http::string_body> parser;
  bool has_head = false;
};

RequestReader::RequestReader(int64_t max_body_bytes) : max_body_bytes_(max_body_bytes) {}

RequestReader::~RequestReader() = default;

RequestReader::State RequestReader::Feed(std::string_view bytes) {
  if (state_ == State::kRefused) return state_;
  pending_.append(bytes);
  if (state_ != State::kWhole) return Parse();
  if (pending_.size() <= kMaxBehindBytes) return state_;
  return Refuse(400, absl::StrCat("more than ", kMaxBehindBytes,
                                  " bytes were sent behind a request that has no answer yet"));
}

bool RequestReader::TakeExpectation() { return std::exchange(expects_continue_, false); }

RequestReader::State RequestReader::Parse() {
  if (parser_ == nullptr) {
    // Some old clients send empty lines behind a body; one may come in two pieces.
    while (pending_.starts_with("\r\n")) pending_.erase(0, 2);
    if (pending_.empty() || pending_ == "\r") return state_ = State::kNothing;
    parser_ = std::make_unique<Parser>(max_body_bytes_);
  }
  state_ = State::kPart;
  auto& parser = parser_->parser;
  size_t parsed = 0;
  while (!parser.is_done()) {
    const size_t left = pending_.size() - parsed;
    if (left == 0 && parsed > 0) break;
    // A last chunk has five bytes at least, and Beast asserts as much where trailers begin.
    constexpr size_t kLastChunkBytes = 5;
    const bool may_be_last = left > 0 && pending_[parsed] == '0';
    if (parser_->has_head && parser.chunked() && may_be_last && left < kLastChunkBytes) break;
    beast::error_code error;
    const size_t used = parser.put(boost::asio::buffer(pending_.data() + parsed, left), error);
    parsed += used;
    if (parser.is_header_done() && !std::exchange(parser_->has_head, true)) {
      if (CheckHead() == State::kRefused) return state_;
    }
    if (error == beast::http::error::need_more || (!error && used == 0 && !parser.is_done())) break;
    if (error == beast::http::error::header_limit) {
      return pending_.find('\n') == std::string::npos
                 ? Refuse(414, absl::StrCat("the target has more than ", kMaxTargetBytes, " bytes"))
                 : Refuse(431, absl::StrCat("the head has more than ", kMaxHeadBytes, " bytes"));
    }
    if (error == beast::http::error::body_limit) {
      return Refuse(413, absl::StrCat("the body has more than ", max_body_bytes_,
                                      " bytes, the server's limit (--http_max_body_bytes)"));
    }
    if (error) return Refuse(400, absl::StrCat("this is not HTTP/1.1: ", error.message()));
  }
  pending_.erase(0, parsed);
  if (parser.is_done()) return state_ = State::kWhole;
  // Between pieces of a body stand sizes of chunks only.
  if (pending_.size() > kMaxHeadBytes) return Refuse(431, "a chunk's head is too long");
  return state_;
}

RequestReader::State RequestReader::Refuse(int status, std::string message) {
  fault_ = {status, std::move(message)};
  parser_.reset();
  pending_.clear();
  return state_ = State::kRefused;
}

RequestReader::State RequestReader::CheckHead() {
  const HttpFields fields = parser_->Fields();
  const auto& message = parser_->parser.get();
  if (message.target().size() > kMaxTargetBytes) {
    return Refuse(414, absl::StrCat("the target has more than ", kMaxTargetBytes, " bytes"));
  }
  const size_t lengths = CountFields(fields, "Content-Length");
  const std::string_view length = FindField(fields, "Content-Length").value_or("");
  if (lengths > 1 || length.find(',') != std::string_view::npos) {
    return Refuse(400, "Content-Length stands there more than once");
  }
  const size_t codings = CountFields(fields, "Transfer-Encoding");
  if (codings > 0) {
    const std::string coding = Lower(*FindField(fields, "Transfer-Encoding"));
    if (lengths > 0) return Refuse(400, "Content-Length and Transfer-Encoding exclude each other");
    if (message.version() < 11) return Refuse(400, "HTTP/1.0 has no Transfer-Encoding");
    if (codings > 1 || (coding != "chunked" && coding.find(',') != std::string::npos)) {
      return Refuse(400, "Transfer-Encoding must be chunked, once and alone");
    }
    if (coding != "chunked") return Refuse(501, "Transfer-Encoding must be chunked");
  }
  const std::string content = Lower(FindField(fields, "Content-Encoding").value_or("identity"));
  if (content != "identity") return Refuse(415, "a body must not have a Content-Encoding");
  if (CountFields(fields, "Host") > 1) return Refuse(400, "Host stands there more than once");
  if (message.version() >= 11 && CountFields(fields, "Host") == 0) {
    return Refuse(400, "HTTP/1.1 needs a Host");
  }
  const auto expectation = FindField(fields, "Expect");
  if (expectation.has_value() && message.version() >= 11) {
    if (Lower(*expectation) != "100-continue") {
      return Refuse(417, "Expect must be 100-continue");
    }
    expects_continue_ = !parser_->parser.is_done();
  }
  parser_->parser.eager(true);
  return state_;
}

HttpRequest RequestReader::Take() {
  const HttpFields fields = parser_->Fields();
  auto message = parser_->parser.release();
  HttpRequest request;
  request.method = String(message.method_string());
  request.host = std::string(FindField(fields, "Host").value_or(""));
  std::string target = String(message.target());
  std::string_view rest = target;
  if (const size_t scheme = rest.find("://");
      !rest.starts_with("/") && (scheme == 4 || scheme == 5)) {
    rest.remove_prefix(scheme + 3);
    const size_t slash = std::min(rest.find_first_of("/?"), rest.size());
    request.host = std::string(rest.substr(0, slash));
    target = std::string(rest.substr(slash));
    if (!target.starts_with('/')) target = absl::StrCat("/", target);
  }
  const size_t mark = std::min(target.find('?'), target.size());
  request.path = target.substr(0, mark);
  if (mark < target.size()) request.query = target.substr(mark + 1);
  request.body = std::move(message.body());
  is_version_11_ = message.version() >= 11;
  keeps_alive_ = message.keep_alive();
  request.fields = fields;
  parser_.reset();
  expects_continue_ = false;
  state_ = State::kNothing;
  return request;
}

}  // namespace dyad
