// A server whose handler does what tests need.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/mutex.h"
#include "server/http/http_server.h"
#include "tests/server/http/http_client.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"

namespace dyad::testing {

inline std::string Get(const std::string& path, const std::string& fields = "") {
  return absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: h\r\n", fields, "\r\n");
}

class HttpServerTest : public ::testing::Test {
 protected:
  void Start(const HttpServerOptions& options = {},
             std::shared_ptr<Certificates> certificates = nullptr) {
    absl::StatusOr<std::unique_ptr<Listener>> listener = Listener::Bind("127.0.0.1:0");
    ASSERT_OK(listener);
    HttpServer::Parts parts;
    parts.listener = *std::move(listener);
    parts.certificates = std::move(certificates);
    parts.handlers.handler = [this](std::shared_ptr<HttpExchange> exchange) {
      Handle(std::move(exchange));
    };
    parts.handlers.on_fault = [](const HttpFault& fault) {
      return HttpResponse{fault.status, {}, fault.message};
    };
    parts.log = [](LogLevel, const std::string&, const std::vector<LogField>&) {};
    absl::StatusOr<std::unique_ptr<HttpServer>> server =
        HttpServer::Start(options, std::move(parts));
    ASSERT_OK(server);
    server_ = *std::move(server);
  }

  void Handle(std::shared_ptr<HttpExchange> exchange) {
    const HttpRequest& request = exchange->request();
    if (request.path == "/hold") {
      exchange->OnLeave([this] { ++left_; });
      MutexLock lock(&mutex_);
      held_.push_back(std::move(exchange));
    } else if (request.path == "/stream") {
      exchange->Begin({200, {{"Content-Type", "text/plain"}}, "a"}, ":filler\n",
                      [exchange] { exchange->Write("bc", [exchange] { exchange->End(); }); });
    } else if (request.path == "/flood") {
      exchange->OnLeave([this] { ++left_; });
      exchange->Begin({200, {}, std::string(64 << 20, 'x')}, "", [exchange] { exchange->End(); });
    } else {
      exchange->Answer(
          {200, {{"X-Path", request.path}}, absl::StrCat(request.method, request.body)});
    }
  }
  std::shared_ptr<HttpExchange> TakeHeld() {
    std::shared_ptr<HttpExchange> exchange;
    EXPECT_TRUE(Eventually([&] {
      MutexLock lock(&mutex_);
      if (held_.empty()) return false;
      exchange = std::move(held_.back());
      held_.pop_back();
      return true;
    }));
    return exchange;
  }
  std::string Ask(const std::string& bytes) {
    RawClient client(server_->port());
    client.Send(bytes);
    return client.ReadAll();
  }

  std::atomic<int> left_ = 0;
  Mutex mutex_;
  std::vector<std::shared_ptr<HttpExchange>> held_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace dyad::testing
