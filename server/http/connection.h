// One connection: reads requests, hands them to the handler one after the other, writes answers.
// For this folder's sources only: Boost shows.
//
//   handshake → idle → reading → answering → idle …            → ending → closed
//
// A read is pending in every phase, also while an answer is made: so a client that leaves is
// noticed at once. Members are used on the socket's strand, unless said.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/http/exchange.h"
#include "server/http/request_reader.h"
#include "server/http/transport.h"

namespace dyad {

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  struct Parts {
    const HttpServerOptions& options;
    const HttpHandlers& server;
    // Of the whole server: every answer that begins from then on is its connection's last.
    const std::atomic<bool>& is_ending;
    std::function<void(Connection*)> on_closed;  // once
  };
  Connection(std::unique_ptr<Transport> transport, Parts parts);

  // Once. With a refusal that is all it answers.
  void Start(std::optional<HttpFault> refusal);

  // Any thread, once the server is ending. Closes at once if idle, else with its answer.
  void CloseWhenIdle();
  void CloseNow();

 private:
  class Exchange;
  enum class Phase { kIdle, kReading, kAnswering, kEnding, kClosed };
  struct Output {
    std::string bytes;
    std::function<void()> written;
  };

  void Read();
  void OnRead(const boost::system::error_code& error, size_t bytes);
  void Look(RequestReader::State state);
  void Hand();
  void AnswerFault(const HttpFault& fault);
  void RefuseSlowRequest();

  // As the exchange's.
  void Answer(HttpResponse response);
  void Begin(HttpResponse head, std::string filler, std::function<void()> written);
  void WritePiece(std::string piece, std::function<void()> written);
  void EndAnswer();

  std::string Framed(const std::string& piece) const;
  std::string Head(const HttpResponse& response, std::string_view framing);
  void AnswerIsOut();
  void Send(std::string bytes, std::function<void()> written);
  void WriteMore();
  void OnSent(const boost::system::error_code& error, size_t sent);
  void SendFiller();
  // Nothing more is written; what still comes is dropped for a moment, so that the client gets to
  // read the answer.
  void Finish();
  void Close();
  void SetTimer(absl::Duration delay, void (Connection::*then)());
  void StopTimer();

  const Parts parts_;
  const std::unique_ptr<Transport> transport_;
  const std::string peer_;
  Phase phase_ = Phase::kIdle;
  std::array<char, 8192> buffer_;
  RequestReader reader_;
  std::shared_ptr<Exchange> exchange_;  // while answering
  std::deque<Output> output_;           // the first is being written
  size_t sent_ = 0;                     // of the first
  std::string filler_;
  bool is_head_request_ = false;
  bool is_streaming_ = false;
  bool is_chunked_ = false;
  bool closes_ = false;                    // behind the current answer
  boost::asio::steady_timer timer_;        // of the phase
  boost::asio::steady_timer write_timer_;  // of the write
  uint64_t timer_turn_ = 0;
  uint64_t write_turn_ = 0;
};

}  // namespace dyad
