// The phases of a connection, and its exchanges.
#include "server/http/connection.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/message_text.h"
#include "server/base/mutex.h"

namespace dyad {
namespace {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

// For a client to read the last answer of a connection.
constexpr absl::Duration kEnding = absl::Seconds(2);

std::string PeerOf(const Transport::Socket& socket) {
  ErrorCode error;
  const auto end = socket.remote_endpoint(error);
  if (error) return "";
  const std::string address = end.address().to_string();
  return end.address().is_v4() ? absl::StrCat("ipv4:", address, ":", end.port())
                               : absl::StrCat("ipv6:[", address, "]:", end.port());
}

std::string Chunk(std::string_view bytes) {
  if (bytes.empty()) return "";  // of no bytes is the last one
  return Text(absl::StrFormat("%x\r\n", bytes.size()), bytes, "\r\n");
}

}  // namespace

// What a handler holds. The connection goes on to the next request when this one is over.
class Connection::Exchange final : public HttpExchange,
                                   public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(std::shared_ptr<Connection> connection, HttpRequest request)
      : connection_(std::move(connection)),
        request_(std::move(request)),
        peer_(connection_->peer_) {}

  const HttpRequest& request() const override { return request_; }
  const std::string& peer() const override { return peer_; }

  void Post(std::function<void()> work) override {
    asio::post(connection_->transport_->socket().get_executor(),
               [self = shared_from_this(), work = std::move(work)] { work(); });
  }
  void Answer(HttpResponse response) override {
    Run([response = std::move(response)](Connection& connection) mutable {
      connection.Answer(std::move(response));
    });
  }
  void Begin(HttpResponse head, std::string filler, std::function<void()> written) override {
    Run([head = std::move(head), filler = std::move(filler),
         written = std::move(written)](Connection& connection) mutable {
      connection.Begin(std::move(head), std::move(filler), std::move(written));
    });
  }
  void Write(std::string piece, std::function<void()> written) override {
    Run([piece = std::move(piece), written = std::move(written)](Connection& connection) mutable {
      connection.WritePiece(std::move(piece), std::move(written));
    });
  }
  void End() override {
    Run([](Connection& connection) { connection.EndAnswer(); });
  }

  void OnLeave(std::function<void()> left) override {
    {
      MutexLock lock(&mutex_);
      if (is_over_) return;
      if (!has_left_) {
        left_ = std::move(left);
        return;
      }
    }
    left();
  }

  void Keep(std::shared_ptr<const void> thing) override {
    MutexLock lock(&mutex_);
    if (!is_over_ && !has_left_) kept_ = std::move(thing);
  }

  // By the connection, on its strand: the answer is out, or the client has left.
  void Over() {
    std::shared_ptr<const void> kept;
    std::function<void()> left;
    MutexLock lock(&mutex_);
    is_over_ = true;
    left = std::exchange(left_, nullptr);
    kept = std::move(kept_);
  }
  void Leave() {
    std::shared_ptr<const void> kept;
    std::function<void()> left;
    {
      MutexLock lock(&mutex_);
      has_left_ = true;
      left = std::exchange(left_, nullptr);
      kept = std::move(kept_);
    }
    if (left != nullptr) left();
  }

 private:
  // On the strand, if this exchange is still the connection's.
  template <typename Action>
  void Run(Action action) {
    asio::dispatch(connection_->transport_->socket().get_executor(),
                   [self = shared_from_this(), action = std::move(action)]() mutable {
                     if (self->connection_->exchange_ == self) action(*self->connection_);
                   });
  }

  const std::shared_ptr<Connection> connection_;
  const HttpRequest request_;
  const std::string peer_;
  Mutex mutex_;
  bool is_over_ ABSL_GUARDED_BY(mutex_) = false;
  bool has_left_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> left_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const void> kept_ ABSL_GUARDED_BY(mutex_);
};

Connection::Connection(std::unique_ptr<Transport> transport, Parts parts)
    : parts_(std::move(parts)),
      transport_(std::move(transport)),
      peer_(PeerOf(transport_->socket())),
      reader_(parts_.options.max_body_bytes),
      timer_(transport_->socket().get_executor()),
      write_timer_(transport_->socket().get_executor()) {}

void Connection::Start(std::optional<HttpFault> refusal) {
  SetTimer(parts_.options.read_timeout, &Connection::Close);
  transport_->Handshake(
      [self = shared_from_this(), refusal = std::move(refusal)](const ErrorCode& error, size_t) {
        if (error || self->phase_ == Phase::kClosed) return self->Close();
        self->SetTimer(self->parts_.options.idle_timeout, &Connection::Close);
        self->Read();
        if (refusal.has_value()) self->AnswerFault(*refusal);
      });
}

void Connection::CloseWhenIdle() {
  asio::post(transport_->socket().get_executor(), [self = shared_from_this()] {
    if (self->phase_ == Phase::kIdle) self->Finish();
  });
}

void Connection::CloseNow() {
  asio::post(transport_->socket().get_executor(), [self = shared_from_this()] { self->Close(); });
}

void Connection::Read() {
  transport_->Read(asio::buffer(buffer_),
                   [self = shared_from_this()](const ErrorCode& error, size_t bytes) {
                     self->OnRead(error, bytes);
                   });
}

void Connection::OnRead(const ErrorCode& error, size_t bytes) {
  if (error) return Close();
  if (phase_ < Phase::kEnding) Look(reader_.Feed({buffer_.data(), bytes}));
  if (phase_ != Phase::kClosed) Read();
}

void Connection::Look(RequestReader::State state) {
  if (phase_ == Phase::kAnswering) {
    if (state == RequestReader::State::kRefused) Close();  // too much behind the request
    return;
  }
  switch (state) {
    case RequestReader::State::kNothing:
      return;
    case RequestReader::State::kPart:
      if (phase_ == Phase::kIdle) {
        phase_ = Phase::kReading;
        SetTimer(parts_.options.read_timeout, &Connection::RefuseSlowRequest);
      }
      if (reader_.TakeExpectation()) Send("HTTP/1.1 100 Continue\r\n\r\n", nullptr);
      return;
    case RequestReader::State::kRefused:
      return AnswerFault(reader_.fault());
    case RequestReader::State::kWhole:
      return Hand();
  }
}

void Connection::Hand() {
  phase_ = Phase::kAnswering;
  StopTimer();
  HttpRequest request = reader_.Take();
  is_head_request_ = request.method == "HEAD";
  if (!reader_.keeps_alive()) closes_ = true;
  exchange_ = std::make_shared<Exchange>(shared_from_this(), std::move(request));
  parts_.server.handler(exchange_);
}

void Connection::AnswerFault(const HttpFault& fault) {
  phase_ = Phase::kAnswering;
  StopTimer();
  closes_ = true;
  Answer(parts_.server.on_fault(fault));
}

void Connection::RefuseSlowRequest() {
  AnswerFault({408, absl::StrCat("the request did not arrive within ",
                                 absl::FormatDuration(parts_.options.read_timeout))});
}

void Connection::Answer(HttpResponse response) {
  std::string bytes = Head(
      response,
      response.status == 204 ? "" : absl::StrCat("Content-Length: ", response.body.size(), "\r\n"));
  if (!is_head_request_) bytes.append(response.body);
  Send(std::move(bytes), [this] { AnswerIsOut(); });
}

void Connection::Begin(HttpResponse head, std::string filler, std::function<void()> written) {
  is_streaming_ = true;
  is_chunked_ = reader_.is_version_11();
  if (!is_chunked_) closes_ = true;
  filler_ = std::move(filler);
  std::string bytes = Head(head, is_chunked_ ? "Transfer-Encoding: chunked\r\n" : "");
  bytes.append(Framed(head.body));
  Send(std::move(bytes), std::move(written));
}

void Connection::WritePiece(std::string piece, std::function<void()> written) {
  Send(Framed(piece), std::move(written));
}

void Connection::EndAnswer() {
  Send(is_chunked_ ? "0\r\n\r\n" : "", [this] { AnswerIsOut(); });
}

std::string Connection::Framed(const std::string& piece) const {
  return is_chunked_ ? Chunk(piece) : piece;
}

std::string Connection::Head(const HttpResponse& response, std::string_view framing) {
  closes_ = closes_ || parts_.is_ending;
  std::string head = Text("HTTP/1.1 ", response.status, " ", ReasonPhrase(response.status), "\r\n");
  for (const HttpField& field : response.fields) {
    absl::StrAppend(&head, field.name, ": ", field.value, "\r\n");
  }
  // To a client of HTTP/1.0 the close is nothing new, but that it may go on is.
  const char* connection = closes_                   ? "Connection: close\r\n"
                           : reader_.is_version_11() ? ""
                                                     : "Connection: keep-alive\r\n";
  return Text(head, framing, connection, "\r\n");
}

void Connection::AnswerIsOut() {
  if (phase_ == Phase::kClosed) return;
  if (exchange_ != nullptr) std::exchange(exchange_, nullptr)->Over();
  is_streaming_ = false;
  is_head_request_ = false;
  if (closes_ || parts_.is_ending) return Finish();
  phase_ = Phase::kIdle;
  SetTimer(parts_.options.idle_timeout, &Connection::Close);
  Look(reader_.Feed({}));
}

void Connection::Send(std::string bytes, std::function<void()> written) {
  output_.push_back({std::move(bytes), std::move(written)});
  if (output_.size() == 1) WriteMore();
}

void Connection::WriteMore() {
  const uint64_t turn = ++write_turn_;
  write_timer_.expires_after(absl::ToChronoNanoseconds(parts_.options.write_timeout));
  write_timer_.async_wait([self = shared_from_this(), turn](const ErrorCode& error) {
    if (!error && turn == self->write_turn_) self->Close();
  });
  const std::string& bytes = output_.front().bytes;
  transport_->Write(asio::buffer(bytes.data() + sent_, bytes.size() - sent_),
                    [self = shared_from_this()](const ErrorCode& error, size_t sent) {
                      self->OnSent(error, sent);
                    });
}

void Connection::OnSent(const ErrorCode& error, size_t sent) {
  ++write_turn_;
  if (error || phase_ == Phase::kClosed) return Close();
  sent_ += sent;
  if (sent_ < output_.front().bytes.size()) return WriteMore();
  const std::function<void()> written = std::move(output_.front().written);
  output_.pop_front();
  sent_ = 0;
  if (!output_.empty()) {
    WriteMore();
  } else {
    write_timer_.cancel();
    if (is_streaming_) SetTimer(parts_.options.filler_interval, &Connection::SendFiller);
  }
  if (written != nullptr) written();
}

void Connection::SendFiller() {
  if (is_streaming_ && output_.empty()) Send(Framed(filler_), nullptr);
}

void Connection::Finish() {
  phase_ = Phase::kEnding;
  SetTimer(kEnding, &Connection::Close);
  transport_->EndWriting([self = shared_from_this()](const ErrorCode&, size_t) {});
}

void Connection::Close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  StopTimer();
  ++write_turn_;
  write_timer_.cancel();
  transport_->Close();
  // The bytes stay: a write may still be under way.
  for (Output& output : output_) output.written = nullptr;
  if (exchange_ != nullptr) std::exchange(exchange_, nullptr)->Leave();
  parts_.on_closed(this);
}

void Connection::SetTimer(absl::Duration delay, void (Connection::*then)()) {
  const uint64_t turn = ++timer_turn_;
  timer_.expires_after(absl::ToChronoNanoseconds(delay));
  timer_.async_wait([self = shared_from_this(), turn, then](const ErrorCode& error) {
    if (!error && turn == self->timer_turn_) (self.get()->*then)();
  });
}

void Connection::StopTimer() {
  ++timer_turn_;
  timer_.cancel();
}

}  // namespace dyad
