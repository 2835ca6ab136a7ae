// The bytes of one connection, in plain or through TLS. For this folder's sources only: Boost
// shows.
#pragma once

#include <functional>
#include <memory>
#include <utility>
// After <utility>: Debian's Boost does not include it.
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

namespace dyad {

// One read and one write at a time, both on the socket's executor, which is a strand. Close ends
// both with an error.
class Transport {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Done = std::function<void(const boost::system::error_code&, size_t)>;

  virtual ~Transport() = default;
  virtual Socket& socket() = 0;
  virtual void Handshake(Done done) = 0;
  virtual void Read(boost::asio::mutable_buffer buffer, Done done) = 0;
  virtual void Write(boost::asio::const_buffer bytes, Done done) = 0;
  // Says that nothing more will be written.
  virtual void EndWriting(Done done) = 0;

  // A null context: plaintext.
  static std::unique_ptr<Transport> Make(Socket socket,
                                         std::shared_ptr<boost::asio::ssl::context> tls);

  void Close() {
    boost::system::error_code ignored;
    socket().close(ignored);
  }
};

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(Socket socket) : socket_(std::move(socket)) {}

  Socket& socket() override { return socket_; }
  void Handshake(Done done) override {
    boost::asio::post(socket_.get_executor(), [done = std::move(done)] { done({}, 0); });
  }
  void Read(boost::asio::mutable_buffer buffer, Done done) override {
    socket_.async_read_some(buffer, std::move(done));
  }
  void Write(boost::asio::const_buffer bytes, Done done) override {
    socket_.async_write_some(bytes, std::move(done));
  }
  void EndWriting(Done done) override {
    boost::system::error_code error;
    socket_.shutdown(Socket::shutdown_send, error);
    boost::asio::post(socket_.get_executor(), [error, done = std::move(done)] { done(error, 0); });
  }

 private:
  Socket socket_;
};

class TlsTransport final : public Transport {
 public:
  TlsTransport(Socket socket, std::shared_ptr<boost::asio::ssl::context> context)
      : context_(std::move(context)), stream_(std::move(socket), *context_) {}

  Socket& socket() override { return stream_.next_layer(); }
  void Handshake(Done done) override {
    stream_.async_handshake(boost::asio::ssl::stream_base::server,
                            [done = std::move(done)](const auto& error) { done(error, 0); });
  }
  void Read(boost::asio::mutable_buffer buffer, Done done) override {
    stream_.async_read_some(buffer, std::move(done));
  }
  void Write(boost::asio::const_buffer bytes, Done done) override {
    stream_.async_write_some(bytes, std::move(done));
  }
  void EndWriting(Done done) override {
    stream_.async_shutdown([done = std::move(done)](const auto& error) { done(error, 0); });
  }

 private:
  const std::shared_ptr<boost::asio::ssl::context> context_;
  boost::asio::ssl::stream<Socket> stream_;
};

inline std::unique_ptr<Transport> Transport::Make(Socket socket,
                                                  std::shared_ptr<boost::asio::ssl::context> tls) {
  if (tls == nullptr) return std::make_unique<PlainTransport>(std::move(socket));
  return std::make_unique<TlsTransport>(std::move(socket), std::move(tls));
}

}  // namespace dyad
